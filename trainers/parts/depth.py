"""What is known of the depths of photographs, from files or from the sparse points, trains the scene.

Few photographs leave open how far away things are, and so do walls without texture. The depths z of a
rendering are held against known ones in q = 1 / (z + near), as monocular depth is in hierarchical 3DGS (Kerbl
et al. 2024): the mean of |q - q'|, times the scene's length, so that units do not matter. Numbers that are
depths or inverse depths up to a line for each photograph are aligned to the sparse points once, or to what
the scene shows in each step (`gsplat_core/scene/depth_alignment.py`); of a correlation (Pearson's), no line
matters. With the sparse points alone, it is the loss of DS-NeRF (Deng et al. 2022), in q.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor

from gsplat_core.densify.strategy import Wants
from gsplat_core.ranges import POSITIVE, SHARE, check_ranges
from gsplat_core.scene.dataset import Dataset, View
from gsplat_core.scene.depth_alignment import Sample, aligned, depths_by, inverse
from gsplat_core.scene.known_depths import Align, KnownDepth, KnownDepths, of_files, of_points
from trainers.parts.part import Part, Rendering
from trainers.schedules import weight_at
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig

SPARSE = "sparse"
"""In place of a folder: the sparse points."""

# Pixels by which a map is aligned to a rendering.
_SAMPLE = 4096
_OPAQUE = 0.5


@dataclass(frozen=True)
class DepthConfig:
    """Args:
        folder: of the maps, inside the capture's folder or absolute; "sparse" for the sparse points.
        kind: what the maps' numbers are; auto: what fits the sparse points.
        align: to what numbers without units are aligned; auto: to the sparse points of the photograph, where
            it has enough.
        scale: factor to the numbers; None: 1, a thousandth for .png.
        loss: the distance of inverse depths, or 1 minus their correlation.
        weight, weight_final: of the loss, at the start and at the end of the run.
        start, end: shares of the run between which it counts.

    Raises:
        ValueError: a number outside its range.
    """

    folder: str = SPARSE
    kind: Literal["auto", "metric", "relative", "disparity"] = "auto"
    align: Align = "auto"
    scale: Annotated[float, POSITIVE] | None = None
    loss: Literal["inverse", "pearson"] = "inverse"
    weight: Annotated[float, POSITIVE] = 1.0
    weight_final: Annotated[float, POSITIVE] = 0.1
    start: Annotated[float, SHARE] = 0.0
    end: Annotated[float, SHARE] = 1.0

    def __post_init__(self) -> None:
        check_ranges(self)

    def known(self, root: Path, dataset: Dataset) -> KnownDepths:
        """What is known of the photographs of a capture in a folder; raises as `of_files` and `of_points`."""
        if self.folder == SPARSE:
            return of_points(dataset)
        return of_files(root / self.folder, dataset, self.kind, self.align, self.scale)


class Depth(Part):
    """`--depth FOLDER` and `--depth sparse`."""

    settings: ClassVar[type[Any] | None] = DepthConfig
    first_order: ClassVar[str | None] = "knows no depths; leave out --depth"
    neighbours: ClassVar[str | None] = "compares depths with maps of whole photographs"

    @classmethod
    def of(cls, name: str, config: TrainConfig, views: Sequence[View]) -> Depth | None:
        # There, maps tell where Gaussians begin, and photographs may contradict them.
        settings = config.parts.get(name)
        only_the_start = config.pixel_aligned is not None and config.start is None
        return None if settings is None or only_the_start else cls(settings, config, views)

    def __init__(self, settings: DepthConfig, config: TrainConfig, views: Sequence[View]) -> None:
        self._settings = settings
        self._steps = config.steps
        self._root = config.data_folder
        self._known: dict[int, KnownDepth] = {}
        self._length = 1.0

    def prepare(self, dataset: Dataset, note: Callable[[str], None]) -> None:
        found = self._settings.known(self._root, dataset)
        self._known, self._length = found.of, dataset.scale.length
        for sentence in found.told:
            note(f"depth: {sentence}")

    def _weight(self, step: int) -> float:
        return weight_at(step, self._steps, self._settings) if self._known else 0.0

    def wants(self, step: int) -> Wants:
        return Wants(depth=self._weight(step) > 0)

    def loss(self, step: int, rendering: Rendering, target: Target) -> Tensor | None:
        weight, known = self._weight(step), self._known.get(target.view)
        if not weight or known is None or rendering.depths is None:
            return None
        depths, alphas = rendering.depths[0], rendering.alphas[0, ..., 0].detach()
        expected = known.at(target.width, target.height).to(depths.device)
        if target.mask is not None:
            expected = expected.where(target.mask, torch.nan)
        if known.kind is not None:
            line = aligned(_seen(expected, depths.detach(), alphas), known.kind, target.near)
            if line is None:
                return None
            expected = depths_by(expected, known.kind, line, target.near).to(depths.dtype)
        there = expected.isfinite() & (alphas > 0)
        counts = alphas.where(there, 0.0)
        q = inverse(depths.where(there, 1.0), target.near)
        differ = _unlike if self._settings.loss == "pearson" else _apart
        return weight * differ(q * self._length, expected.where(there, 0.0) * self._length, counts)


def _apart(q: Tensor, expected: Tensor, counts: Tensor) -> Tensor:
    return ((q - expected).abs() * counts).sum() / counts.sum().clamp(min=1)


def _unlike(q: Tensor, expected: Tensor, counts: Tensor) -> Tensor:
    """1 - the correlation"""
    shares = counts / counts.sum().clamp(min=1)
    a, b = q - (q * shares).sum(), expected - (expected * shares).sum()
    spread = (shares * a * a).sum() * (shares * b * b).sum()
    return 1 - (shares * a * b).sum() / spread.clamp(min=1e-20).sqrt()


def _seen(values: Tensor, depths: Tensor, alphas: Tensor) -> Sample:
    """Some pixels of a map, and how deep they are in a rendering."""
    places = (values.isfinite() & (alphas > _OPAQUE) & (depths > 0)).flatten().nonzero()[:, 0]
    places = places[:: max(len(places) // _SAMPLE, 1)]
    return Sample(values.flatten()[places].double(), depths.flatten()[places].double())
