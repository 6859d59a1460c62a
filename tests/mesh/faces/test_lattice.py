"""Where Gaussians start in a triangle, and how large."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from meshes import ball

from gsplat_core.mesh.faces import Layout, face_model
from gsplat_core.mesh.faces.lattice import lattice, shortest_edges

EQUILATERAL = torch.tensor([[0, 0, 0], [1, 0, 0], [0.5, math.sqrt(3) / 2, 0]], dtype=torch.float64)


def borders(points: torch.Tensor, corners: torch.Tensor) -> torch.Tensor:
    """[K, 3] distances of points in the xy plane to the lines through the sides."""
    ends = corners.roll(-1, 0) - corners
    cross = ends[None, :, 0] * (points[:, None] - corners)[..., 1]
    cross = cross - ends[None, :, 1] * (points[:, None] - corners)[..., 0]
    return cross.abs() / ends.norm(dim=1)


@pytest.mark.parametrize("count", [1, 3, 4, 6])
def test_circles_of_sugar_lie_within_an_equilateral_triangle(count: int) -> None:
    """Those of one and of four touch its sides, and each other."""
    weights, radius = lattice(count)
    points = weights @ EQUILATERAL
    assert len(points) == count
    torch.testing.assert_close(weights.sum(1), torch.ones(count).double())
    room = borders(points, EQUILATERAL).min()
    assert room >= radius - 1e-9
    if count in (1, 4):
        assert room == pytest.approx(radius)
    if count == 4:
        assert torch.pdist(points).min() == pytest.approx(2 * radius)


def test_published_radii() -> None:
    root = math.sqrt(3)
    published = {
        1: 1 / (2 * root),
        3: 1 / (2 * (root + 1)),
        4: 1 / (4 * root),
        6: 1 / (4 + 2 * root),
        10: root / 3 / math.sqrt(10),
    }
    for count, radius in published.items():
        assert lattice(count).radius == pytest.approx(radius)


def test_lattices_of_more_points_are_even() -> None:
    for count in (10, 15, 21):
        points = lattice(count).weights @ EQUILATERAL
        rows = (math.isqrt(8 * count + 1) - 1) / 2
        nearest = (torch.cdist(points, points) + 9 * torch.eye(count).double()).amin(1)
        torch.testing.assert_close(nearest, torch.full((count,), 1 / rows).double())
        torch.testing.assert_close(points.mean(0), EQUILATERAL.mean(0))
    for count in (0, 2, 5, 7, 11):
        with pytest.raises(ValueError, match=f"no lattice of {count} points"):
            lattice(count)


def test_scales_are_shares_of_the_shortest_edge() -> None:
    corners = torch.tensor([[[0.0, 0, 0], [3, 0, 0], [0, 4, 0]]])
    assert float(shortest_edges(corners)) == 3
    for count in (1, 3, 4, 6):
        radii = face_model("sugar").radii(corners, count)
        torch.testing.assert_close(radii, torch.full((1, 2), 3 * lattice(count).radius))


def test_each_sound_face_has_as_many_and_neighbours_are_near_in_memory() -> None:
    mesh = ball(3)
    layout = Layout.of(mesh, 4)
    assert layout.num == 4 * len(mesh.faces) == len(layout.of_rows())
    assert torch.equal(layout.faces.sort(stable=True).values, torch.arange(len(mesh.faces)))
    corners = layout.corners(torch.from_numpy(mesh.vertices))
    steps = corners.mean(1).diff(dim=0).norm(dim=1)
    assert steps.median() < 0.2
    collapsed = mesh.with_faces(mesh.faces)
    collapsed.vertices[mesh.faces[7][0]] = collapsed.vertices[mesh.faces[7][1]]
    left = Layout.of(collapsed, 1)
    assert 7 not in left.faces
    assert np.all(collapsed.areas()[left.faces.numpy()] > 0)
