"""The operator `activate` against PyTorch in double precision, and its contracts."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from backends import opcheck
from torch import Tensor

from gsplat_core.activations import activate

OP = torch.ops.gsplat_core


@pytest.fixture
def _threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def raw(num: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(num)
    log_scales = 3 * torch.randn(num, 3, generator=generator) - 4
    return log_scales.requires_grad_(), (5 * torch.randn(num, generator=generator)).requires_grad_()


def run(log_scales: Tensor, logits: Tensor) -> list[Tensor]:
    """Values and gradients."""
    scales, opacities = activate(log_scales, logits)
    loss = (scales * torch.arange(3)).sum() + opacities.square().sum()
    return [scales.detach(), opacities.detach(), *torch.autograd.grad(loss, [log_scales, logits])]


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("num", [0, 1, 5, 1003])
def test_values_and_gradients_are_those_of_exp_and_sigmoid(num: int) -> None:
    log_scales, logits = raw(num)
    expected = run(log_scales.detach().double().requires_grad_(), logits.detach().double().requires_grad_())
    for ours, double in zip(run(log_scales, logits), expected, strict=True):
        torch.testing.assert_close(ours.double(), double, rtol=1e-6, atol=5e-7)


@pytest.mark.usefixtures("kernels")
def test_the_ends_are_finite_and_what_is_no_number_stays_so() -> None:
    inf, nan = math.inf, math.nan
    log_scales = torch.tensor([[-inf, -1e30, -100.0], [100.0, inf, nan]])
    logits = torch.tensor([-inf, inf])
    scales, opacities = activate(log_scales, logits)
    assert (scales[0] >= torch.finfo(torch.float32).tiny).all()
    assert (scales[0] < 2e-38).all()
    assert scales[1, :2].tolist() == [inf, inf]
    assert scales[1, 2].isnan()
    assert 0 < opacities[0] < 2e-38
    assert opacities[1] == 1
    assert activate(log_scales, torch.tensor([nan, 0.0]))[1].isnan().tolist() == [True, False]


@pytest.mark.usefixtures("_threads")
def test_the_bits_do_not_depend_on_the_number_of_threads() -> None:
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(run(*raw(100_003)))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.usefixtures("backend")
def test_opcheck() -> None:
    log_scales, logits = raw(21)
    opcheck(OP.activate.default, (log_scales, logits))
    outputs = (x.detach() for x in activate(log_scales, logits))
    gradients = (torch.rand(21, 3), torch.rand(21))
    opcheck(OP.activate_backward.default, (*outputs, *gradients))


@pytest.mark.parametrize(
    ("log_scales", "logits", "message"),
    [
        (torch.zeros(4, 2), torch.zeros(4), r"'log_scales' must have shape \[\?, 3\], got \[4, 2\]"),
        (torch.zeros(4, 3), torch.zeros(3), r"'logits' must have shape \[4\], got \[3\]"),
        (torch.zeros(4, 3), torch.zeros(4).double(), "'logits' has the wrong dtype: expected Float"),
    ],
    ids=str,
)
def test_wrong_arguments_are_named(log_scales: Tensor, logits: Tensor, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        OP.activate(log_scales, logits)


def test_forward_mode_is_the_same_product() -> None:
    inputs, tangents = raw(9), tuple(x.detach() for x in raw(10))
    tangents = (tangents[0][:9], tangents[1][:9])
    _, forward = torch.func.jvp(activate, tuple(x.detach() for x in inputs), tangents)
    reverse = torch.autograd.grad(activate(*inputs), inputs, tangents)
    assert all(torch.equal(a, b) for a, b in zip(forward, reverse, strict=True))
