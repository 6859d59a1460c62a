"""Detectors whose rows are somewhere else."""

from __future__ import annotations

import pytest
import torch

from gsplat_core.tomography.between_rows import between_rows
from gsplat_core.tomography.grid import Grid
from gsplat_core.tomography.phantoms import ball
from gsplat_core.tomography.scanner import Beam, Scanner, circular


def scanner_of(beam: Beam) -> Scanner:
    return Scanner(
        beam, 12, 40, (0.2, 0.06), (0.03, -0.02), circular([0.3, 1.0], 6.0), Grid.cube(4), 6.0, 9.0
    )


@pytest.mark.parametrize("beam", ["cone", "parallel"])
@pytest.mark.parametrize("share", [0.4, -0.4])
def test_interpolated_rows_are_what_a_moved_detector_measures(beam: Beam, share: float) -> None:
    scanner, body = scanner_of(beam), ball(radius=0.8, density=0.5)
    integrals = body.line_integrals(scanner)
    before = integrals.clone()
    moved, rows = between_rows(scanner, integrals, share)
    inner = (slice(None), slice(14, 26), slice(4, 8))  # chords have no derivative where the ball ends
    wrong = (rows - body.line_integrals(moved))[inner].abs().max()
    assert wrong < 0.1 * (integrals - body.line_integrals(moved))[inner].abs().max()
    assert torch.equal(integrals, before)


def test_the_ends_go_on_and_a_whole_row_is_the_next_one() -> None:
    values = torch.rand(2, 40, 12, generator=torch.Generator().manual_seed(0))
    _, down = between_rows(scanner_of("parallel"), values, 1.0)
    assert torch.equal(down[:, :-1], values[:, 1:])
    assert torch.equal(down[:, -1], values[:, -1])
    _, up = between_rows(scanner_of("parallel"), values, -1.0)
    assert torch.equal(up[:, 1:], values[:, :-1])
    assert torch.equal(up[:, 0], values[:, 0])
    with pytest.raises(ValueError, match="share"):
        between_rows(scanner_of("parallel"), values, 1.5)
