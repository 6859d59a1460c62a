from __future__ import annotations

import pytest
import torch

from gsplat_core.activations import sigmoid


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_it_is_the_sigmoid_with_its_derivative():
    x = torch.linspace(-70, 30, 1001, dtype=torch.float64, requires_grad=True)
    expected = torch.sigmoid(x)
    torch.testing.assert_close(sigmoid(x), expected, rtol=1e-14, atol=0)
    (found,) = torch.autograd.grad(sigmoid(x).sum(), x)
    (wanted,) = torch.autograd.grad(expected.sum(), x)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-14)


def test_the_ends_are_finite_and_so_are_their_gradients():
    x = torch.tensor([-torch.inf, -1e30, -100, 100, 1e30, torch.inf], requires_grad=True)
    sigmoid(x).sum().backward()
    assert torch.equal(sigmoid(x) > 0.5, torch.tensor([False] * 3 + [True] * 3))
    assert x.grad.isfinite().all()
    assert sigmoid(torch.tensor(torch.nan)).isnan()


@pytest.mark.parametrize("count", [33_000, 40_001, 70_007, 100_003])
def test_the_bits_do_not_depend_on_the_number_of_threads(threads, count):
    x = 3 * torch.randn(count, generator=torch.Generator().manual_seed(0))
    results = []
    for number in (1, 2, 3, 4):
        threads(number)
        leaf = x.clone().requires_grad_()
        value = sigmoid(leaf)
        value.square().sum().backward()
        results.append((value.detach(), leaf.grad))
    for value, gradient in results[1:]:
        assert torch.equal(value, results[0][0])
        assert torch.equal(gradient, results[0][1])
