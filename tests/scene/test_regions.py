"""Boxes and spheres contain what the inequalities of their definition say."""

from __future__ import annotations

import math

import pytest
import torch

from gsplat_core.errors import UsageError
from gsplat_core.scene.regions import Box, Sphere, box_of, inside, sphere_of

POINTS = 4 * torch.rand(2000, 3, generator=torch.Generator().manual_seed(0)) - 2


def test_a_box_is_between_its_corners_and_includes_them() -> None:
    found = box_of("-1,-0.5,0,1,0.5,1.5").contains(POINTS)
    expected = [-1 <= x <= 1 and -0.5 <= y <= 0.5 and 0 <= z <= 1.5 for x, y, z in POINTS.tolist()]
    assert found.tolist() == expected
    assert 0 < sum(expected) < len(expected)
    corners = torch.tensor([[-1, -0.5, 0], [1, 0.5, 1.5], [1, 0.5, 1.6]])
    assert box_of("-1,-0.5,0,1,0.5,1.5").contains(corners).tolist() == [True, True, False]


def test_a_box_with_open_sides_is_a_half_space() -> None:
    found = box_of("-inf,-inf,-inf,0.25,inf,inf").contains(POINTS)
    assert torch.equal(found, POINTS[:, 0] <= 0.25)


def test_a_box_is_turned_about_its_middle() -> None:
    """By 90 degrees about z its sides along x and y change places."""
    half = math.sqrt(0.5)
    turned = box_of(f"0,0,-1,2,1,1,{half},0,0,{half}")
    expected = Box((0.5, -0.5, -1), (1.5, 1.5, 1))
    off = (POINTS[:, :2] - torch.tensor([1.0, 0.5])).abs()
    clear = ((off - 0.5).abs() > 1e-6).all(1) & ((off - 1).abs() > 1e-6).all(1)
    assert torch.equal(turned.contains(POINTS)[clear], expected.contains(POINTS)[clear])
    by_45 = box_of(f"-1,-1,-1,1,1,1,{math.cos(math.pi / 8)},0,0,{math.sin(math.pi / 8)}")
    diamond = (POINTS[:, :2].abs().sum(1) <= math.sqrt(2)) & (POINTS[:, 2].abs() <= 1)
    assert torch.equal(by_45.contains(POINTS), diamond)


def test_a_sphere_is_within_its_radius() -> None:
    expected = [math.dist(point, (0.5, 0, -1)) <= 1.25 for point in POINTS.double().tolist()]
    assert sphere_of("0.5,0,-1,1.25").contains(POINTS).tolist() == expected


def test_several_regions_are_their_union() -> None:
    box, sphere = box_of("0,0,0,1,1,1"), sphere_of("-1,0,0,0.5")
    assert torch.equal(inside(POINTS, [box, sphere]), box.contains(POINTS) | sphere.contains(POINTS))
    assert not inside(POINTS, []).any()


@pytest.mark.parametrize(
    ("make", "text", "problem"),
    [
        (box_of, "1,2,3", "not 3 numbers"),
        (box_of, "0,0,0,1,1,x", "a box is x0,y0,z0,x1,y1,z1"),
        (box_of, "0,0,0,1,1,0", "is empty"),
        (box_of, "1,0,0,0,1,1", "is empty"),
        (box_of, "0,0,0,1,1,nan", "not nan"),
        (box_of, "0,0,0,1,1,inf,0.5,0.5,0.5,0.5", "finite"),
        (box_of, "0,0,0,1,1,1,0,0,0,0", "not zero"),
        (sphere_of, "0,0,0", "a sphere is x,y,z,r"),
        (sphere_of, "0,0,0,0", "positive radius"),
        (sphere_of, "0,0,0,inf", "finite centre"),
        (sphere_of, "", "a sphere is x,y,z,r"),
    ],
)
def test_what_is_no_region(make, text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        make(text)


def test_a_sphere_includes_its_border() -> None:
    places = torch.tensor([[1.0, 0, 0], [0, 1.0001, 0]])
    assert Sphere((0.0, 0.0, 0.0), 1.0).contains(places).tolist() == [True, False]
