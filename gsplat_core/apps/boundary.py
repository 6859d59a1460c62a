"""Where a scene touches another one, and which of the Gaussians there speak for those farther away (Gaussian
Stitching: the boundary, and the drivers of the rest)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core.errors import UsageError
from gsplat_core.ops.neighbors import knn
from gsplat_core.scene.gaussians import Gaussians

_MOST_CANDIDATES, _MOST = 1 << 16, 1 << 12  # that are looked at, and that are the boundary


class Boundary(NamedTuple):
    """Gaussians of the target beside the source.

    Args:
        rows: [B] int64, of the target, ascending.
        neighbours: [B, K] int64, rows of the source, the nearest first.
    """

    rows: Tensor
    neighbours: Tensor


def find_boundary(
    source: Gaussians, target: Gaussians, reach: float, opacity: float, neighbours: int, fewest: int
) -> Boundary:
    """Gaussians of the target whose `neighbours` nearest ones of the source are nearer than `reach` on
    average, and that are more opaque than `opacity`.

    In coarse scenes neighbours may be as far away as twice the usual distance of those within the source. If
    fewer than `fewest` are opaque, so many of the most opaque ones are taken that are near. Of large scenes
    every so many are looked at.

    Raises:
        UsageError: fewer Gaussians of the target than `neighbours` are near, or the source has fewer.
    """
    if source.num <= neighbours:
        raise UsageError(
            f"A scene of {source.num} Gaussians is none to harmonize with: it needs more than {neighbours}."
        )
    around, places = source.means.detach().float(), target.means.detach().float()
    reach = max(reach, 2 * float(knn(around, neighbours)[1].sqrt().mean(1).median()))
    # No neighbour is farther away than all of them together.
    sources = _rows_in_box_of(places, neighbours * reach, around)
    candidates = _some(_rows_in_box_of(around, reach, places), _MOST_CANDIDATES)
    near = torch.zeros(len(candidates), dtype=torch.bool, device=places.device)
    if len(sources) >= neighbours:
        found, squared = knn(around[sources], neighbours, places[candidates])
        near = squared.sqrt().mean(1) < reach
    if int(near.sum()) < neighbours:
        raise UsageError(
            f"The scenes do not touch: {int(near.sum())} Gaussians of one are within {reach:.3g} of those "
            "before. Bring them together with --transform, or leave out --harmonize."
        )
    rows, found = candidates[near], sources[found[near]]
    opacities = target.opacities.detach()[rows].sigmoid()
    chosen = opacities > opacity
    if int(chosen.sum()) < min(fewest, len(rows)):
        best = opacities.argsort(descending=True, stable=True)[:fewest]
        chosen = torch.zeros_like(chosen).index_fill_(0, best, True)
    kept = _some(chosen.nonzero()[:, 0], _MOST)
    return Boundary(rows[kept], found[kept])


def _rows_in_box_of(points: Tensor, margin: float, among: Tensor) -> Tensor:
    """Rows of `among` [M, 3] in the box around points [N, 3], with a margin."""
    low, high = points.amin(0) - margin, points.amax(0) + margin
    return ((among >= low) & (among <= high)).all(1).nonzero()[:, 0]


def _some(rows: Tensor, most: int) -> Tensor:
    """Every so many, so that there are at most `most`."""
    return rows[:: max(1, -(-len(rows) // most))]


def drivers(places: Tensor, boundary: Tensor, size: float, waves: float, k: int) -> Tensor:
    """The k points of the boundary [B, 3] that speak for each of some places [N, 3], as rows of it, [N, k].

    They are the nearest ones to phi(x) = x + sin(waves d), where d leads from the nearest point of the
    boundary to x, in units of the composition's size: so neighbours far from the boundary have different
    drivers, and its colours come in patches, not in stripes.
    """
    k = min(k, len(boundary))
    closest, _ = knn(boundary, 1, places)
    offsets = (places - boundary[closest[:, 0]]) / size
    return knn(boundary, k, places + size * torch.sin(waves * offsets))[0]
