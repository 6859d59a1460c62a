"""Gaussians that stand out of a scene of which nothing but the Gaussians is known.

All lengths are relative to the scene: to the distance from its middle within which half of it lies, by
opacity, so that what stands out does not set the measure. Isolation is statistical: the mean distance to the
nearest neighbours is compared with that of all others, on a logarithmic scale and by medians, since it
varies by orders of magnitude from the surfaces to the surroundings.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gsplat_core.ops.knn import knn
from gsplat_core.scene.gaussians import Gaussians

INVISIBLE = 1 / 255
"""The rasterizer leaves out what is less opaque than this, at any pixel."""
HUGE, FAR, ISOLATED = 5.0, 100.0, 5.0
"""Above which `sizes`, `distances` and `isolation` are beyond what captures have: of skies and backgrounds,
too."""
NEIGHBOURS = 8
SAMPLE = 1 << 17
"""Of the Gaussians that set the measure."""
_NORMAL = 1.4826  # standard deviations of a normal distribution in its median absolute deviation


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


def isolation(scene: Gaussians, thinned: int = 1) -> Tensor:
    """By how many standard deviations the logarithm of the mean distance to the nearest neighbours is above
    that of the others, [N]; 0 where a Gaussian reaches its neighbours (with three times its own standard
    deviation), as large ones of a background do, and in scenes of hardly more than so many.

    Args:
        thinned: the scene is one of so many Gaussians of another; on surfaces, distances between neighbours
            have grown by the square root of that.
    """
    if scene.num <= 2 * NEIGHBOURS:
        return scene.means.new_zeros(scene.num)
    _, squared = knn(scene.means.detach().float(), NEIGHBOURS)
    gaps = squared.sqrt().mean(dim=1)
    logs = gaps.clamp(min=1e-30).log()
    middle = logs.median()
    spread = _NORMAL * (logs - middle).abs().median()
    reach = 3 * thinned**0.5 * scene.scales.detach().float().amax(dim=1).exp()
    return torch.where(gaps > reach, (logs - middle) / spread.clamp(min=1e-6), 0.0)


def survey(scene: Gaussians) -> dict[str, int]:
    """How many Gaussians are "invisible", "huge", "far" and "isolated". Isolated ones of a large scene are
    counted in a sample, of one of `sampled(scene)`.
    """
    if not scene.num:
        return dict.fromkeys(("invisible", "huge", "far", "isolated"), 0)
    bulk, step = extent(scene), sampled(scene)
    alone = isolation(scene.subset(slice(None, None, step)), step)
    return {
        "invisible": int((scene.opacities.sigmoid() < INVISIBLE).sum()),
        "huge": int((sizes(scene, bulk) > HUGE).sum()),
        "far": int((distances(scene, bulk) > FAR).sum()),
        "isolated": min(step * int((alone > ISOLATED).sum()), scene.num),
    }


def sampled(scene: Gaussians) -> int:
    """Of how many Gaussians one is looked at where neighbours are searched."""
    return -(-scene.num // SAMPLE)


def _in_radii(lengths: Tensor, bulk: Extent) -> Tensor:
    """All are 0 where the bulk is in one place: there is nothing to compare them with."""
    return (lengths / bulk.radius if bulk.radius > 0 else torch.zeros_like(lengths)).float()


def _median(values: Tensor, weights: Tensor) -> Tensor:
    """The weighted median of values [N]."""
    ordered, order = values.sort()
    sums = weights[order].cumsum(0)
    return ordered[int(torch.searchsorted(sums, sums[-1] / 2).clamp(max=len(values) - 1))]
