"""Gaussians that stand out of a scene of which nothing but the Gaussians is known.

All lengths are relative to the scene: to the distance from its middle within which half of it lies, by
opacity, so that what stands out does not set the measure.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gsplat_core.ops.neighbors import knn
from gsplat_core.scene.gaussians import Gaussians

INVISIBLE = 1 / 255
"""The rasterizer leaves out what is less opaque than this, at any pixel."""
HUGE, FAR, ISOLATED = 5.0, 100.0, 12.0
"""Above which `sizes`, `distances` and `isolation` are beyond what captures have: of skies and backgrounds,
too."""
NEIGHBOURS = 8
UNUSUAL = 3.0
SAMPLE = 1 << 17
"""Of the Gaussians that set the measure."""
LOOKED_AT = 64
"""Of those of a sample that may be isolated."""


@dataclass(frozen=True, eq=False)
class Extent:
    """Where the bulk of a scene is.

    Args:
        middle: [3], by axes the median by opacity.
        radius: within which half of it lies, by opacity.
    """

    middle: Tensor
    radius: float


def extent(scene: Gaussians) -> Extent:
    """Of a scene with any Gaussians; of large ones by every so many."""
    step = max(1, scene.num // SAMPLE)
    means = scene.means[::step].detach().double()
    weights = scene.opacities[::step].detach().double().sigmoid()
    middle = torch.stack([_median(means[:, axis], weights) for axis in range(3)])
    return Extent(middle, float(_median((means - middle).norm(dim=1), weights)))


def distances(scene: Gaussians, bulk: Extent) -> Tensor:
    """How far from the middle, in radii, [N]."""
    return _in_radii((scene.means.detach().double() - bulk.middle).norm(dim=1), bulk)


def sizes(scene: Gaussians, bulk: Extent) -> Tensor:
    """Standard deviations along the longest axes, in radii, [N]."""
    return _in_radii(scene.scales.detach().amax(dim=1).double().exp(), bulk)


def isolation(scene: Gaussians) -> Tensor:
    """The mean distance to the nearest neighbours, in units of a Gaussian's own largest standard deviation,
    [N]; 0 where it is not beyond `UNUSUAL` times that of the others, their median, and in scenes of hardly
    more than so many.

    Surfaces and backgrounds are covered by Gaussians as large as they are apart; a speck in the air is small
    and alone.
    """
    if scene.num <= 2 * NEIGHBOURS:
        return scene.means.new_zeros(scene.num)
    gaps = _gaps(scene.means)
    return _in_sizes(gaps, scene, float(gaps.median()))


def survey(scene: Gaussians) -> dict[str, int]:
    """How many Gaussians are "invisible", "huge", "far" and "isolated". Isolated ones of a large scene are
    counted in a sample, of one of `sampled(scene)`.
    """
    if not scene.num:
        return dict.fromkeys(("invisible", "huge", "far", "isolated"), 0)
    bulk, step = extent(scene), sampled(scene)
    alone = int((isolation(scene) > ISOLATED).sum()) if step == 1 else _isolated_of_sample(scene, step)
    return {
        "invisible": int((scene.opacities.sigmoid() < INVISIBLE).sum()),
        "huge": int((sizes(scene, bulk) > HUGE).sum()),
        "far": int((distances(scene, bulk) > FAR).sum()),
        "isolated": min(step * alone, scene.num),
    }


def _isolated_of_sample(scene: Gaussians, step: int) -> int:
    """How many of one of `step` Gaussians are isolated in the whole scene.

    Neighbours in the sample are farther away than those in the scene, on surfaces by the square root of
    `step`. So what is not isolated there is not isolated at all, and of the others some are looked at in the
    whole scene.
    """
    sample = scene.subset(slice(None, None, step))
    gaps = _gaps(sample.means)
    usual = float(gaps.median()) / step**0.5
    rows = (_in_sizes(gaps, sample, usual) > ISOLATED).nonzero().squeeze(1)
    if not len(rows):
        return 0
    some = rows[:: -(-len(rows) // LOOKED_AT)]
    few = sample.subset(some)
    gaps = _gaps(scene.means, few.means, step * some)
    alone = _in_sizes(gaps, few, usual) > ISOLATED
    return round(float(alone.double().mean()) * len(rows))


def _gaps(points: Tensor, places: Tensor | None = None, rows: Tensor | None = None) -> Tensor:
    """Mean distances to the nearest neighbours, of all the points or of some, which are in these rows of
    them."""
    some = None if places is None else places.detach().float()
    _, squared = knn(points.detach().float(), NEIGHBOURS, some, own=rows)
    return squared.sqrt().mean(dim=1)


def _in_sizes(gaps: Tensor, scene: Gaussians, usual: float) -> Tensor:
    """Distances [N] in units of the largest standard deviations; 0 where they are not unusual."""
    return torch.where(gaps > UNUSUAL * usual, gaps / scene.scales.detach().float().amax(dim=1).exp(), 0.0)


def sampled(scene: Gaussians) -> int:
    """Of how many Gaussians one is looked at where neighbours are searched."""
    return -(-scene.num // SAMPLE)


def _in_radii(lengths: Tensor, bulk: Extent) -> Tensor:
    """All are 0 where the bulk is in one place: there is nothing to compare them with."""
    return (lengths / bulk.radius if bulk.radius > 0 else torch.zeros_like(lengths)).float()


def _median(values: Tensor, weights: Tensor) -> Tensor:
    """The weighted median of values [N]."""
    ordered, order = values.sort(stable=True)
    sums = weights[order].cumsum(0)
    return ordered[int(torch.searchsorted(sums, sums[-1] / 2).clamp(max=len(values) - 1))]
