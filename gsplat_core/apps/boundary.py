"""Where a scene touches another one, and which of the Gaussians there speak for those farther away (Gaussian
Stitching: the boundary, and the drivers of the rest)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core.errors import UsageError
from gsplat_core.ops.knn import knn
from gsplat_core.scene.gaussians import Gaussians

_BLOCK = 1 << 22  # distances at a time


class Boundary(NamedTuple):
    """Gaussians of the target beside the source.

    Args:
        rows: [B] int64, of the target, ascending.
        neighbours: [B, K] int64, rows of the source, the nearest first.
    """

    rows: Tensor
    neighbours: Tensor


def nearest(points: Tensor, among: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest [N, k] of the points `among` [M, 3], M >= k, to each of `points` [N, 3], and their
    distances, ascending. By brute force, in blocks."""
    rows = max(1, _BLOCK // len(among))
    found = [torch.cdist(some, among).topk(k, largest=False) for some in points.split(rows)]
    if not found:
        return points.new_zeros(0, k, dtype=torch.int64), points.new_zeros(0, k)
    distances, indices = (torch.cat(parts) for parts in zip(*found, strict=True))
    return indices, distances


def find_boundary(
    source: Gaussians, target: Gaussians, reach: float, opacity: float, neighbours: int, fewest: int
) -> Boundary:
    """Gaussians of the target whose `neighbours` nearest ones of the source are nearer than `reach` on
    average, and that are more opaque than `opacity`.

    In coarse scenes neighbours may be as far away as twice the usual distance of those within the source. If
    fewer than `fewest` are opaque, so many of the most opaque ones are taken that are near.

    Raises:
        UsageError: fewer Gaussians of the target than `neighbours` are near, or the source has fewer.
    """
    if source.num <= neighbours:
        raise UsageError(
            f"A scene of {source.num} Gaussians is none to harmonize with: it needs more than {neighbours}."
        )
    around = source.means.detach().float()
    reach = max(reach, 2 * float(knn(around, neighbours)[1].sqrt().mean(1).median()))
    places = target.means.detach().float()
    # Only those can be near that are in the box around the source.
    inside = ((places > around.amin(0) - reach) & (places < around.amax(0) + reach)).all(1)
    candidates = inside.nonzero()[:, 0]
    found, distances = nearest(places[candidates], around, neighbours)
    near = distances.mean(1) < reach
    rows, found = candidates[near], found[near]
    if len(rows) < neighbours:
        raise UsageError(
            f"The scenes do not touch: {len(rows)} Gaussians of one are within {reach:.3g} of those before. "
            "Bring them together with --transform, or leave out --harmonize."
        )
    opacities = target.opacities.detach()[rows].sigmoid()
    chosen = opacities > opacity
    if int(chosen.sum()) < min(fewest, len(rows)):
        best = opacities.argsort(descending=True, stable=True)[:fewest]
        chosen = torch.zeros_like(chosen).index_fill_(0, best, True)
    return Boundary(rows[chosen], found[chosen])


def drivers(places: Tensor, boundary: Tensor, size: float, waves: float, k: int) -> Tensor:
    """The k points of the boundary [B, 3] that speak for each of some places [N, 3], as rows of it, [N, k].

    They are the nearest ones to phi(x) = x + sin(waves d), where d leads from the nearest point of the
    boundary to x, in units of the composition's size: so neighbours far from the boundary have different
    drivers, and its colours come in patches, not in stripes.
    """
    k = min(k, len(boundary))
    closest, _ = nearest(places, boundary, 1)
    offsets = (places - boundary[closest[:, 0]]) / size
    found, _ = nearest(places + size * torch.sin(waves * offsets), boundary, k)
    return found
