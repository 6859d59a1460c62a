"""The training photographs and the scene rendered from their cameras, by this package's rasterizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from gsplat_core.densify.views import Lens, Shares
from gsplat_core.primitive import Evaluated, evaluate
from gsplat_core.render.cameras import Cameras, Posed
from gsplat_core.render.drawing import COLORS, Outputs, Rendered
from gsplat_core.render.scene import measure, render
from gsplat_core.render.settings import USUAL, RenderSettings
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.dataset import View


class RenderedViews:
    """Implements `gsplat_core.densify.views.Views` for scenes with the parameters of `Gaussians`.

    Args:
        views: the training views of a dataset.
        sh_degree: degree of the spherical harmonics in use.
        settings: as the scene is trained.
        points: [P, 3] the sparse points.
        sightings: for each view the rows of `points` that it sees (`Dataset.sightings`).
        background: [1, 3] the colour behind the scene; None for black.
    """

    def __init__(
        self,
        views: Sequence[View],
        sh_degree: int = 3,
        settings: RenderSettings = USUAL,
        points: Tensor | None = None,
        sightings: Sequence[Tensor] = (),
        background: Tensor | None = None,
    ) -> None:
        self._views = views
        self._points = torch.zeros(0, 3) if points is None else points
        self._sightings = sightings
        self.background = background
        self.sh_degree = sh_degree
        self.settings = settings
        self.as_photographed: Callable[[Tensor, Tensor, int], Tensor] | None = None
        """What turns a rendering [1, H, W, 3] with its alphas [1, H, W, 1] into what is compared with a
        photograph, given by its number; where a model of the photographs is trained with the scene."""

        self.posed: Callable[[Camera, int], Camera] = lambda camera, _: camera
        """From where and with which lens a photograph, given by its number, was taken; where that is trained
        with the scene."""

        self.shown: Callable[[Mapping[str, Tensor], Camera, int], Mapping[str, Tensor]] = (
            lambda params, camera, index: params
        )
        """What makes of parameters those that a photograph, given by its camera and number, shows."""

        self.counts: Callable[[int], Tensor | None] = lambda index: None
        """[H, W] which pixels of a photograph count beside its mask, where whoever trains found that some do
        not; None: all."""

        self.evaluated: Callable[[Mapping[str, Tensor], Posed], Evaluated] = lambda params, _: evaluate(
            params
        )
        """What makes of parameters what a camera sees: plain Gaussians, unless whoever trains says
        otherwise."""

    def __len__(self) -> int:
        return len(self._views)

    def width(self, index: int) -> int:
        """Of the photograph, in pixels."""
        return self._views[index].camera.width

    def lens(self, index: int) -> Lens:
        camera = self._camera(index)
        tensors = Cameras.of(camera, torch.device("cpu"))
        return Lens(
            tensors.viewmats[0], tensors.Ks[0], camera.width, camera.height, camera.near,
            camera.model, camera.lens,
        )  # fmt: skip

    def points_seen(self, index: int) -> tuple[Tensor, Tensor]:
        rows = self._sightings[index] if self._sightings else torch.zeros(0, dtype=torch.int64)
        return rows, self._points[rows]

    def photograph(self, index: int) -> Tensor:
        photograph = self._views[index].image() / 255
        counts = self.counts(index)
        return photograph if counts is None else photograph * counts.to(photograph.device)[..., None]

    @torch.no_grad()
    def image(self, params: Mapping[str, Tensor], index: int) -> Tensor:
        rendered = self._render(self.shown(params, self._camera(index), index), index, COLORS)
        colors = rendered.colors
        if self.as_photographed is not None:
            colors = self.as_photographed(colors, rendered.alphas, index)
        mask = self._mask(index)
        # Black where the photograph is masked out, as that is.
        return colors[0] if mask is None else colors[0] * mask.to(colors.device)[..., None]

    @torch.no_grad()
    def depth(self, params: Mapping[str, Tensor], index: int) -> tuple[Tensor, Tensor]:
        rendered = self._render(params, index, Outputs(colors=False, depth="expected"))
        return rendered.depths[0], rendered.alphas[0, ..., 0]

    @torch.no_grad()
    def shares(self, params: Mapping[str, Tensor], index: int) -> Shares:
        camera = self._camera(index)
        measured, splats = measure(self.evaluated(params, camera), camera, self.settings)
        weights, pixels, largest = measured[0].unbind(-1)
        return Shares(weights, pixels, largest, splats.radii[0, 0].amax(dim=-1), splats.depths[0, 0])

    def weighted_shares(self, params: Mapping[str, Tensor], index: int, importance: Tensor) -> Tensor:
        # The sums are the gradient of the probe (rasterization's `statistics`), so a graph is needed.
        with torch.enable_grad():
            outputs = Outputs(colors=False, depth="sum", statistics=True)
            meta = self._render(params, index, outputs).meta
            mask = self._mask(index)
            weights = importance.to(meta["probe"])
            if mask is not None:
                weights = weights * mask.to(weights.device)
            (meta["probe"][0] * weights).sum().backward()
        sums: Tensor = meta["statistics"].grad[0, :, 0]
        return sums

    def _camera(self, index: int) -> Camera:
        return self.posed(self._views[index].camera, index)

    def _mask(self, index: int) -> Tensor | None:
        """[H, W] what counts of a photograph; None: all of it."""
        mask, counts = self._views[index].mask(), self.counts(index)
        if mask is None or counts is None:
            return counts if mask is None else mask
        return mask & counts.to(mask.device)

    def _render(self, params: Mapping[str, Tensor], index: int, outputs: Outputs) -> Rendered:
        camera = self._camera(index)
        return render(
            self.evaluated({name: value.detach() for name, value in params.items()}, camera),
            camera,
            self.settings,
            outputs=outputs,
            background=self.background,
            sh_degree=self.sh_degree,
        )
