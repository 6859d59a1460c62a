"""Spherical harmonics in a basis of the scene: nothing is lost but what varies less than rounding errs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from gsplat_core.compress.container import Container
from gsplat_core.compress.latents import Basis
from gsplat_core.errors import DataError
from gsplat_core.ops.context_coder import encode_table

STEP = 0.1


def correlated(rows: int = 2000, columns: int = 24, directions: int = 5) -> Tensor:
    """Coefficients [rows, columns] that are combinations of a few."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(rows, directions, generator=generator)
    return hidden @ torch.randn(directions, columns, generator=generator)


def test_as_many_latents_as_the_scene_has_directions() -> None:
    assert Basis.fit(correlated(directions=5), STEP).numbers.shape == (24, 5)


def test_what_lies_along_the_directions_is_kept() -> None:
    coefficients = correlated()
    basis = Basis.fit(coefficients, STEP)
    again = basis.coefficients(basis.latents(coefficients))
    error = (again - coefficients).square().mean().sqrt()
    assert error < 0.01 * coefficients.square().mean().sqrt()  # the directions are rounded themselves
    torch.testing.assert_close(basis.latents(again), basis.latents(coefficients), rtol=1e-4, atol=1e-4)


def test_what_varies_less_than_rounding_errs_is_left_out() -> None:
    coefficients = correlated() + 0.1 * STEP * torch.randn(2000, 24)
    assert Basis.fit(coefficients, STEP).numbers.shape[1] == 5
    assert Basis.fit(coefficients, STEP / 100).numbers.shape[1] == 24
    assert Basis.fit(coefficients, 1000.0).numbers.shape[1] == 0


def test_rounded_latents_are_smaller_and_no_worse_than_rounded_coefficients() -> None:
    coefficients = correlated()
    basis = Basis.fit(coefficients, STEP)
    near = torch.full((len(coefficients), 3), -1, dtype=torch.int32)

    def coded(values: Tensor) -> tuple[int, Tensor]:
        numbers = (values / STEP).round()
        return len(encode_table(numbers.int(), near)), numbers * STEP

    size, latents = coded(basis.latents(coefficients))
    direct_size, direct = coded(coefficients)
    error = (basis.coefficients(latents) - coefficients).square().mean()
    assert size + len(basis.to_stream()) < 0.5 * direct_size
    assert error < (direct - coefficients).square().mean()


@pytest.mark.parametrize(("rows", "columns"), [(0, 9), (3, 0), (0, 0), (1, 9)])
def test_scenes_of_hardly_anything(rows: int, columns: int) -> None:
    coefficients = torch.ones(rows, columns)
    basis = Basis.fit(coefficients, STEP)
    again = basis.coefficients(basis.latents(coefficients))
    torch.testing.assert_close(again, coefficients, rtol=0, atol=0.01)


def test_a_file_holds_the_same_basis() -> None:
    basis = Basis.fit(correlated(), STEP)
    container = Container({"latents": 5}, {"basis": basis.to_stream()})
    assert torch.equal(Basis.from_container(container, 24).numbers, basis.numbers)


@pytest.mark.parametrize("entry", [-1, 25, 2.0, None])
def test_a_file_with_an_impossible_number_of_latents(entry: object) -> None:
    with pytest.raises(DataError, match="latents is"):
        Basis.from_container(Container({"latents": entry}, {}, Path("a.gsz")), 24)
