"""Boxes of the scene that two views look at: their sizes, what they contain, what stands before them."""

from __future__ import annotations

import torch

from gsplat_core.densify import Lens
from gsplat_core.densify.zones import Zones, bounding_box, in_front, inside_sphere, union, zone

TWO = Zones(torch.tensor([[0.0, 0, 0], [10, 0, 0]]), torch.tensor([[2.0, 4, 6], [14, 3, 8]]))


def test_centres_and_spheres_within() -> None:
    assert TWO.centers.tolist() == [[1, 2, 3], [12, 1.5, 4]]
    assert TWO.radii.tolist() == [1.0, 1.5]
    assert len(TWO) == 2


def test_points_lie_in_any_of_the_boxes_but_not_on_their_sides() -> None:
    points = torch.tensor(
        [[1.0, 1, 1], [12, 1, 1], [5, 1, 1], [2, 1, 1], [1, 0, 1], [1, 3.9, 5.9], [12, 3.5, 1]]
    )
    assert TWO.contain(points).tolist() == [True, True, False, False, False, True, False]
    assert TWO.contain(torch.zeros(0, 3)).shape == (0,)


def test_spheres_reach_to_the_nearest_sides() -> None:
    points = torch.tensor([[12.0, 1.5, 4], [13.5, 1.5, 4], [13.6, 1.5, 4], [12, 0.1, 4], [13.2, 2.7, 4]])
    assert inside_sphere(TWO, 1, points).tolist() == [True, True, False, True, False]


def test_a_union_has_the_boxes_of_all() -> None:
    both = union([TWO, Zones(torch.zeros(0, 3), torch.zeros(0, 3)), TWO])
    assert torch.equal(both.lower, TWO.lower.repeat(2, 1))
    assert torch.equal(both.upper, TWO.upper.repeat(2, 1))
    assert len(union([])) == 0


def test_a_box_bounds_its_pixels() -> None:
    assert bounding_box(torch.tensor([[3.0, 9], [1, 4], [2, 12]])).tolist() == [1, 4, 3, 12]


def test_corresponding_places_of_the_borders_are_paired() -> None:
    """Two views of one rectangle: only the rays through the same places of its border meet on it."""
    K = torch.tensor([[60.0, 0, 20], [0, 60, 20], [0, 0, 1]])
    aside = torch.eye(4)
    aside[0, 3] = -1.0
    corners = torch.tensor([[-0.5, -0.3, 3.0], [0.7, 0.4, 3.0]])
    lenses = Lens(torch.eye(4), K, 40, 40), Lens(aside, K, 40, 40)
    boxes = []
    for lens in lenses:
        seen = corners + lens.viewmat[:3, 3]
        boxes.append(bounding_box(seen[:, :2] / seen[:, 2:] * 60 + 20))
    found = zone(lenses[0], boxes[0], lenses[1], boxes[1], largest=2.0)
    torch.testing.assert_close(found.lower[0, :2], corners[0, :2], atol=1e-4, rtol=0)
    torch.testing.assert_close(found.upper[0, :2], corners[1, :2], atol=1e-4, rtol=0)
    # A flat zone is made as thick as a tenth of its diagonal.
    diagonal = (corners[1] - corners[0]).norm()
    torch.testing.assert_close(found.upper[0, 2] - found.lower[0, 2], 0.1 * diagonal, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.centers[0, 2], torch.tensor(3.0), atol=1e-4, rtol=0)


def test_from_within_its_sphere_what_is_nearer_than_the_centre_is_in_front() -> None:
    camera = torch.tensor([1.0, 2, 2.5])
    points = torch.tensor([[1.0, 2, 2.9], [1, 2, 3.1], [1, 2, 2.4]])
    assert in_front(TWO, 0, camera, points).tolist() == [True, False, False]
