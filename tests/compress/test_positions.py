"""The lattice: finer in the middle, never further from a position than half its cell there."""

from __future__ import annotations

import torch
from compress.scenes import scene

from gsplat_core.compress.positions import Lattice


def test_errors_are_within_the_bound_at_any_distance() -> None:
    means = scene().means
    lattice = Lattice.around(means, 2**-8)
    errors = (lattice.positions(lattice.cells(means)) - means).abs()
    distance = (means - torch.tensor(lattice.centre)).abs()
    bound = (1 + 1e-4) * lattice.error_at(0) + distance * (lattice.error_at(1) - lattice.error_at(0)) * 1.01
    assert (errors <= bound + 1e-6).all()
    assert float(errors[distance < 0.5].max()) < 0.1 * float(errors.max())


def test_it_coarsens_rather_than_overflows() -> None:
    means = torch.tensor([[-1e20, 0, 0], [0, 0, 0], [1e20, 1e-3, 5]])
    lattice = Lattice.around(means, 1e-6)
    assert lattice.step > 1e-6
    torch.testing.assert_close(
        lattice.positions(lattice.cells(means))[:, 0], means[:, 0], rtol=1e-3, atol=1e-3
    )


def test_empty_and_single() -> None:
    for means in (torch.zeros(0, 3), torch.tensor([[1.0, 2, 3]])):
        lattice = Lattice.around(means, 1e-3)
        torch.testing.assert_close(lattice.positions(lattice.cells(means)), means)
