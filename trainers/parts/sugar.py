"""The regularization of SuGaR (Guédon and Lepetit 2024): Gaussians become opaque discs in surfaces.

As published, with shares of the run in place of 7,000, 9,000 and 500 of 15,000 steps: at first the training
is any; then opacities are driven to 0 or 1 while rows stay, those that are not opaque by then go, and to the
end Gaussians are held against the depths and the normals of `gsplat_core.mesh.regularization`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from torch import Tensor

from gsplat_core.densify.edits import Edit, Prune
from gsplat_core.densify.plan import RowPlan
from gsplat_core.densify.strategy import SceneView, Wants
from gsplat_core.errors import UsageError
from gsplat_core.mesh.density import NEIGHBORS, nearest
from gsplat_core.mesh.regularization import Camera, opacity_entropy, shown_near, surface_losses
from gsplat_core.primitive import Evaluated
from gsplat_core.ranges import COUNT, NOT_NEGATIVE, SHARE, check_ranges
from gsplat_core.scene.dataset import View
from gsplat_core.scene.gaussians import PLAIN
from trainers.parts.part import Part, Rendering
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig


@dataclass(frozen=True)
class SugarConfig:
    """Args:
        start: share of the run after which opacities are driven apart, and density control ends.
        surfaces: share of the run after which Gaussians are held against surfaces.
        entropy: weight of the opacities' entropy, from `start` to `surfaces`.
        min_opacity: Gaussians that are less opaque at `surfaces` go; 0 keeps all.
        distance: weight of the distances.
        normal: weight of the normals.
        samples: points of a step.
        search: share of the run after which neighbours are searched anew.

    Raises:
        ValueError: a number outside its range, or surfaces come before the start.
    """

    start: Annotated[float, SHARE] = 7 / 15
    surfaces: Annotated[float, SHARE] = 9 / 15
    entropy: Annotated[float, NOT_NEGATIVE] = 0.1
    min_opacity: Annotated[float, SHARE] = 0.5
    distance: Annotated[float, NOT_NEGATIVE] = 0.2
    normal: Annotated[float, NOT_NEGATIVE] = 0.2
    samples: Annotated[int, COUNT] = 20_000
    search: Annotated[float, SHARE] = 1 / 30

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.surfaces < self.start:
            raise ValueError(f"surfaces, {self.surfaces:g}, must not be below its start, {self.start:g}")


class Sugar(Part):
    """`--parts sugar`."""

    settings: ClassVar[type[Any] | None] = SugarConfig
    first_order: ClassVar[str | None] = "knows no surfaces; leave out --parts sugar"

    def __init__(self, settings: SugarConfig, config: TrainConfig, views: Sequence[View]) -> None:
        if config.primitive != PLAIN:
            raise UsageError(
                f"--parts sugar makes surfaces of plain Gaussians only, not of {config.primitive!r}."
            )
        self._settings = settings
        self._seed = config.seed
        self._start = round(settings.start * config.steps)
        self._surfaces = round(settings.surfaces * config.steps)
        self._search = max(round(settings.search * config.steps), 1)
        self._neighbors: Tensor | None = None

    def initialize(self, num: int, device: torch.device) -> None:
        self._device = device
        self._neighbors = None

    def wants(self, step: int) -> Wants:
        return Wants(depth=step > self._surfaces)

    def holds_rows(self, step: int) -> bool:
        return step > self._start

    def loss(self, step: int, rendering: Rendering, target: Target) -> Tensor | None:
        if step <= self._start:
            return None
        gaussians = Evaluated(
            *(rendering.splats[name] for name in ("means", "quats", "scales", "opacities", "colors"))
        )
        visible = (rendering.meta["radii"][0] > 0).all(dim=-1)
        if not bool(visible.any()):
            return None
        if step <= self._surfaces:
            return self._settings.entropy * opacity_entropy(gaussians.opacities[visible])
        if self._neighbors is None or (step - 1 - self._surfaces) % self._search == 0:
            self._neighbors = nearest(gaussians.means)
        if target.model != "pinhole":
            return None
        camera = Camera(target.viewmat[0], target.K[0], self._depths(rendering, visible), target.mask)
        rows = shown_near(gaussians, visible, camera)
        if not len(rows):
            return None
        random = torch.Generator().manual_seed(self._seed * 1_000_003 + step)
        count = self._settings.samples
        owners = rows[torch.randint(len(rows), (count,), generator=random).to(rows.device)]
        noise = torch.randn(count, 3, generator=random).to(gaussians.means)
        losses = surface_losses(
            gaussians, owners, noise, self._neighbors, camera, rendering.scene.scene_extent
        )
        return self._settings.distance * losses.distance + self._settings.normal * losses.normal

    @staticmethod
    def _depths(rendering: Rendering, visible: Tensor) -> Tensor:
        """[H, W] with what shines through as deep as the deepest Gaussian."""
        if rendering.depths is None:
            raise ValueError("SuGaR needs Rendering.depths")
        deepest = rendering.meta["depths"][0][visible].detach().max()
        alphas = rendering.alphas[0, ..., 0]
        return alphas * rendering.depths[0] + (1 - alphas) * deepest

    def edits(self, step: int, scene: SceneView) -> list[Edit]:
        if step != self._surfaces or not self._settings.min_opacity:
            return []
        faint = (scene.params["opacities"] < scene.logits_of(self._settings.min_opacity)) & scene.free
        few = scene.num - int(faint.sum()) < NEIGHBORS
        return [] if few or not bool(faint.any()) else [Prune(faint.nonzero()[:, 0])]

    def follow(self, plan: RowPlan) -> None:
        if not plan.stays:
            self._neighbors = None

    def state_dict(self) -> dict[str, Any]:
        kept = torch.zeros(0, 0) if self._neighbors is None else self._neighbors
        return {"neighbors": kept.to(torch.int32, copy=True)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        kept = state["neighbors"]
        self._neighbors = kept.long().to(self._device) if kept.numel() else None
