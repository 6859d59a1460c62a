"""k-means: fewer errors with every iteration, none where the codebook suffices, nothing by chance."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch

from gsplat_core.compress.kmeans import inertia, kmeans


def blobs(count: int = 8, rows: int = 2000, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    centres = 10 * torch.randn(count, 6, generator=generator)
    of = torch.randint(count, (rows,), generator=generator)
    return centres[of] + 0.1 * torch.randn(rows, 6, generator=generator)


def test_iterations_lower_the_inertia() -> None:
    points = torch.randn(3000, 10, generator=torch.Generator().manual_seed(1))
    errors = [inertia(points, *kmeans(points, 50, iterations)) for iterations in (0, 1, 2, 4, 8)]
    assert all(later < earlier for earlier, later in pairwise(errors))


def test_a_codebook_as_large_as_the_distinct_points_is_exact() -> None:
    distinct = torch.randn(40, 5, generator=torch.Generator().manual_seed(2))
    points = distinct[torch.arange(1000) % 40]  # random rows coincide: empty clusters must be used again
    assert inertia(points, *kmeans(points, 40, 40)) < 1e-12


def test_labels_belong_to_the_centroids_that_are_returned() -> None:
    points = blobs()
    centroids, labels = kmeans(points, 20, 3)
    assert torch.equal(labels.long(), torch.cdist(points, centroids).argmin(dim=1))


def test_minibatches_come_close_to_all_points() -> None:
    points = torch.randn(8000, 6, generator=torch.Generator().manual_seed(4))
    full = inertia(points, *kmeans(points, 64, 20))
    start = inertia(points, *kmeans(points, 64, 0))
    part = inertia(points, *kmeans(points, 64, 60, batch=1000))
    assert part - full < 0.25 * (start - full)


def test_weights_pull_the_centroids() -> None:
    points = torch.tensor([[0.0], [1.0], [2.0], [10.0]])
    centroids, _ = kmeans(points, 1, 1, weights=torch.tensor([1.0, 0.0, 0.0, 3.0]))
    assert centroids.item() == pytest.approx(7.5)


def test_far_from_the_origin_nothing_is_lost() -> None:
    points = blobs()
    near, far = kmeans(points, 8, 10), kmeans(points + 1000, 8, 10)
    assert (near[1] == far[1]).float().mean() > 0.99


def test_seed_decides_and_inputs_stay() -> None:
    points = blobs()
    copy = points.clone()
    first, again, other = kmeans(points, 30, 2, 5), kmeans(points, 30, 2, 5), kmeans(points, 30, 2, 6)
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first[0], other[0])
    assert torch.equal(points, copy)


def test_going_on_from_earlier_centroids() -> None:
    points = torch.randn(1000, 4, generator=torch.Generator().manual_seed(6))
    halfway, _ = kmeans(points, 20, 3)
    torch.testing.assert_close(kmeans(points, 20, 3, initial=halfway)[0], kmeans(points, 20, 6)[0])


@pytest.mark.parametrize(
    "options",
    [
        {"k": 0},
        {"k": 11},
        {"k": 2, "iterations": -1},
        {"k": 2, "batch": 0},
        {"k": 2, "weights": -torch.ones(10)},
        {"k": 2, "initial": torch.zeros(3, 2)},
    ],
)
def test_bad_arguments(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        kmeans(torch.rand(10, 2), **options)
