"""Gaussians that stay on the rays of the pixels that they came from, until they are let go.

Of three photographs a free scene explains each by itself, with Gaussians anywhere. CoherentGS (Paliwal et
al. 2024) leaves open only how deep its pixels are, and lets whole regions move together. There a decoder
network sees to that; here the inverse depths q of a photograph are those of the start up to a line and a
smooth field,

    q = (a q0 + b) exp(f(pixel)),    f bicubic between the cells of a coarse grid,

so that what another photograph contradicts moves with its surroundings. Sizes follow depths, Gaussians are
round, none is added or removed. From `until` on the scene is trained like any other, starting with what was
found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from gsplat_core.densify.edits import Edit, Reset
from gsplat_core.densify.strategy import SceneView
from gsplat_core.errors import UsageError
from gsplat_core.ranges import COUNT, NOT_NEGATIVE, POSITIVE, SHARE, Range, check_ranges
from gsplat_core.scene.dataset import Dataset, View
from gsplat_core.scene.known_depths import points_of
from gsplat_core.scene.pixel_aligned import PixelRays, blocks, pixel_rays, spacing_for
from trainers.parts.part import Group, Part, Rendering
from trainers.schedules import exponential
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig

# Gaussians of a run that is not told how many.
_MOST = 200_000
# Rates fall to this share of what they begin with.
_FINAL_RATE = 0.05
# Corrections do not turn depths inside out.
_LEAST = 1e-6


@dataclass(frozen=True)
class PixelAlignedConfig:
    """Args:
        until: share of the run after which Gaussians are free.
        spacing: how many pixels wide and high the blocks are that have a Gaussian each; None: as few as keep
            within `--max-gaussians`, or 200,000.
        radius: of a Gaussian, in distances between them.
        cells: of the field along the longer side of a photograph.
        rate: learning rate of the field, of a and, in units of the mean inverse depth, of b.
        tracks: weight of how far depths are from those of the 3D points that the reconstruction saw in the
            photograph, as a share.

    Raises:
        ValueError: a number outside its range.
    """

    until: Annotated[float, SHARE] = 0.5
    spacing: Annotated[int, COUNT] | None = None
    radius: Annotated[float, POSITIVE] = 0.5
    cells: Annotated[int, Range(1, 256)] = 16
    rate: Annotated[float, NOT_NEGATIVE] = 2e-3
    tracks: Annotated[float, NOT_NEGATIVE] = 0.1

    def __post_init__(self) -> None:
        check_ranges(self)

    def rays(self, views: Sequence[View], most: int | None) -> PixelRays:
        """Of the Gaussians of a run, of which there may be at most so many."""
        return pixel_rays(views, self._spacing(views, most))

    def count(self, views: Sequence[View], most: int | None) -> int:
        """How many Gaussians a run has, without masks, of which there may be at most so many."""
        return blocks(views, self._spacing(views, most))

    def _spacing(self, views: Sequence[View], most: int | None) -> int:
        return self.spacing or spacing_for(views, _MOST if most is None else most)


class PixelAligned(Part):
    """`--sparse`."""

    settings: ClassVar[type[Any] | None] = PixelAlignedConfig
    first_order: ClassVar[str | None] = "moves nothing along rays; leave out --sparse"

    @classmethod
    def of(cls, name: str, config: TrainConfig, views: Sequence[View]) -> PixelAligned | None:
        # Gaussians of another scene lie on no rays.
        settings = config.pixel_aligned if config.start is None else None
        return None if settings is None else cls(settings, config, views)

    def __init__(self, settings: PixelAlignedConfig, config: TrainConfig, views: Sequence[View]) -> None:
        if config.on_mesh is not None:
            raise UsageError("--sparse starts on the rays of pixels, --mesh on faces; leave one of them out.")
        self._settings, self._views = settings, views
        self._most = config.max_gaussians
        self._until = round(settings.until * config.steps)
        self._rays: PixelRays | None = None
        self._start = torch.zeros(0)
        self._next: Tensor | None = None

    def initialize(self, num: int, device: torch.device) -> None:
        self._device = device
        grids = [_grid(view, self._settings.cells) for view in self._views if num]
        lines = torch.zeros(len(grids), 2)
        self._fields = [grid.to(device).requires_grad_() for grid in grids]
        self._lines = lines.to(device).requires_grad_()
        """[V, 2] the logarithm of a, and b over the mean of q0"""

    def prepare(self, dataset: Dataset, note: Callable[[str], None]) -> None:
        self._rays = self._settings.rays(dataset.train, self._most).to(self._device)
        self._tracks = _tracks(self._rays, dataset)

    def parameters(self) -> Sequence[Group]:
        if not self._fields:
            return ()
        fields = [Group(f"field{number}", field, self._rate) for number, field in enumerate(self._fields)]
        return [Group("lines", self._lines, self._rate), *fields]

    def _rate(self, step: int) -> float:
        rate = self._settings.rate
        return exponential(rate, _FINAL_RATE * rate, step, max(self._until, 1)) if rate else 0.0

    def _holds(self, step: int) -> bool:
        return self._rays is not None and step <= self._until

    def _inverse(self) -> Tensor:
        """[N] the inverse depths as they are now."""
        assert self._rays is not None
        counts = self._rays.counts
        found = []
        for number, (q, places) in enumerate(
            zip(self._start.split(counts), self._rays.places.split(counts), strict=True)
        ):
            slope, offset = self._lines[number].unbind()
            field = grid_sample(
                self._fields[number][None, None], (2 * places - 1)[None, None],
                mode="bicubic", padding_mode="border", align_corners=True,
            )[0, 0, 0]  # fmt: skip
            moved = slope.exp() * q + offset * q.mean()
            found.append(moved.clamp(min=_LEAST * q.mean()) * field.exp())
        return torch.cat(found)

    def shown(self, step: int, params: Mapping[str, Tensor], target: Target) -> Mapping[str, Tensor]:
        if not self._holds(step):
            return params
        assert self._rays is not None
        if not len(self._start):
            self._start = 1 / self._rays.depths(params["means"].detach())
        self._inverse_now = self._inverse() if self._next is None else self._next
        self._next = None
        return {**params, "quats": params["quats"].detach(), **self._placed(self._inverse_now)}

    def _placed(self, inverse: Tensor) -> dict[str, Tensor]:
        assert self._rays is not None
        depths = 1 / inverse
        # What they show shall move them, not that they would rather be smaller.
        scales = (self._settings.radius * self._rays.widths * depths.detach()).log()
        return {"means": self._rays.at(depths), "scales": scales[:, None].repeat(1, 3)}

    def loss(self, step: int, rendering: Rendering, target: Target) -> Tensor | None:
        if not self._holds(step) or not self._settings.tracks or not len(self._tracks[0]):
            return None
        rows, expected = self._tracks
        return self._settings.tracks * (self._inverse_now[rows] / expected - 1).abs().mean()

    def holds_rows(self, step: int) -> bool:
        return self._holds(step)

    def edits(self, step: int, scene: SceneView) -> list[Edit]:
        if not self._holds(step):
            return []
        # What the next step shows: its graph is made here, so that this is computed once in a step.
        with torch.enable_grad():
            self._next = self._inverse()
        values = self._placed(self._next.detach())
        return [Reset(None, values, forget="none")]

    def state_dict(self) -> dict[str, Any]:
        return {"start": self._start.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._start = state["start"].to(self._device, copy=True)
        self._next = None


def _grid(view: View, cells: int) -> Tensor:
    """Zeros at the corners of about square cells."""
    width, height = view.camera.width, view.camera.height
    side = max(width, height) / cells
    return torch.zeros(max(round(height / side), 1) + 1, max(round(width / side), 1) + 1)


def _tracks(rays: PixelRays, dataset: Dataset) -> tuple[Tensor, Tensor]:
    """Rows whose pixels show a 3D point, and the inverse depth that this has there."""
    rows, expected = [], []
    first = 0
    for number, (count, fine) in enumerate(zip(rays.counts, rays.fine, strict=True)):
        camera = dataset.train[number].camera
        if dataset.sightings and len(dataset.sightings[number]):
            pixels, depths = points_of(dataset, number)
            size = -(-np.array([camera.width, camera.height]) // rays.spacing)
            at = np.full(size[::-1], -1)
            places = rays.places[first : first + fine].cpu().numpy() * (camera.width, camera.height)
            own = (places / rays.spacing).astype(np.int64)
            at[own[:, 1], own[:, 0]] = first + np.arange(fine)
            cell = (pixels / rays.spacing).astype(np.int64)
            found = at[cell[:, 1], cell[:, 0]]
            rows.append(found[found >= 0])
            expected.append(1 / depths[found >= 0])
        first += count
    if not rows:
        return torch.zeros(0, dtype=torch.int64), torch.zeros(0)
    device = rays.places.device
    inverse = torch.from_numpy(np.concatenate(expected).astype(np.float32)).to(device)
    return torch.from_numpy(np.concatenate(rows)).to(device), inverse
