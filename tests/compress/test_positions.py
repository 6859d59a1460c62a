"""The lattice: finer in the middle, never further from a position than half its cell there."""

from __future__ import annotations

import math

import numpy as np
import pytest
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


@pytest.mark.parametrize("step", [2.0**-8, 1e-9])
def test_cells_are_those_of_the_definition(step: float) -> None:
    """In double precision and by hand; a step that would take more than 20 bits is enlarged to what fits."""
    means = scene().means
    lattice = Lattice.around(means, step)
    x = means.double().numpy()
    centre = np.sort(x, axis=0)[(len(x) - 1) // 2]
    size = float((means - torch.from_numpy(centre).float()).abs().median())
    y = (x - centre) / size
    t = np.sign(y) * np.log1p(np.abs(y))
    least = (t.max(axis=0) - t.min(axis=0)).max() / (2**20 - 3)
    assert lattice.centre == tuple(centre)
    assert lattice.size == pytest.approx(size, rel=1e-6)
    assert lattice.step == (step if step > least else pytest.approx(least, rel=1e-6))
    low = np.round(t.min(axis=0) / lattice.step)
    assert np.abs(np.array(lattice.low) - low).max() <= (0 if step > least else 1)
    cells = lattice.cells(means).numpy()
    assert np.abs(cells - (np.round(t / lattice.step) - lattice.low)).max() <= (0 if step > least else 1)
    assert 0 <= cells.min() <= 1
    assert cells.max() < 2**20
    if step <= least:
        assert cells.max() >= 2**20 - 4  # all bits are used


def test_what_is_outside_comes_to_the_border() -> None:
    lattice = Lattice((0.0, 0.0, 0.0), 2.0, (-3, -2, -1), 0.5)
    far = torch.tensor([[1e30, -1e30, 0.0]])
    assert lattice.cells(far).tolist() == [[round(math.log1p(5e29) / 0.5) + 3, 0, 1]]
    fine = Lattice((0.0, 0.0, 0.0), 2.0, (-3, -2, -1), 1e-5)
    assert fine.cells(far).tolist() == [[2**20 - 1, 0, 1]]


def test_a_lattice_is_kept_to_the_bit() -> None:
    lattice = Lattice((1.5, -2.25, 1 / 3), 0.7, (-3, 2, 1), 0.1)
    assert Lattice.from_tensor(lattice.to_tensor()) == lattice
    assert Lattice(**lattice.to_json()) == lattice


def test_gaussians_in_one_place_have_a_lattice_of_their_own() -> None:
    lattice = Lattice.around(torch.full((3, 3), 2.0), 0.25)
    assert lattice == Lattice((2.0, 2.0, 2.0), 1e-12, (0, 0, 0), 0.25)


def test_errors_by_distance() -> None:
    """Half a cell: between the middles of cells 2 and 3 in t."""
    lattice = Lattice((0.0, 0.0, 0.0), 2.0, (0, 0, 0), 0.5)
    for number in (0, 3):
        middle = 2.0 * math.expm1(0.5 * number)
        edge = 2.0 * math.expm1(0.5 * (number + 0.5))
        assert lattice.error_at(middle) == pytest.approx(edge - middle)
