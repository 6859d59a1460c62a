"""The context model: files are coded with whole numbers, which are the same whoever adds them up, and near
those that were trained."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gsplat_core.compress.context import Context, Exact, Kinds, Size, exact_factors
from gsplat_core.compress.hash_grid import HashGrid

KINDS = Kinds({"a": 5, "b": 3}, {"a": 1.0, "b": 0.05})
SIZE = Size(HashGrid((4, 12), 7, 2), 16)


def knots(count: int = 400) -> Tensor:
    return (50 * torch.randn(count, 3, generator=torch.Generator().manual_seed(0))).round().long()


def model(seed: int = 0) -> Context:
    """One that says something, as after training."""
    context = Context.started(SIZE, KINDS, seed)
    random = torch.Generator().manual_seed(seed)
    context.begin(knots(), torch.randn(400, 8, generator=random) * 2 + 1)
    context.tensors["grid"].normal_(generator=random)
    context.tensors["weights"] *= 10
    return context


def test_files_are_coded_with_nearly_what_was_trained() -> None:
    context = model()
    corners = context.corners(knots())
    trained, exact = context(corners), context.exact()(corners)
    torch.testing.assert_close(exact.means.double() / 2**12, trained.means.double(), rtol=0, atol=0.05)
    octaves = (trained.deviations / trained.steps).log2().double()
    coded = exact.deviations.double() / 8 - 3
    torch.testing.assert_close(coded, octaves.clamp(-3, 127 / 8 - 3), rtol=0, atol=0.2)
    steps = KINDS.of_columns(torch.tensor([1.0, 0.05]).double()) * exact.factors / 2**15
    torch.testing.assert_close(steps, trained.steps.double(), rtol=0.08, atol=0)


def summed_by_python(exact: Exact, inputs: Tensor) -> list[list[int]]:
    """The network's outputs from the integers of Python."""
    rows = inputs.tolist()
    for weights, biases, least in (("hidden_weights", "hidden_biases", 0), ("weights", "biases", None)):
        matrix, shifts = exact.tensors[weights].tolist(), exact.tensors[biases].tolist()
        rows = [
            [
                (sum(w * x for w, x in zip(line, row, strict=True)) + (shift << 12)) >> 8
                for line, shift in zip(matrix, shifts, strict=True)
            ]
            for row in rows
        ]
        if least is not None:
            rows = [[max(value, least) for value in row] for row in rows]
    return rows


def test_the_network_is_evaluated_as_python_adds_whole_numbers() -> None:
    context = model()
    exact, corners = context.exact(), context.corners(knots(60))
    signs = exact.tensors["grid"]
    read = (corners.weights[..., None] * signs[corners.rows]).sum(dim=2).flatten(1) >> 12
    places = (corners.places >> 4) - (1 << 12)
    outputs = torch.tensor(summed_by_python(exact, torch.cat([read, places], dim=1)))
    assert torch.equal(exact(corners).means, outputs[:, :8])


@pytest.mark.parametrize("size", [1.0, 1e9])
def test_any_order_of_rows_and_columns_and_any_threads_say_the_same(size: float) -> None:
    """What an order of summation could change; with the largest weights that a file can hold, too."""
    context = model()
    context.tensors["weights"] *= size
    context.tensors["hidden_weights"] *= size
    exact, corners = context.exact(), context.corners(knots())
    threads = torch.get_num_threads()
    order = torch.randperm(SIZE.hidden, generator=torch.Generator().manual_seed(1))
    shuffled = {
        **exact.tensors,
        "hidden_weights": exact.tensors["hidden_weights"][order],
        "hidden_biases": exact.tensors["hidden_biases"][order],
        "weights": exact.tensors["weights"][:, order],
    }
    first = exact(corners)
    try:
        torch.set_num_threads(3)
        again = Exact(SIZE, KINDS, shuffled, exact.log2_steps)(corners)
    finally:
        torch.set_num_threads(threads)
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one, other)


def test_no_entry_of_the_table_hangs_on_the_last_digit_of_a_library() -> None:
    for value in exact_factors():
        for scaled in (value * 2**15, math.log2(value) * 2**12):
            assert abs(scaled % 1 - 0.5) > 1e-6


def test_numbers_are_decoded_as_they_were_shown_and_whole_numbers_are_the_nearest() -> None:
    context = model()
    corners, exact = context.corners(knots()), context.exact()
    said = exact(corners)
    numbers = torch.randn(400, 8, generator=torch.Generator().manual_seed(3))
    wholes = exact.wholes(said, numbers)
    decoded = exact.numbers(said, wholes)
    steps = KINDS.of_columns(torch.tensor([1.0, 0.05]).double()) * said.factors / 2**15
    assert bool(((decoded - numbers).abs() <= 0.5001 * steps).all())
    assert torch.equal(exact.wholes(said, decoded), wholes)


def test_rounding_passes_gradients_straight_through() -> None:
    context = model()
    for tensor in context.tensors.values():
        tensor.requires_grad_()
    numbers = torch.randn(400, 8, requires_grad=True)
    said = context(context.corners(knots()))
    shown = said.rounded(numbers)
    pull = torch.randn(400, 8)
    (pull * shown).sum().backward()
    torch.testing.assert_close(numbers.grad, pull, rtol=1e-5, atol=1e-5)
    assert float(context.tensors["weights"].grad[-2:].abs().sum()) > 0  # of the steps
    torch.testing.assert_close(
        context.tensors["biases"].grad[:8], torch.zeros(8), rtol=0, atol=1e-3
    )  # of the means


def test_a_grid_of_one_sign_costs_nothing() -> None:
    context = model()
    mixed = float(context.grid_bits())
    assert 0.9 < mixed / context.tensors["grid"].numel() <= 1
    context.tensors["grid"].abs_()
    assert float(context.grid_bits()) < 0.01 * mixed
