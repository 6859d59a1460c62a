"""Where sources, detectors and pixels are."""

from __future__ import annotations

import math

import pytest
import torch

from gsplat_core.tomography.grid import Grid
from gsplat_core.tomography.scanner import Beam, Scanner, circular

GRID = Grid((4, 5, 6), (0.5, 0.4, 0.3), (-1.2, -0.9, -1.0))
ANGLES = torch.tensor([0.0, 0.7, 2.0, 4.5])


def scanner_of(beam: Beam) -> Scanner:
    """With pixels that are not square, more along x than along y, and a detector that is off the axis."""
    return Scanner(beam, 7, 5, (0.3, 0.2), (0.11, -0.07), circular(ANGLES, 6.0), GRID, 6.0, 9.0)


def pixels_of(scanner: Scanner, points: torch.Tensor) -> torch.Tensor:
    """[C, ..., 2] where cameras see points [C, ..., 3]."""
    local = torch.einsum("cij,c...j->c...i", scanner.viewmats[:, :3, :3], points)
    local = local + scanner.viewmats[:, None, None, :3, 3]
    seen = local[..., :2] / local[..., 2:] if scanner.beam == "cone" else local[..., :2]
    K = scanner.Ks[:, None, None]
    return seen * K[..., :2, :2].diagonal(dim1=-2, dim2=-1) + K[..., :2, 2]


def test_the_source_turns_around_z_and_looks_at_it() -> None:
    viewmats = circular(ANGLES, 6.0)
    rotations = viewmats[:, :3, :3]
    for p, rotation, shift in zip(ANGLES.double(), rotations, viewmats[:, :3, 3], strict=True):
        c, s = p.cos(), p.sin()
        torch.testing.assert_close(-rotation.T @ shift, torch.stack([6 * c, 6 * s, 0 * c]))
        expected = torch.tensor([[-s, c, 0], [0, 0, -1], [-c, -s, 0]], dtype=torch.float64)
        torch.testing.assert_close(rotation, expected)
        assert rotation.det() > 0


@pytest.mark.parametrize("beam", ["cone", "parallel"])
def test_rays_go_through_the_centres_of_pixels(beam: Beam) -> None:
    scanner = scanner_of(beam)
    origins, directions = scanner.rays()
    assert origins.shape == (4, 5, 7, 3)
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones(4, 5, 7).double())
    y, x = torch.meshgrid(torch.arange(5) + 0.5, torch.arange(7) + 0.5, indexing="ij")
    seen = pixels_of(scanner, origins + 5.5 * directions)
    torch.testing.assert_close(seen, torch.stack([x, y], -1).double().expand(4, 5, 7, 2))


@pytest.mark.parametrize("beam", ["cone", "parallel"])
def test_pixels_see_the_same_in_the_unit_box(beam: Beam) -> None:
    scanner = scanner_of(beam)
    moved, scale = scanner.in_unit_box()
    points = torch.rand(4, 3, 2, 3, generator=torch.Generator().manual_seed(0)).double()
    inside = scale * (points - torch.tensor(GRID.centre))
    torch.testing.assert_close(pixels_of(moved, inside), pixels_of(scanner, points))
    assert max(moved.grid.size) == pytest.approx(2)
    assert moved.grid.centre == pytest.approx((0, 0, 0), abs=1e-12)
    expected = scale * (scanner.grid.points() - torch.tensor(GRID.centre))
    torch.testing.assert_close(moved.grid.points(), expected)


def test_the_axis_is_magnified() -> None:
    assert scanner_of("cone").lengths_per_pixel == pytest.approx(0.3 * 6 / 9)
    assert scanner_of("parallel").lengths_per_pixel == 0.3
    assert math.isclose(GRID.centres(0)[0], -1.2 + 0.25)
