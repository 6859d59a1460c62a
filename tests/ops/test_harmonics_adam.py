"""Training SH coefficients during backward: the same bits as storing their gradients for the optimizer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from backends import opcheck
from splats import random_scene
from torch import Tensor

from gsplat_core import rasterization
from gsplat_core.ops.adam import adam_step_
from gsplat_core.optim import Adam

ops = torch.ops.gsplat_core
RATES = (2.5e-3, 1.25e-4)
OPTIONS = (0.9, 0.999, 1e-15, True)
STEP = 7


def coefficients(num: int, degree: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rest = (degree + 1) ** 2 - 1
    return torch.rand(1, num, 1, 3, generator=generator), torch.rand(1, num, rest, 3, generator=generator)


def backward_inputs(num: int, stored: int, degree: int) -> tuple[Any, ...]:
    """Arguments of the backward pass: two cameras, a third of the Gaussians out of sight."""
    generator = torch.Generator().manual_seed(0)
    scene = random_scene(num, cameras=2, width=40, height=30).tensors
    means, viewmats = scene["means"][None], scene["viewmats"][None]
    radii = (torch.rand(1, 2, num, 2, generator=generator) * 3).int()
    # More than one vector that nobody sees, so that whole blocks are skipped.
    radii[:, :, : num // 3] = 0
    sh0, shN = coefficients(num, stored, 0)
    colors = ops.spherical_harmonics(degree, means, viewmats, sh0, shN, radii)
    v_colors = torch.randn(1, 2, num, 3, generator=generator)
    return degree, means, viewmats, sh0, shN, radii, colors, v_colors


def moments(num: int, stored: int) -> list[Tensor]:
    first, rest = coefficients(num, stored, 1), coefficients(num, stored, 2)
    return [first[0] - 0.5, rest[0], first[1] - 0.5, rest[1]]


@pytest.mark.parametrize(("stored", "degree"), [(3, 3), (3, 1), (1, 1), (0, 0), (4, 4)])
@pytest.mark.parametrize("needs_camera", [False, True])
@pytest.mark.parametrize("isa", ops.available_isas().split())
def test_equals_a_stored_gradient_and_a_step_of_adam(
    stored: int, degree: int, needs_camera: bool, isa: str
) -> None:
    num, active = 5003, ops.isa()
    ops.set_isa(isa)
    try:
        inputs = backward_inputs(num, stored, degree)
        v_means, v_viewmats, *gradients = ops.spherical_harmonics_backward(*inputs, needs_camera)
        expected = [inputs[3].clone(), inputs[4].clone(), *moments(num, stored)]
        for i, (rate, gradient) in enumerate(zip(RATES, gradients, strict=True)):
            param, exp_avg, exp_avg_sq = expected[i], expected[2 + 2 * i], expected[3 + 2 * i]
            adam_step_(param, gradient, exp_avg, exp_avg_sq, None, STEP, rate, *OPTIONS)
        trained = moments(num, stored)
        result = ops.spherical_harmonics_backward_adam_(
            *inputs, needs_camera, *trained, STEP, *RATES, *OPTIONS
        )
    finally:
        ops.set_isa(active)
    assert torch.equal(result[0], v_means)
    assert torch.equal(result[1], v_viewmats)
    for actual, value in zip([inputs[3], inputs[4], *trained], expected, strict=True):
        assert torch.equal(actual, value)


def resting_moments(num: int, stored: int, degree: int) -> list[Tensor]:
    """Moments of a training whose coefficients above a degree have never had a gradient."""
    trained = moments(num, stored)
    for moment in trained[2:]:
        moment[:, :, (degree + 1) ** 2 - 1 :] = 0
    return trained


@pytest.mark.parametrize(("stored", "degree"), [(3, 0), (3, 1), (3, 2), (4, 0), (4, 3)])
@pytest.mark.parametrize("eps", [1e-15, 0.0])
@pytest.mark.parametrize("isa", ops.available_isas().split())
def test_coefficients_at_rest_make_no_difference(stored: int, degree: int, eps: float, isa: str) -> None:
    num, active = 1003, ops.isa()
    beta1, beta2, _, bias_correction = OPTIONS
    ops.set_isa(isa)
    try:
        results = []
        for at_rest in (False, True):
            inputs, trained = backward_inputs(num, stored, degree), resting_moments(num, stored, degree)
            v = ops.spherical_harmonics_backward_adam_(
                *inputs, False, *trained, STEP, *RATES, beta1, beta2, eps, bias_correction, at_rest
            )
            results.append([*v, inputs[3], inputs[4], *trained])
    finally:
        ops.set_isa(active)
    for looked_at, left_alone in zip(*results, strict=True):
        assert torch.equal(looked_at.view(torch.int32), left_alone.view(torch.int32))


def test_coefficients_at_rest_are_not_looked_at() -> None:
    degree = 1
    inputs, trained = backward_inputs(300, 3, degree), moments(300, 3)
    before = [tensor.clone() for tensor in (inputs[4], *trained[2:])]
    ops.spherical_harmonics_backward_adam_(*inputs, False, *trained, STEP, *RATES, *OPTIONS, True)
    for value, old in zip((inputs[4], *trained[2:]), before, strict=True):
        moved = (value != old).any(dim=(0, 1, 3))
        assert moved.tolist() == [True] * 3 + [False] * 12


def test_same_bytes_for_any_number_of_threads() -> None:
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            inputs, trained = backward_inputs(9001, 3, 3), moments(9001, 3)
            v = ops.spherical_harmonics_backward_adam_(*inputs, True, *trained, STEP, *RATES, *OPTIONS)
            results.append([*v, inputs[3], inputs[4], *trained])
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("needs_camera", [False, True])
def test_opcheck(needs_camera: bool) -> None:
    arguments = (*backward_inputs(20, 3, 3), needs_camera, *moments(20, 3), STEP, *RATES, *OPTIONS)
    opcheck(ops.spherical_harmonics_backward_adam_.default, arguments)


def test_wrong_moments_are_named() -> None:
    inputs, trained = backward_inputs(20, 3, 3), moments(20, 3)
    trained[2] = trained[2][:, :19]
    with pytest.raises(RuntimeError, match=r"'exp_avg' must have the shape of 'param', \[1, 20, 15, 3\]"):
        ops.spherical_harmonics_backward_adam_(*inputs, False, *trained, STEP, *RATES, *OPTIONS)


class Training:
    """A few steps of all parameters of a small scene on a target, with or without `sh_optimizer`."""

    def __init__(self) -> None:
        scene = random_scene(60, cameras=1, width=40, height=30).tensors
        self.cameras = {name: scene[name] for name in ("viewmats", "Ks")}
        sh0, shN = (part[0] for part in coefficients(60, 3, 0))
        named = {name: scene[name] for name in ("means", "quats", "scales", "opacities")}
        self.params = {
            name: value.clone().requires_grad_() for name, value in {**named, "sh0": sh0, "shN": shN}.items()
        }
        self.adam = Adam([{"params": [value], "lr": 1e-3} for value in self.params.values()])

    def step(self, in_backward: bool, sh_degree: int = 3) -> None:
        self.adam.zero_grad()
        p = self.params
        image, _, _ = rasterization(
            p["means"], p["quats"], p["scales"], p["opacities"], (p["sh0"], p["shN"]),
            **self.cameras, width=40, height=30, sh_degree=sh_degree,
            sh_optimizer=self.adam if in_backward else None,
        )  # fmt: skip
        image.square().mean().backward()
        assert (p["shN"].grad is None) == in_backward
        self.adam.step()


def test_training_is_the_same_with_and_without() -> None:
    stored, in_backward = Training(), Training()
    for _ in range(3):
        stored.step(in_backward=False)
        in_backward.step(in_backward=True)
    for name, expected in stored.params.items():
        assert torch.equal(in_backward.params[name], expected), name
        for key, value in stored.adam.state[expected].items():
            assert torch.equal(in_backward.adam.state[in_backward.params[name]][key], value), (name, key)


def test_training_is_the_same_while_the_degree_rises_and_falls() -> None:
    stored, in_backward = Training(), Training()
    for degree in (0, 0, 1, 3, 1, 0):
        stored.step(False, degree)
        in_backward.step(True, degree)
    first, second = stored.params["shN"], in_backward.params["shN"]
    assert torch.equal(first, second)
    for name, moment in stored.adam.state[first].items():
        assert torch.equal(moment, in_backward.adam.state[second][name]), name


def test_backward_twice_is_an_error_since_the_coefficients_have_changed() -> None:
    training = Training()
    p = training.params
    image, _, _ = rasterization(
        p["means"], p["quats"], p["scales"], p["opacities"], (p["sh0"], p["shN"]),
        **training.cameras, width=40, height=30, sh_degree=3, sh_optimizer=training.adam,
    )  # fmt: skip
    image.sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        image.sum().backward()


def test_coefficients_that_cannot_be_trained_in_backward_are_refused() -> None:
    training = Training()
    p = training.params
    for colors in (torch.cat([p["sh0"], p["shN"]], dim=1), (p["sh0"] * 1, p["shN"])):
        with pytest.raises(ValueError, match="'sh_optimizer' needs"):
            rasterization(
                p["means"], p["quats"], p["scales"], p["opacities"], colors,
                **training.cameras, width=40, height=30, sh_degree=3, sh_optimizer=training.adam,
            )  # fmt: skip


def test_an_optimizer_that_does_not_train_the_coefficients_is_refused() -> None:
    training = Training()
    training.adam = Adam([training.params["means"]])
    with pytest.raises(ValueError, match="not trained by this optimizer"):
        training.step(in_backward=True)
