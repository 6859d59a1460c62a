"""Values on a grid by the kernels, against the reference and by their properties."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from radiative.fields import NAMES, assert_alike, field, leaves, weights
from splats import one_thread
from torch import Tensor

from gsplat_core.radiative import voxelize
from gsplat_core.reference import radiative as reference

# More than one tile of columns, and none of the sizes a multiple of a tile or of a vector.
GRID: dict[str, Any] = {"origin": (-1.0, -0.8, -0.9), "spacing": (2 / 24, 0.09, 0.07), "shape": (19, 21, 27)}


@pytest.fixture
def _threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def _with_gradients(inputs: list[Tensor]) -> list[Tensor]:
    volume = voxelize(*inputs, **GRID)
    return [volume.detach(), *torch.autograd.grad((volume * weights(volume)).sum(), inputs)]


@pytest.fixture(scope="module")
def expected() -> list[Tensor]:
    """The reference's volume, and its gradients."""
    with one_thread():
        inputs = leaves(field(), torch.float64)
        volume = reference.voxelize(*inputs, *GRID.values(), 1e-6)
        return [volume.detach(), *torch.autograd.grad((volume * weights(volume)).sum(), inputs)]


@pytest.mark.usefixtures("kernels")
def test_values_and_gradients_are_those_of_the_reference(expected: list[Tensor]) -> None:
    ours = _with_gradients(leaves(field()))
    torch.testing.assert_close(ours[0].double(), expected[0], rtol=2e-6, atol=5e-7)
    for name, actual, gradient in zip(NAMES, ours[1:], expected[1:], strict=True):
        assert_alike(name, actual, gradient)


@pytest.mark.usefixtures("kernels")
def test_thin_gaussians_keep_their_digits() -> None:
    inputs = field(12, seed=5)
    inputs[2][:] = torch.tensor([0.3, 0.05, 0.002])
    grid = {"origin": (-1, -1, -1), "spacing": 0.11, "shape": (18, 18, 18)}
    ours, theirs = leaves(inputs), leaves(inputs, torch.float64)
    volume = voxelize(*ours, **grid)  # type: ignore[arg-type]
    expected = reference.voxelize(*theirs, (-1, -1, -1), (0.11,) * 3, (18,) * 3, 1e-6)
    assert_alike("volume", volume, expected, 1e-4)
    gradients = (torch.autograd.grad(v.square().sum(), x) for v, x in ((volume, ours), (expected, theirs)))
    for name, actual, gradient in zip(NAMES, *gradients, strict=True):
        assert_alike(name, actual, gradient, 1e-3)


@pytest.mark.usefixtures("kernels")
def test_the_gradient_of_densities_is_the_transposed_sampling() -> None:
    means, quats, scales, densities = field(40, seed=3)
    densities.requires_grad_()
    volume = voxelize(means, quats, scales, densities, **GRID)
    y = torch.randn(volume.shape, generator=torch.Generator().manual_seed(1))
    (transposed,) = torch.autograd.grad(volume, densities, y)
    ahead, back = (volume.detach() * y).double().sum(), (densities.detach() * transposed).double().sum()
    assert float(ahead) == pytest.approx(float(back), rel=1e-5)


@pytest.mark.usefixtures("kernels")
def test_a_part_of_a_grid_has_the_values_of_the_whole() -> None:
    step = 0.125  # exact, so that the centres are
    inputs = field()
    whole = voxelize(*inputs, origin=(-1, -1, -1), spacing=step, shape=(16, 16, 16))
    part = voxelize(*inputs, origin=(-0.5, 0.125, -0.25), spacing=step, shape=(9, 5, 7))
    torch.testing.assert_close(part, whole[4:13, 9:14, 6:13], rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("_threads")
def test_the_bytes_do_not_depend_on_the_number_of_threads() -> None:
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(_with_gradients(leaves(field(3000))))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.usefixtures("backend")
def test_what_is_outside_adds_nothing_and_gets_no_gradient() -> None:
    inputs = field(8)
    inputs[0][0] = torch.tensor([0.0, 0.0, 5.0])
    inputs[0][1] = torch.tensor([0.0, -5.0, 0.0])
    inputs[3][2] = -1.0
    inputs[3][3] = 1e-7
    inputs[0][4, 1] = torch.nan
    inputs[1][5] = 0.0
    inputs[2][6, 2] = 0.0
    given = leaves(inputs)
    volume = voxelize(*given, **GRID)
    assert torch.equal(volume, voxelize(*[tensor[7:] for tensor in inputs], **GRID))
    for name, gradient in zip(NAMES, torch.autograd.grad(volume.sum(), given), strict=True):
        assert not gradient[:7].any(), name
        assert bool(gradient[7].isfinite().all()), name
    assert not voxelize(*[tensor[:0] for tensor in inputs], **GRID).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"origin": (0, 0)}, "'origin' must be three finite numbers"),
        ({"spacing": (1.0, 0.0, 1.0)}, "'spacing' must be one or three positive numbers"),
        ({"shape": (4, 0, 4)}, "'shape' must be three positive numbers"),
        ({"threshold": -1.0}, "'threshold' must be between 0 and 1e20"),
        ({"quats": torch.zeros(4, 3)}, "'quats' must have shape"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, Any], message: str) -> None:
    given = dict(zip(NAMES, field(4), strict=True)) | GRID | change
    with pytest.raises(ValueError, match=message):
        voxelize(**given)
