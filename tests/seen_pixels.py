"""What follows for the Gaussians that pixels see from the reference's weights, to compare with."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from splats import Scene
from torch import Tensor

from gsplat_core import reference

TOP = 4
BAND = 1e-4


class Truth(NamedTuple):
    """What follows from the reference's weights [C, N, H, W]. `sure` [C, H, W] are the pixels about which
    float32 must agree, by the name of the output."""

    outputs: dict[str, Tensor]
    sure: dict[str, Tensor]
    weights: Tensor
    alphas: Tensor


def truth_of(scene: Scene, top: int = TOP, **options: Any) -> Truth:
    with torch.no_grad():
        _, alphas, meta = reference.rasterization(**scene.arguments(), **options, weights=True)
    weights, depths, sure = meta["weights"], meta["depths"], ~meta["ambiguous"]
    # [C, N, H, W], nearest first; the depths along rays where pixels go by those.
    near = meta["ray_depths"] if "ray_depths" in meta else depths[..., None, None].expand_as(weights)
    near = torch.where(weights > 0, near, torch.inf)
    at = near.argsort(dim=1, stable=True)
    sorted_weights = weights.gather(1, at)
    seen = sorted_weights > 0
    front = 1 - sorted_weights.cumsum(1) + sorted_weights
    rank = torch.arange(weights.shape[1])[:, None, None]

    def ids_at(place: Tensor, some: Tensor) -> Tensor:
        """Numbers of the Gaussians at a place [C, H, W] of the order."""
        numbers = at.gather(1, place[:, None])[:, 0]
        return torch.where(some, numbers, -1)

    some = seen.any(1)
    first = torch.where(seen, rank, 10**6).amin(1).clamp(max=weights.shape[1] - 1)
    before_median = seen & (front > 0.5)
    median = torch.where(before_median, rank, 0).amax(1)
    values, places = sorted_weights.sort(dim=1, descending=True, stable=True)
    best, chosen_places = values[:, : top + 1], places[:, :top]
    listed = chosen_places.masked_fill(best[:, :top] == 0, 10**6).sort(1)[0]
    filled = listed < 10**6
    listed = listed.clamp(max=weights.shape[1] - 1)
    top_ids = torch.where(filled, at.gather(1, listed), -1).movedim(1, -1)
    top_weights = torch.where(filled, sorted_weights.gather(1, listed), 0.0).movedim(1, -1)
    median_ids = ids_at(median, some)
    median_depth = depths.gather(1, median_ids.clamp(min=0).flatten(1))
    outputs = {
        "first_ids": ids_at(first, some),
        "median_ids": median_ids,
        "median_depth": torch.where(some, median_depth.reshape(some.shape), 0),
        "strongest_ids": ids_at(places[:, 0], some),
        "counts": seen.sum(1),
        "top_ids": top_ids,
        "top_weights": top_weights,
    }  # fmt: skip
    clear_median = sure & ~(seen & ((front - 0.5).abs() < BAND)).any(1)
    gaps = best[:, :-1] - best[:, 1:]
    clear_top = sure & ((gaps[:, -1] > BAND) | (best[:, -1] == 0))
    surely = dict.fromkeys(outputs, sure) | {
        "median_ids": clear_median, "median_depth": clear_median,
        "top_ids": clear_top, "top_weights": clear_top,
        "strongest_ids": sure & ((gaps[:, 0] > BAND) | (best[:, 1] == 0)),
    }  # fmt: skip
    return Truth(outputs, surely, weights, alphas)


def assert_same(found: Any, expected: Truth) -> None:
    for name, image in expected.outputs.items():
        keep = expected.sure[name]
        assert keep.double().mean() > 0.5, name
        actual = found[name][keep]
        assert found[name].shape == image.shape
        if image.is_floating_point():
            assert torch.allclose(actual.double(), image[keep], rtol=1e-5, atol=1e-5), name
        else:
            assert found[name].dtype == torch.int32
            assert torch.equal(actual.long(), image[keep]), name
