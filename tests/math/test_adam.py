"""A step of Adam against its definition, and first moments that vanish instead of becoming denormal."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest


@pytest.mark.parametrize("seed", range(4))
def test_a_step_is_that_of_the_definition(function: Callable, seed: int) -> None:
    rng = np.random.default_rng(seed)
    beta1, beta2, rate, eps, t = 0.9, 0.99, 0.02, 0.3, 3
    param, first, grad = rng.normal(size=3)
    second = rng.uniform(0.1, 1)
    step = [beta1, 1 - beta1, beta2, 1 - beta2, rate / (1 - beta1**t), 1 / np.sqrt(1 - beta2**t), eps]
    new_first = beta1 * first + (1 - beta1) * grad
    new_second = beta2 * second + (1 - beta2) * grad**2
    by = (new_first / (1 - beta1**t)) / (np.sqrt(new_second / (1 - beta2**t)) + eps)
    got = function("adam", [param, first, second, grad, *step], 3)
    np.testing.assert_allclose(got, [param - rate * by, new_first, new_second], rtol=2e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_first_moments_vanish_before_they_are_denormal(function: Callable, sign: int) -> None:
    step = [1.0, 0.0, 1.0, 0.0, 0.1, 1.0, 1e-15]
    param, first, _ = function("adam", [0.5, sign * 0.99e-30, 0.0, 0.0, *step], 3)
    assert (param, first) == (0.5, 0.0)
    kept = function("adam", [0.5, sign * 1.01e-30, 0.0, 0.0, *step], 3)[1]
    assert kept == pytest.approx(sign * 1.01e-30)
