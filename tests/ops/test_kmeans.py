"""Assignment and means of k-means against their definitions in float64."""

from __future__ import annotations

import pytest
import torch
from backends import opcheck

from gsplat_core.ops.kmeans import cluster_means, nearest_centroids


def cloud(rows: int, dim: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed))


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(("rows", "dim", "count"), [(1, 1, 1), (100, 3, 7), (997, 45, 67), (500, 4, 256)])
def test_every_point_gets_its_nearest_centroid(rows: int, dim: int, count: int) -> None:
    points, centroids = cloud(rows, dim), cloud(count, dim, 1)
    labels, squared = nearest_centroids(points, centroids)
    distances = torch.cdist(points.double(), centroids.double(), compute_mode="donot_use_mm_for_euclid_dist")
    torch.testing.assert_close(squared.double(), distances.amin(dim=1).square(), rtol=1e-5, atol=1e-5)
    chosen = distances.gather(1, labels.long()[:, None]).squeeze(1).square()
    torch.testing.assert_close(squared.double(), chosen, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("kernels")
def test_the_first_of_equal_centroids_wins() -> None:
    centroids = cloud(5, 3)[[0, 1, 2, 1, 4, 2, 1, 3, 4]]
    labels, squared = nearest_centroids(centroids, centroids)
    assert labels.tolist() == [0, 1, 2, 1, 4, 2, 1, 7, 4]
    assert (squared == 0).all()


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("dim", [1, 5, 32, 45])
def test_means_are_weighted_and_zero_without_members(dim: int) -> None:
    points, weights = cloud(200, dim), torch.rand(200, generator=torch.Generator().manual_seed(3))
    labels = (torch.arange(200, dtype=torch.int32) * 7) % 11
    means, masses = cluster_means(points, labels, 12, weights)
    for cluster in range(11):
        mine = labels == cluster
        expected = (points[mine].double() * weights[mine, None]).sum(0) / weights[mine].sum()
        torch.testing.assert_close(means[cluster].double(), expected, rtol=1e-5, atol=1e-6)
    assert (means[11] == 0).all()
    assert masses[11] == 0
    torch.testing.assert_close(masses.sum(), weights.sum())
    unweighted, counts = cluster_means(points, labels, 12)
    torch.testing.assert_close(unweighted, cluster_means(points, labels, 12, torch.ones(200))[0])
    assert counts.tolist() == torch.bincount(labels, minlength=12).tolist()


def test_same_bytes_for_any_thread_count() -> None:
    points, centroids = cloud(5000, 9), cloud(100, 9, 1)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            labels, squared = nearest_centroids(points, centroids)
            results.append([labels, squared, *cluster_means(points, labels, 100)])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


@pytest.mark.usefixtures("backend")
def test_no_points_have_no_means() -> None:
    labels, squared = nearest_centroids(cloud(0, 3), cloud(4, 3))
    assert labels.shape == squared.shape == (0,)
    means, masses = cluster_means(cloud(0, 3), labels, 4)
    assert not means.any()
    assert not masses.any()


@pytest.mark.usefixtures("backend")
def test_operator_checks() -> None:
    points, centroids = cloud(50, 3), cloud(4, 3)
    opcheck(torch.ops.gsplat_core.nearest_centroids.default, (points, centroids))
    labels = nearest_centroids(points, centroids)[0]
    opcheck(torch.ops.gsplat_core.cluster_means.default, (points, labels, 4, torch.ones(50)))


@pytest.mark.usefixtures("backend")
def test_bad_arguments_are_named() -> None:
    points = cloud(5, 3)
    broken = points.clone()
    broken[3, 1] = torch.nan
    labels = torch.zeros(5, dtype=torch.int32)
    high = torch.tensor([0, 0, 1, 0, 0], dtype=torch.int32)
    for message, call in [
        ("'points' has NaN .* row 3", lambda: nearest_centroids(broken, points)),
        ("'centroids' has NaN .* row 3", lambda: nearest_centroids(points, broken)),
        (r"'centroids' must have shape \[\?, 3\]", lambda: nearest_centroids(points, points[:, :2])),
        ("'centroids' must have between 1", lambda: nearest_centroids(points, points[:0])),
        ("'labels' must be from 0 to 0, but row 2 is 1", lambda: cluster_means(points, high, 1)),
        ("'labels' has the wrong dtype", lambda: cluster_means(points, labels.long(), 1)),
        ("'weights' must have shape", lambda: cluster_means(points, labels, 1, torch.ones(4))),
    ]:
        with pytest.raises(RuntimeError, match=message):
            call()
