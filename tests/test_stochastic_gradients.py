"""gsplat_core/stochastic_gradients.py: gradients from values alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gsplat_core.stochastic_gradients import Parameter, Pixels, draw, of_rows, signs

NUM, PIXELS = 12, 40


def lists_of(seed: int = 0) -> Tensor:
    """[P, 3]: each pixel lists up to three of the rows, each once."""
    g = torch.Generator().manual_seed(seed)
    lists = torch.stack([torch.randperm(NUM, generator=g)[:3] for _ in range(PIXELS)])
    return torch.where(torch.rand(lists.shape, generator=g) < 0.2, -1, lists)


def scene() -> tuple[Callable[[list[Tensor]], Pixels], list[Tensor]]:
    """Losses of pixels that depend on the rows they list, and on a number that concerns all of them."""
    g = torch.Generator().manual_seed(1)
    lists = lists_of()
    weights = torch.randn(PIXELS, 3, 2, generator=g).double() * (lists >= 0)[..., None]
    values = [torch.randn(NUM, 2, generator=g).double(), torch.randn(1, generator=g).double()]

    def measure(moved: list[Tensor]) -> Pixels:
        rows, shared = moved
        seen = (weights * rows[lists.clamp(min=0)]).sum((1, 2))
        return Pixels((seen + shared).sin(), lists)

    return measure, values


def estimates(measure: Callable[[list[Tensor]], Pixels], values: list[Tensor], draws: int) -> list[Tensor]:
    """[draws, ...] for each parameter, of which the second is whole."""
    asked = [Parameter(values[0], 1e-4), Parameter(values[1], 1e-4, whole=True)]
    g = torch.Generator().manual_seed(2)
    found = [draw(measure, asked, g).gradients for _ in range(draws)]
    return [torch.stack(of_one) for of_one in zip(*found, strict=True)]


def true_gradients() -> list[Tensor]:
    measure, values = scene()
    leaves = [value.clone().requires_grad_() for value in values]
    return list(torch.autograd.grad(measure(leaves).losses.sum(), leaves))


def test_the_mean_is_the_gradient() -> None:
    measure, values = scene()
    for found, truth in zip(estimates(measure, values, 2000), true_gradients(), strict=True):
        error = found.std(0) / len(found) ** 0.5
        assert ((found.mean(0) - truth).abs() < 4.5 * error).all()
        assert (error < 0.3 * truth.abs().max()).all()


def test_the_variance_is_that_of_the_other_parameters_of_ones_pixels() -> None:
    """sum_p sum_{j in p, j != i} (d_j L_p)^2, where pixels share no two parameters."""
    lists = torch.arange(NUM).reshape(-1, 3)
    slopes = 1 + torch.arange(float(NUM)).double().reshape(-1, 3)

    def measure(moved: list[Tensor]) -> Pixels:
        return Pixels((slopes * moved[0][lists]).sum(1), lists)

    g = torch.Generator().manual_seed(3)
    asked = [Parameter(torch.zeros(NUM).double(), 1.0)]
    found = torch.stack([draw(measure, asked, g).gradients[0] for _ in range(3000)])
    squares = slopes.square()
    expected = (squares.sum(1, keepdim=True) - squares).flatten()
    torch.testing.assert_close(found.var(0), expected, rtol=0.15, atol=0)


def test_lists_leave_out_what_a_pixel_does_not_see() -> None:
    """So there is less noise than with the whole image for each parameter."""
    measure, values = scene()

    def without_lists(moved: list[Tensor]) -> Pixels:
        return Pixels(measure(moved).losses)

    rows, shared = estimates(measure, values, 300)
    rows_of_all, shared_of_all = estimates(without_lists, values, 300)
    assert (rows.std(0) < 0.8 * rows_of_all.std(0)).all()
    assert torch.equal(shared, shared_of_all)


def test_a_row_counts_each_pixel_that_either_rendering_lists_once() -> None:
    """Some Gaussians are in a pixel after a move only."""
    lists = torch.tensor([[0, 1, -1, 1, 2, -1], [2, -1, -1, 2, 0, -1], [-1, -1, -1, -1, -1, -1]])
    assert of_rows(torch.tensor([1.0, 10.0, 100.0]), lists, 4).tolist() == [11.0, 1.0, 11.0, 0.0]


def test_a_move_is_undone_by_its_opposite() -> None:
    """Both signs are drawn, and nothing else."""
    g = torch.Generator().manual_seed(0)
    drawn = signs(torch.zeros(1000), g)
    assert drawn.square().eq(1).all()
    assert abs(float(drawn.mean())) < 0.15


def test_untrusted_pixels_do_not_count() -> None:
    measure, values = scene()
    asked = [Parameter(values[0], 1e-4), Parameter(values[1], 1e-4, whole=True)]

    def nothing(plus: Pixels, minus: Pixels) -> Tensor:
        assert plus.losses.shape == minus.losses.shape
        return torch.zeros(PIXELS, dtype=torch.bool)

    assert not any(gradient.any() for gradient in draw(measure, asked, trusted=nothing).gradients)


@pytest.mark.parametrize(
    ("measured", "complaint"),
    [
        (torch.zeros(3), "one number"),
        (Pixels(torch.zeros(2, 2)), r"losses of pixels must be \[P\]"),
        (Pixels(torch.zeros(2), torch.zeros(3, 1, dtype=torch.long)), "lists of 2 pixels"),
        (Pixels(torch.zeros(2), torch.zeros(2, 1)), "integers"),
        (Pixels(torch.zeros(2), torch.full((2, 1), 7)), "whole=True"),
    ],
)
def test_what_does_not_fit_is_refused(measured: Pixels | Tensor, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        draw(lambda values: Pixels.of(measured), [Parameter(torch.zeros(5), 1e-3)])


def test_two_renderings_have_the_same_pixels() -> None:
    sizes = iter([2, 3])
    with pytest.raises(ValueError, match="same pixels"):
        draw(lambda values: Pixels(torch.zeros(next(sizes))), [Parameter(torch.zeros(5), 1e-3)])
