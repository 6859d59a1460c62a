"""The training photographs and the scene rendered from their cameras, by this package's rasterizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gsplat_core.activations import sigmoid
from gsplat_core.densify.views import Lens, Shares
from gsplat_core.rasterizer import rasterization
from gsplat_core.scene.dataset import View


class RenderedViews:
    """Implements `gsplat_core.densify.views.Views` for scenes with the parameters of `Gaussians`.

    Args:
        views: the training views of a dataset.
        sh_degree: degree of the spherical harmonics in use.
        antialiased: as the scene is trained.
    """

    def __init__(self, views: Sequence[View], sh_degree: int = 3, antialiased: bool = False) -> None:
        self._views = views
        self.sh_degree = sh_degree
        self.antialiased = antialiased

    def __len__(self) -> int:
        return len(self._views)

    def lens(self, index: int) -> Lens:
        camera = self._views[index].camera
        return Lens(
            torch.as_tensor(camera.viewmat, dtype=torch.float32),
            torch.as_tensor(camera.K, dtype=torch.float32),
            camera.width,
            camera.height,
        )

    def photograph(self, index: int) -> Tensor:
        return self._views[index].image() / 255

    @torch.no_grad()
    def image(self, params: Mapping[str, Tensor], index: int) -> Tensor:
        colors, _, _ = self._render(params, index)
        return colors[0]

    @torch.no_grad()
    def depth(self, params: Mapping[str, Tensor], index: int) -> tuple[Tensor, Tensor]:
        depths, alphas, _ = self._render(params, index, render_mode="ED")
        return depths[0, ..., 0], alphas[0, ..., 0]

    def shares(self, params: Mapping[str, Tensor], index: int, importance: Tensor | None = None) -> Shares:
        # The sums are the gradient of the probe (rasterization's `statistics`), so a graph is needed.
        with torch.enable_grad():
            _, _, meta = self._render(params, index, render_mode="D", statistics=True)
            probe = meta["probe"][0]
            weighted = probe if importance is None else probe * importance.to(probe)
            weighted.sum().backward()
        errors, weights, pixels = meta["statistics"].grad[0].unbind(-1)
        return Shares(errors, weights, pixels, meta["radii"][0].amax(dim=-1), meta["depths"][0].detach())

    def _render(self, params: Mapping[str, Tensor], index: int, **options: Any) -> tuple[Tensor, Tensor, Any]:
        means = params["means"].detach()
        lens = self.lens(index)
        return rasterization(
            means=means,
            quats=params["quats"].detach(),
            scales=params["scales"].detach().exp(),
            opacities=sigmoid(params["opacities"].detach()),
            colors=(params["sh0"].detach(), params["shN"].detach()),
            viewmats=lens.viewmat.to(means.device)[None],
            Ks=lens.K.to(means.device)[None],
            width=lens.width,
            height=lens.height,
            sh_degree=self.sh_degree,
            rasterize_mode="antialiased" if self.antialiased else "classic",
            **options,
        )
