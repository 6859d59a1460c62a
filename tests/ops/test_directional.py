"""The operator `directional_slices` against PyTorch in double precision, and its contracts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from backends import opcheck
from torch import Tensor

from gsplat_core.ops.directional import directional_slices, formula

OP = torch.ops.gsplat_core
NAMES = ("means", "opacities", "directions", "lobe_quats", "lobe_scales", "slopes", "centre")


@pytest.fixture
def _threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def arguments(num: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    g = torch.Generator().manual_seed(num)
    shapes = ((3,), (), (3,), (4,), (3,), (3, 3))
    means, opacities, directions, quats, scales, slopes = (torch.randn(num, *s, generator=g) for s in shapes)
    rows = [means, opacities.sigmoid(), directions, quats, 0.5 * scales, 0.3 * slopes]
    return [x.to(dtype).requires_grad_() for x in (*rows, torch.tensor([0.5, -1.0, -4.0]))]


def run(inputs: list[Tensor], detached: bool, falloff: float = 0.35) -> list[Tensor]:
    """Values and gradients."""
    means, opacities = directional_slices(*inputs, falloff, detached)
    weights = torch.tensor([1.0, -2.0, 0.5]).to(means)
    loss = (means * weights).sum() + 3 * opacities.square().sum()
    return [means.detach(), opacities.detach(), *torch.autograd.grad(loss, inputs)]


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("num", [0, 1, 5, 1003])
def test_values_and_gradients_are_those_of_the_formula(num: int, detached: bool) -> None:
    inputs = arguments(num)
    doubles = [x.detach().double().requires_grad_() for x in inputs]
    names = ("means", "opacities", *(f"gradient of {name}" for name in NAMES))
    for name, ours, double in zip(names, run(inputs, detached), run(doubles, detached), strict=True):
        assert torch.allclose(ours.double(), double, rtol=2e-5, atol=2e-5), name


def test_the_formula_has_the_derivatives_of_its_values() -> None:
    assert torch.autograd.gradcheck(lambda *x: formula(*x, 0.35, False), arguments(4, torch.float64))


def test_detached_directions_are_constants_to_the_means_alone() -> None:
    inputs = arguments(4, torch.float64)
    fixed = inputs[0].detach()
    means, opacities = formula(fixed, *inputs[1:], 0.35, False)
    loss = ((inputs[0] + means - fixed) * torch.tensor([1.0, -2.0, 0.5]).double()).sum()
    expected = torch.autograd.grad(loss + 3 * opacities.square().sum(), inputs)
    for ours, theirs in zip(run(inputs, True)[2:], expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    attached = run(inputs, False)[2:]
    same = [torch.allclose(ours, theirs) for ours, theirs in zip(attached, expected, strict=True)]
    assert same == [name != "means" for name in NAMES]


@pytest.mark.usefixtures("kernels")
def test_what_no_camera_sees_gets_no_gradient_that_is_not_finite() -> None:
    inputs = arguments(40)
    with torch.no_grad():
        inputs[4][::2] = -60.0  # far from any lobe: invisible
        inputs[3][4] = 0.0  # no rotation, and so no place
        inputs[0][6] = inputs[6]  # at the camera
    means, opacities = directional_slices(*inputs, 1.0)
    dark = torch.arange(40) % 2 == 0
    dark[4] = False
    assert not bool((opacities[dark] > 1e-30).any())
    assert bool(means[4].isnan().all())
    assert 0 <= float(opacities[4].detach()) <= 1
    loss = (means[1::2].sum() + opacities[1::2].sum(), inputs[:6])
    for gradient in torch.autograd.grad(*loss):
        assert not gradient[::2].any()
        assert bool(gradient[1::2].isfinite().all())
        assert bool(gradient[1::2].any())


@pytest.mark.usefixtures("_threads")
def test_the_bits_do_not_depend_on_the_number_of_threads() -> None:
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        inputs = arguments(30_011)
        results.append(run(inputs, False))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.usefixtures("backend")
def test_opcheck() -> None:
    inputs = arguments(21)
    opcheck(OP.directional_slices.default, (*inputs, 0.35, False))
    fixed = [x.detach() for x in inputs]
    for wants_along in (False, True):
        gradients = (torch.rand(21, 3), torch.rand(21), wants_along)
        opcheck(OP.directional_slices_backward.default, (*fixed, 0.35, True, *gradients))


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("means", (4, 2), r"'means' must have shape \[\?, 3\], got \[4, 2\]"),
        ("opacities", (3,), r"'opacities' must have shape \[4\], got \[3\]"),
        ("directions", (4,), r"'directions' must have shape \[4, 3\], got \[4\]"),
        ("lobe_quats", (4, 3), r"'lobe_quats' must have shape \[4, 4\], got \[4, 3\]"),
        ("lobe_scales", (5, 3), r"'lobe_scales' must have shape \[4, 3\], got \[5, 3\]"),
        ("slopes", (4, 9), r"'slopes' must have shape \[4, 3, 3\], got \[4, 9\]"),
        ("centre", (1, 3), r"'centre' must have shape \[3\], got \[1, 3\]"),
    ],
)
def test_wrong_arguments_are_named(name: str, shape: tuple[int, ...], message: str) -> None:
    inputs = dict(zip(NAMES, (x.detach() for x in arguments(4)), strict=True))
    with pytest.raises(RuntimeError, match=message):
        OP.directional_slices(*(inputs | {name: torch.zeros(shape)}).values(), 0.35, False)
    with pytest.raises(RuntimeError, match="'v_means' must have shape"):
        OP.directional_slices_backward(
            *inputs.values(), 0.35, False, torch.zeros(5, 3), torch.zeros(4), False
        )


def test_forward_mode_is_the_transpose_of_reverse_mode() -> None:
    inputs = [x.detach() for x in arguments(9)]
    tangents = tuple(0.1 * torch.ones_like(x) for x in inputs)
    outputs, forward = torch.func.jvp(lambda *x: directional_slices(*x, 0.35), tuple(inputs), tangents)
    leaves = [x.clone().requires_grad_() for x in inputs]
    reverse = torch.autograd.grad(directional_slices(*leaves, 0.35), leaves, outputs)
    ahead = sum(float((a * b).sum()) for a, b in zip(outputs, forward, strict=True))
    back = sum(float((a * b).sum()) for a, b in zip(reverse, tangents, strict=True))
    assert ahead == pytest.approx(back, rel=1e-4)
