"""Neighbours by definition: all distances in float64, and SciPy's tree for many points."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from backends import opcheck
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import cKDTree
from torch import Tensor

from gsplat_core.ops.neighbors import knn, neighbors_within


def all_distances(points: Tensor, queries: Tensor | None, own: Tensor | None = None) -> Tensor:
    """[Q, N] squared, float64; infinity to what a query must not find."""
    places = points if queries is None else queries
    own = torch.arange(len(points)) if queries is None else own
    squared = (places.double()[:, None] - points.double()).square().sum(-1)
    if own is not None:
        squared[torch.arange(len(places))[own >= 0], own[own >= 0]] = torch.inf
    return squared


def brute_force(squared: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The nearest first, equally near ones by their index; -1 at infinity where there are fewer."""
    squared = torch.cat([squared, squared.new_full((len(squared), k), torch.inf)], dim=1)
    found, indices = squared.sort(dim=1, stable=True)
    return indices.masked_fill(found.isinf(), -1)[:, :k], found[:, :k]


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


@pytest.mark.usefixtures("backend")
def test_equally_near_ones_are_ordered_by_index() -> None:
    """On a lattice, whose distances are exact, so indices can be compared, too."""
    points = torch.cartesian_prod(*[torch.arange(5.0)] * 3)
    points = points[torch.randperm(125, generator=torch.Generator().manual_seed(0))]
    queries = torch.cat([points[::7], points[:20] + 0.5, torch.full((1, 3), 100.0)])
    own = torch.full((len(queries),), -1)
    own[:18] = torch.arange(0, 125, 7)
    for places, skipped in ((None, None), (points, None), (queries, own)):
        squared = all_distances(points, places, skipped)
        for k in (1, 6, 40, 200):  # 200 are more than there are
            indices, distances = brute_force(squared, k)
            found = knn(points, k, places, own=skipped)
            assert torch.equal(found[0], indices)
            assert torch.equal(found[1], distances.float())
        for radius in (0.0, 1.0, 2.0, 1e6):
            near = (squared <= radius**2) & squared.isfinite()
            ordered, order = squared.masked_fill(~near, torch.inf).sort(dim=1, stable=True)
            offsets, found_indices, distances = neighbors_within(points, radius, places, own=skipped)
            assert torch.equal(offsets.diff(), near.sum(1))
            assert torch.equal(found_indices, order[ordered.isfinite()])
            assert torch.equal(distances, ordered[ordered.isfinite()].float())


coordinates = st.floats(-1e3, 1e3, width=32) | st.sampled_from([0.0, 1.0, -1.0, 1e-30])
small_clouds = st.integers(0, 60).flatmap(lambda n: arrays(np.float32, (n, 3), elements=coordinates))


@pytest.mark.usefixtures("backend")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(small_clouds, st.none() | small_clouds, st.integers(1, 5), st.floats(0, 2e3, width=32))
def test_any_small_cloud(cloud: np.ndarray, places: np.ndarray | None, k: int, radius: float) -> None:
    points = torch.from_numpy(cloud)
    queries = None if places is None else torch.from_numpy(places)
    squared = all_distances(points, queries)
    for limit in (None, radius):
        indices, distances = knn(points, k, queries, radius=limit)
        there = indices >= 0
        assert (distances[~there] == torch.inf).all()
        assert all(len(set(row[row >= 0].tolist())) == (row >= 0).sum() for row in indices)
        if limit is None:
            expected = brute_force(squared, k)[1]
            torch.testing.assert_close(distances.double(), expected, rtol=1e-5, atol=1e-37)
    offsets, indices, distances = neighbors_within(points, radius, queries)
    rows = torch.arange(len(offsets) - 1).repeat_interleave(offsets.diff())
    truth = squared[rows, indices]
    torch.testing.assert_close(distances.double(), truth, rtol=1e-5, atol=1e-37)
    found = torch.zeros_like(squared, dtype=torch.bool)
    found[rows, indices] = True
    assert int(found.sum()) == len(indices)
    limit = torch.tensor(radius, dtype=torch.float64).square()
    clearly = ((squared - limit).abs() > 1e-5 * (squared + limit) + 1e-37) & squared.isfinite()
    assert torch.equal(found[clearly], (squared <= limit)[clearly])


@pytest.mark.usefixtures("backend")
def test_at_most_k_within_a_radius_are_the_first_of_all_within_it() -> None:
    g = torch.Generator().manual_seed(3)
    points, queries, radii = (
        torch.rand(200, 3, generator=g),
        torch.rand(70, 3, generator=g),
        torch.rand(70, generator=g),
    )
    offsets, indices, squared = neighbors_within(points, radii / 2, queries)
    few, distances = knn(points, 8, queries, radius=radii / 2)
    counts = offsets.diff()
    assert bool((counts < 8).any() and (counts > 8).any())
    for row in range(70):
        first = slice(int(offsets[row]), int(offsets[row]) + min(int(counts[row]), 8))
        kept = int(counts[row].clamp(max=8))
        assert torch.equal(few[row, :kept], indices[first])
        assert torch.equal(distances[row, :kept], squared[first])
        assert (few[row, kept:] == -1).all()


def test_duplicates_are_neighbours_at_distance_zero(backend: str) -> None:
    num = 5_000 if backend == "cuda-on-cpu" else 200_000  # quadratic search would not return
    indices, squared = knn(torch.ones(num, 3), 3)
    assert (squared == 0).all()
    assert indices[:5].tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2], [0, 1, 2]]
    assert (indices[5:] == torch.arange(3)).all()


def test_same_bytes_for_any_thread_count() -> None:
    points = clouds()["a lattice, full of ties"]
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            results.append([*knn(points, 5), *neighbors_within(points, 1.5, points + 0.25)])
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


@pytest.mark.usefixtures("backend")
def test_non_contiguous_points() -> None:
    points = torch.rand(3, 500, generator=torch.Generator().manual_seed(2)).T
    assert torch.equal(knn(points, 3)[0], knn(points.contiguous(), 3)[0])
    assert torch.equal(knn(points, 3, points[::2])[0], knn(points, 3, points[::2].contiguous())[0])


@pytest.mark.usefixtures("backend")
def test_operator_check() -> None:
    points, queries, own, radii = torch.rand(50, 3), torch.rand(20, 3), torch.arange(20), torch.rand(20)
    opcheck(torch.ops.gsplat_core.knn.default, (points, 3))
    opcheck(torch.ops.gsplat_core.knn.default, (points, 3, queries, own, radii))
    opcheck(torch.ops.gsplat_core.neighbors_within.default, (points, radii, queries, own))


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"points": torch.tensor([[0.0, 0, 0], [torch.nan, 0, 0], [1, 1, 1], [0, torch.inf, 0]])},
            "'points' .* 2 of 4 rows, the first is row 1",
        ),
        ({"queries": torch.full((2, 3), torch.nan)}, "'queries' .* 2 of 2 rows"),
        ({"k": 0}, "'k'"),
        ({"points": torch.zeros(3, 2)}, r"'points' must have shape \[\?, 3\], got \[3, 2\]"),
        ({"queries": torch.zeros(3, 4)}, r"'queries' must have shape \[\?, 3\], got \[3, 4\]"),
        ({"points": torch.zeros(3, 3, dtype=torch.float64)}, "'points' has the wrong dtype"),
        ({"own": torch.zeros(3, dtype=torch.int64)}, "'own' is for queries"),
        (
            {"queries": torch.zeros(2, 3), "own": torch.zeros(3, dtype=torch.int64)},
            r"'own' .* \[2\], got \[3\]",
        ),
        ({"radius": torch.zeros(2)}, r"'radii' must have shape \[3\], got \[2\]"),
        ({"radius": -1.0}, "'radius' must not be negative"),
        ({"radius": torch.full((3,), torch.nan)}, "'radius' must not be negative, nor NaN"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises((RuntimeError, ValueError), match=message):
        knn(**{"points": torch.zeros(3, 3), "k": 1, **arguments})
    if "k" not in arguments:
        with pytest.raises((RuntimeError, ValueError), match=message):
            neighbors_within(**{"points": torch.zeros(3, 3), "radius": 1.0, **arguments})
