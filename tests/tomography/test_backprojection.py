"""A sphere comes back with its density, wherever it is and however the scanner is set up."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from make_phantom import make_scan

from gsplat_core.tomography.backprojection import angular_weights, fdk
from gsplat_core.tomography.grid import Grid
from gsplat_core.tomography.phantoms import ball
from gsplat_core.tomography.scanner import Beam, Scanner, circular

AT = (0.3, -0.2, 0.1)
BODY = ball(0.5, 0.8, AT)


def scanner_of(beam: Beam, angles: torch.Tensor, offset: tuple[float, float] = (0.0, 0.0)) -> Scanner:
    spacing = 0.1 * (1.5 if beam == "cone" else 1.0)
    return Scanner(beam, 36, 30, (spacing, spacing), offset, circular(angles, 6.0), Grid.cube(16), 6.0, 9.0)


def densities(scanner: Scanner, hann: bool = False) -> tuple[float, float]:
    """The mean inside the sphere, and that well outside of it."""
    volume = fdk(scanner, BODY.line_integrals(scanner), hann=hann)
    distance = (scanner.grid.points() - torch.tensor(AT)).norm(dim=-1)
    return float(volume[distance < 0.3].mean()), float(volume[(distance > 0.8) & (distance < 1)].mean())


FULL = {"cone": 2 * math.pi, "parallel": math.pi}


@pytest.mark.parametrize("beam", ["cone", "parallel"])
@pytest.mark.parametrize("hann", [False, True])
def test_a_sphere_has_its_density(beam: Beam, hann: bool) -> None:
    angles = torch.arange(60).double() / 60 * FULL[beam]
    inside, outside = densities(scanner_of(beam, angles, (0.15, -0.1)), hann)
    assert inside == pytest.approx(0.8, rel=0.02)
    assert outside == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("beam", ["cone", "parallel"])
def test_angles_may_be_uneven_and_in_any_order(beam: Beam) -> None:
    shares = torch.rand(90, generator=torch.Generator().manual_seed(0)).double()
    inside, _ = densities(scanner_of(beam, (shares + 5) * FULL[beam]))
    assert inside == pytest.approx(0.8, rel=0.04)


def test_half_a_turn_of_a_parallel_beam_is_as_good_as_a_whole_one() -> None:
    half = torch.arange(40).double() / 40 * math.pi
    whole = torch.cat([half, half + math.pi])
    first, second = (
        fdk(s, BODY.line_integrals(s)) for s in (scanner_of("parallel", a) for a in (half, whole))
    )
    torch.testing.assert_close(first, second, rtol=0, atol=2e-4)


def test_weights_are_halves_of_the_gaps_to_both_sides() -> None:
    angles = torch.tensor([0.0, 2.0, 1.0, 4.0])
    weights = angular_weights(scanner_of("cone", angles))
    rest = 2 * math.pi - 4
    expected = torch.tensor([1 + rest, 3.0, 2.0, 2 + rest], dtype=torch.float64) / 2
    torch.testing.assert_close(weights, expected)


def test_a_gap_in_the_circle_gives_its_neighbours_no_large_weights() -> None:
    weights = angular_weights(scanner_of("cone", torch.arange(100).double() / 100 * 3.5))
    assert float(weights.max()) < 1.6 * float(weights.median())
    assert float(weights.sum()) == pytest.approx(2 * math.pi)


def test_shapes_must_fit() -> None:
    scan = make_scan("shepp-logan", "cone", 3, 0, 8, 4, 0, 0)
    with pytest.raises(ValueError, match=r"\[C, H, W\] = \[3, 8, 8\], got \[3, 8, 7\]"):
        fdk(scan.scanner, scan.integrals[..., :7])
    with pytest.raises(ValueError, match="= \\[0"):
        fdk(replace(scan.scanner, viewmats=scan.scanner.viewmats[:0]), scan.integrals[:0])
