"""The operator itself: contracts of torch.library, determinism, instruction sets, checks."""

from __future__ import annotations

import pytest
import torch
from backends import opcheck
from torch import Tensor

from gsplat_core.ops.adam import adam_step_

OP = torch.ops.gsplat_core
HYPER = (3, 1e-2, 0.9, 0.999, 1e-15)


def arrays(*shape: int) -> list[Tensor]:
    """Parameter, gradient, first and second moment."""
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(*shape, generator=generator) for _ in range(3)]
    return [*values, torch.rand(*shape, generator=generator)]


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("masked", [False, True])
def test_opcheck(masked: bool) -> None:
    param, grad, exp_avg, exp_avg_sq = arrays(20, 3)
    visible = torch.arange(20) % 3 == 0 if masked else None
    opcheck(OP.adam_step_.default, (param, grad, exp_avg, exp_avg_sq, visible, *HYPER))


@pytest.mark.parametrize("masked", [False, True])
def test_same_bytes_for_any_number_of_threads(masked: bool) -> None:
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            values = arrays(9001, 15, 3)
            visible = torch.arange(9001) % 3 == 0 if masked else None
            adam_step_(values[0], values[1], values[2], values[3], visible, *HYPER)
            results.append(values)
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_instruction_sets_agree() -> None:
    active = OP.isa()
    results = []
    try:
        for isa in OP.available_isas().split():
            OP.set_isa(isa)
            values = arrays(1001, 3)
            adam_step_(values[0], values[1], values[2], values[3], None, *HYPER)
            results.append(values)
    finally:
        OP.set_isa(active)
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-5, atol=1e-7)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(
    "shape",
    [(300,), (300, 3), (300, 4), (300, 1, 3), (300, 7), (300, 16), (300, 8, 3), (300, 15, 3), (300, 0, 3)],
)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_visible_rows_are_updated_and_others_keep_their_bytes(shape: tuple[int, ...], share: float) -> None:
    visible = torch.rand(300, generator=torch.Generator().manual_seed(1)) < share
    before = arrays(*shape)
    everything = arrays(*shape)
    adam_step_(everything[0], everything[1], everything[2], everything[3], None, *HYPER)
    some = arrays(*shape)
    adam_step_(some[0], some[1], some[2], some[3], visible, *HYPER)
    for result, updated, kept in zip(some, everything, before, strict=True):
        torch.testing.assert_close(result[visible], updated[visible], rtol=1e-6, atol=1e-7)
        assert torch.equal(result[~visible], kept[~visible])


@pytest.mark.usefixtures("backend")
def test_a_gradient_need_not_be_contiguous() -> None:
    expected, values = arrays(50, 3), arrays(50, 3)
    adam_step_(expected[0], expected[1], expected[2], expected[3], None, *HYPER)
    adam_step_(values[0], values[1].t().contiguous().t(), values[2], values[3], None, *HYPER)
    assert torch.equal(values[0], expected[0])


@pytest.mark.usefixtures("backend")
def test_vanishing_first_moments_become_zero_not_denormal() -> None:
    param, grad, exp_avg, exp_avg_sq = (
        torch.ones(40),
        torch.zeros(40),
        torch.full((40,), 1.05e-30),
        torch.ones(40),
    )
    adam_step_(param, grad, exp_avg, exp_avg_sq, None, *HYPER)
    assert torch.equal(exp_avg, torch.zeros(40))


@pytest.mark.usefixtures("backend")
def test_wrong_arguments_are_named() -> None:
    param, grad, exp_avg, exp_avg_sq = arrays(20, 3)
    with pytest.raises(
        RuntimeError, match=r"'grad' must have the shape of 'param', \[20, 3\], got \[19, 3\]"
    ):
        adam_step_(param, grad[1:], exp_avg, exp_avg_sq, None, *HYPER)
    with pytest.raises(RuntimeError, match="'exp_avg' has the wrong dtype"):
        adam_step_(param, grad, exp_avg.double(), exp_avg_sq, None, *HYPER)
    with pytest.raises(RuntimeError, match=r"'visible' must have shape \[20\], got \[3\]"):
        adam_step_(param, grad, exp_avg, exp_avg_sq, torch.ones(3, dtype=torch.bool), *HYPER)
    with pytest.raises(RuntimeError, match="'visible' has the wrong dtype"):
        adam_step_(param, grad, exp_avg, exp_avg_sq, torch.ones(20), *HYPER)
    with pytest.raises(RuntimeError, match="'param' is updated in place and must be contiguous"):
        adam_step_(param.t(), grad.t(), exp_avg.t(), exp_avg_sq.t(), None, *HYPER)
    with pytest.raises(RuntimeError, match="'step' counts from 1"):
        adam_step_(param, grad, exp_avg, exp_avg_sq, None, 0, *HYPER[1:])
