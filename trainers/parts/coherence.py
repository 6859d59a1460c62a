"""Surfaces that stay as they were from frame to frame, but for how they move (AT-GS, Chen et al. 2024).

Each frame of a sequence finds its surface anew, and where photographs leave it open, it flickers. Here the
curvature that a pixel shows is that of the frame before, where the optical flow says that the pixel shows the
same: normals of the frame before are rendered from the same camera and warped, and the squared difference of
the curvatures (`gsplat_core/sequence/curvature.py`) is a loss. Curvatures and not normals, so that what moves
may turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from gsplat_core.densify.strategy import Wants
from gsplat_core.errors import DataError, UsageError
from gsplat_core.ranges import NOT_NEGATIVE, check_ranges
from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import render
from gsplat_core.scene.dataset import View
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.sequence.curvature import curvature, eroded
from gsplat_core.sequence.flow_files import agree, find_flow, read_flow, sampled
from trainers.parts.part import Part, Rendering
from trainers.parts.silhouette import silhouette
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig

ERODED = 9
"""Pixels; curvatures at an outline are those of two things."""
COVERED = 0.1


@dataclass(frozen=True)
class CoherenceConfig:
    """Args:
        before: the scene of the frame before, a run or a file.
        flow: the folder of this frame's flow (`gsplat_core/sequence/flow_files.py`).
        weight, weight_final: of the squared difference of curvatures, at the first and at the last step.

    Raises:
        ValueError: a number outside its range.
    """

    before: str = ""
    flow: str = ""
    weight: Annotated[float, NOT_NEGATIVE] = 0.04
    weight_final: Annotated[float, NOT_NEGATIVE] = 0.02

    def __post_init__(self) -> None:
        check_ranges(self)


class _Before(NamedTuple):
    """Of the frame before, at this one's pixels: curvatures [H, W], and where they count."""

    curvature: Tensor
    counts: Tensor


class Coherence(Part):
    """`gsplat-core stream --temporal-normals` gives it to every frame but the first."""

    settings: ClassVar[type[Any] | None] = CoherenceConfig
    first_order: ClassVar[str | None] = "knows no frame before; leave out the part coherence"
    neighbours: ClassVar[str | None] = "compares an image with that of the frame before, pixel by pixel"

    def __init__(self, settings: CoherenceConfig, config: TrainConfig, views: Sequence[View]) -> None:
        if not settings.before or not settings.flow:
            raise UsageError(
                "the part coherence needs coherence.before and coherence.flow; `gsplat-core stream "
                "--temporal-normals FLOW` sets them for each frame."
            )
        self._settings = settings
        self._steps = config.steps
        self._views = views
        self._device = torch.device("cpu")
        self._scene: Gaussians | None = None
        self._known: dict[int, _Before | None] = {}

    def initialize(self, num: int, device: torch.device) -> None:
        self._device = device

    def wants(self, step: int) -> Wants:
        return Wants(surfaces=True)

    def loss(self, step: int, rendering: Rendering, target: Target) -> Tensor | None:
        before = self._before(target.view)
        if before is None or before.counts.shape != (target.height, target.width):
            return None
        covered = rendering.alphas[0, ..., 0].detach() > COVERED
        counts = before.counts & eroded(covered, ERODED)
        if target.mask is not None:
            counts &= eroded(target.mask, ERODED)
        apart = (curvature(rendering.meta["normals"][0]) - before.curvature).square()
        s = self._settings
        weight = s.weight + (s.weight_final - s.weight) * step / self._steps
        return weight * torch.where(counts, apart, 0.0).sum() / counts.sum().clamp(min=1)

    def _before(self, number: int) -> _Before | None:
        """None for a photograph without flow."""
        if number not in self._known:
            self._known[number] = self._seen_before(self._views[number])
        return self._known[number]

    @torch.no_grad()
    def _seen_before(self, view: View) -> _Before | None:
        folder, camera = Path(self._settings.flow), view.camera
        file = find_flow(folder, view.name, "backward")
        if file is None:
            return None
        backward = read_flow(file, camera.width, camera.height)
        counts = torch.ones(camera.height, camera.width, dtype=torch.bool)
        if (other := find_flow(folder, view.name, "forward")) is not None:
            counts &= agree(backward, read_flow(other, camera.width, camera.height))
        if (outline := silhouette(view)) is not None:
            counts &= eroded(outline > 0.5, ERODED)
        rendered = render(self._previous(), camera, outputs=Outputs(colors=False, further=("normals",)))
        warped, inside = sampled(rendered.meta["normals"][0], backward.to(self._device))
        return _Before(curvature(warped), counts.to(self._device) & inside)

    def _previous(self) -> Gaussians:
        if self._scene is None:
            from trainers.sources import load_scene

            self._scene = load_scene(Path(self._settings.before), lambda text: None).detached()
            self._scene = self._scene.to(self._device)
        return self._scene


def check_flow(folder: Path, frame: str, photographs: Sequence[str]) -> Path:
    """The folder of a frame's flow.

    Raises:
        DataError: it has no flow of any of the photographs.
    """
    of_frame = folder / frame
    if not any(find_flow(of_frame, name, "backward") for name in photographs):
        example = Path(photographs[0]).with_suffix("") if photographs else "PHOTOGRAPH"
        raise DataError(
            of_frame, f"there is no flow, such as {example}.backward.npy or .flo",
            remedy="Name the folder that has one folder of flow for each frame but the first.",
        )  # fmt: skip
    return of_frame
