"""Nearest neighbours against SciPy's tree and by definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import cKDTree

from gsplat_core.ops.knn import knn


def brute_force(points: torch.Tensor, k: int) -> torch.Tensor:
    squared = (points[:, None] - points[None]).square().sum(-1)
    squared.fill_diagonal_(torch.inf)
    return squared.sort(dim=1).values[:, :k]


def clouds(num: int = 1000) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    cube = torch.rand(num, 3, generator=generator)
    return {
        "uniform": cube,
        "clusters of very different size": torch.cat([cube * 1e-4, cube * 10 + 3, cube[: num // 5] * 1e4]),
        "a plane": cube * torch.tensor([1.0, 1.0, 0.0]),
        "a line": cube * torch.tensor([0.0, 1.0, 0.0]),
        "a lattice, full of ties": torch.cartesian_prod(*[torch.arange(10.0)] * 3),
        "far from the origin": cube + 1e6,
    }


@pytest.mark.parametrize("name", clouds())
@pytest.mark.parametrize("k", [1, 3, 17])
def test_distances_agree_with_scipy(backend: str, name: str, k: int) -> None:
    points = clouds(1000 if backend == "cuda-on-cpu" else 5000)[name]
    indices, squared = knn(points, k)
    expected, _ = cKDTree(points.double().numpy()).query(points.double().numpy(), k=k + 1)
    np.testing.assert_allclose(squared.double().sqrt(), expected[:, 1:], rtol=1e-5, atol=1e-30)
    direct = (points[indices] - points[:, None]).square().sum(-1)
    torch.testing.assert_close(squared, direct, rtol=1e-6, atol=0)
    assert (indices != torch.arange(len(points))[:, None]).all()
    assert (squared.diff(dim=1) >= 0).all()


coordinates = st.floats(-1e3, 1e3, width=32) | st.sampled_from([0.0, 1.0, -1.0, 1e-30])


@pytest.mark.usefixtures("backend")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(2, 60).flatmap(lambda n: arrays(np.float32, (n, 3), elements=coordinates)), st.integers(1, 5)
)
def test_any_small_cloud(points: np.ndarray, k: int) -> None:
    cloud = torch.from_numpy(points)
    k = min(k, len(cloud) - 1)
    indices, squared = knn(cloud, k)
    torch.testing.assert_close(squared, brute_force(cloud, k), rtol=1e-6, atol=1e-38)
    assert all(len(set(row)) == k for row in indices.tolist())


def test_duplicates_are_neighbours_at_distance_zero(backend: str) -> None:
    num = 10_000 if backend == "cuda-on-cpu" else 200_000  # quadratic search would not return
    indices, squared = knn(torch.ones(num, 3), 3)
    assert (squared == 0).all()
    assert (indices != torch.arange(num)[:, None]).all()


def test_same_bytes_for_any_thread_count() -> None:
    points = clouds()["a lattice, full of ties"]
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            results.append(knn(points, 5))
    finally:
        torch.set_num_threads(before)
    for indices, squared in results[1:]:
        assert torch.equal(indices, results[0][0])
        assert torch.equal(squared, results[0][1])


@pytest.mark.usefixtures("backend")
def test_non_contiguous_points() -> None:
    points = torch.rand(3, 500, generator=torch.Generator().manual_seed(2)).T
    assert torch.equal(knn(points, 3)[0], knn(points.contiguous(), 3)[0])


@pytest.mark.usefixtures("backend")
def test_operator_check() -> None:
    torch.library.opcheck(torch.ops.gsplat_core.knn.default, (torch.rand(50, 3), 3))


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(
    ("points", "k", "message"),
    [
        (
            torch.tensor([[0.0, 0, 0], [torch.nan, 0, 0], [1, 1, 1], [0, torch.inf, 0]]),
            1,
            "2 of 4 rows, the first is row 1",
        ),
        (torch.zeros(3, 3), 3, "'k' .*\\(3\\), got 3"),
        (torch.zeros(3, 3), 0, "'k'"),
        (torch.zeros(3, 2), 1, r"'points' must have shape \[\?, 3\], got \[3, 2\]"),
        (torch.zeros(3, 3, dtype=torch.float64), 1, "'points' has the wrong dtype"),
        (torch.zeros(0, 3), 1, "'k'"),
    ],
)
def test_bad_arguments_are_named(points: torch.Tensor, k: int, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        knn(points, k)
