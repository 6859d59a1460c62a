"""Line integrals by the kernels, against the reference and by their properties."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from radiative.fields import (
    CAMERA_NAMES,
    HEIGHT,
    NAMES,
    WIDTH,
    assert_alike,
    detectors,
    field,
    leaves,
    weights,
)
from splats import one_thread
from torch import Tensor

from gsplat_core import set_checks
from gsplat_core.errors import NumericalError
from gsplat_core.radiative import project
from gsplat_core.radiative import projection as module
from gsplat_core.reference import radiative as reference
from gsplat_core.reference.gaussians import frames
from gsplat_core.render.settings import RenderSettings

BEAMS = ("cone", "parallel")


@pytest.fixture
def _threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def _with_gradients(beam: str, num: int = 60) -> list[Tensor]:
    inputs = leaves([*field(num), *detectors(beam)])
    images = project(*inputs, WIDTH, HEIGHT, beam=beam)
    loss = (images * weights(images)).sum()
    return [images.detach(), *torch.autograd.grad(loss, inputs)]


@pytest.fixture(scope="module", params=BEAMS)
def expected(request: pytest.FixtureRequest) -> tuple[str, list[Tensor]]:
    """The beam, the reference's images, and their gradients."""
    with one_thread():
        inputs = leaves([*field(), *detectors(request.param)], torch.float64)
        images = reference.project(*inputs, WIDTH, HEIGHT, request.param, 1e-5)
        loss = (images * weights(images)).sum()
        return request.param, [images.detach(), *torch.autograd.grad(loss, inputs)]


@pytest.mark.usefixtures("kernels")
def test_images_and_gradients_are_those_of_the_reference(expected: tuple[str, list[Tensor]]) -> None:
    beam, theirs = expected
    ours = _with_gradients(beam)
    # Of each contribution that is left out by one of the two, there would be the threshold's 1e-5 left.
    torch.testing.assert_close(ours[0].double(), theirs[0], rtol=0, atol=2e-6)
    for name, actual, gradient in zip((*NAMES, *CAMERA_NAMES), ours[1:], theirs[1:], strict=True):
        assert_alike(name, actual, gradient)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("beam", BEAMS)
def test_the_gradient_of_densities_is_the_transposed_projection(beam: str) -> None:
    means, quats, scales, densities = field(40, seed=3)
    densities.requires_grad_()
    images = project(means, quats, scales, densities, *detectors(beam), WIDTH, HEIGHT, beam=beam)
    y = torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    (transposed,) = torch.autograd.grad(images, densities, y)
    ahead, back = (images.detach() * y).double().sum(), (densities.detach() * transposed).double().sum()
    assert float(ahead) == pytest.approx(float(back), rel=1e-5)


@pytest.mark.parametrize(("tilt", "near", "further"), [(0.0, 4e-4, 7.5e-3), (1.0, 4e-3, 1.5e-2)])
def test_a_cone_is_exact_through_centres_and_linearized_around_them(
    tilt: float, near: float, further: float
) -> None:
    """One of a large Gaussian near the source, whose axes lie along those of the detector or do not."""
    mean, quat, scales = (
        torch.zeros(1, 3),
        torch.tensor([[0.9, 0.3 * tilt, -0.2 * tilt, 0.4 * tilt]]),
        torch.tensor([[0.3, 0.21, 0.15]]),
    )
    viewmats, Ks = torch.eye(4)[None], torch.tensor([[[400.0, 0, 48.5], [0, 400, 48.5], [0, 0, 1]]])
    viewmats[:, 2, 3] = 4.0
    image = project(mean, quat, scales, torch.ones(1), viewmats, Ks, 97, 97)[0].double()
    # In the frame of the Gaussian, rays from the source at `source`.
    to_frame = frames(quat, scales, None)[0]
    source = to_frame @ torch.tensor([0.0, 0, -4]).double()
    x = (torch.arange(97).double() - 48) / 400
    rays = torch.stack([*torch.meshgrid(x, x, indexing="xy"), torch.ones(97, 97).double()], dim=-1)
    rays = torch.nn.functional.normalize(rays, dim=-1) @ to_frame.mT
    k = rays.square().sum(-1)
    nearest = source.square().sum() - (rays @ source).square() / k
    exact = (2 * math.pi / k).sqrt() * (-0.5 * nearest).exp()
    error, deviations = (image / exact - 1).abs(), (-2 * (image / image.max()).log()).sqrt()
    assert float(error[48, 48]) < 1e-5
    assert float(error[deviations < 0.12].max()) < near
    assert float(error[deviations < 0.4].max()) < further


@pytest.mark.usefixtures("kernels")
def test_images_do_not_depend_on_the_size_of_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    images = []
    for size in (8, 16, 32):
        monkeypatch.setattr(module, "_SETTINGS", RenderSettings(eps2d=0.0, near_plane=0.0, tile_size=size))
        images.append(project(*field(), *detectors("cone"), WIDTH, HEIGHT))
    assert torch.equal(images[0], images[1])
    assert torch.equal(images[1], images[2])


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("beam", BEAMS)
def test_the_bytes_do_not_depend_on_the_number_of_threads(beam: str) -> None:
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(_with_gradients(beam, num=5000))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.usefixtures("backend")
def test_what_is_not_seen_adds_nothing_and_gets_no_gradient() -> None:
    inputs = field(9)
    inputs[0][0, 2] = -4.5  # behind the source
    inputs[0][1, 0] = 30.0  # beside the detector
    inputs[3][2] = -1.0
    inputs[3][3] = 0.0
    inputs[3][4] = 1e-6  # below the threshold everywhere
    inputs[0][5, 1] = torch.nan
    inputs[1][6] = 0.0
    inputs[2][7, 0] = torch.inf
    seen = [tensor[8:] for tensor in inputs]
    viewmats, Ks = (tensor[:1] for tensor in detectors("cone"))
    given = leaves(inputs)
    image = project(*given, viewmats, Ks, WIDTH, HEIGHT)
    assert torch.equal(image, project(*seen, viewmats, Ks, WIDTH, HEIGHT))
    for name, gradient in zip(NAMES, torch.autograd.grad(image.sum(), given), strict=True):
        assert not gradient[:8].any(), name
        assert bool(gradient[8].isfinite().all()), name
    # A parallel beam has no source that something could lie behind.
    behind = [tensor[:1] for tensor in inputs]
    assert project(*behind, *detectors("parallel"), WIDTH, HEIGHT, beam="parallel").max() > 0.01
    assert not project(*[tensor[:0] for tensor in inputs], viewmats, Ks, WIDTH, HEIGHT).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"means": torch.zeros(4)}, r"'means' must have shape \[N, 3\], got \[4\]"),
        ({"densities": torch.zeros(5)}, r"'densities' must have shape .* = \[4\], got \[5\]"),
        ({"scales": torch.zeros(4, 3).double()}, r"'scales' must be float32, got torch.float64"),
        ({"viewmats": torch.eye(4)[None, :3]}, r"'viewmats' must have shape"),
        ({"Ks": torch.zeros(2, 3, 3)}, r"'Ks'"),
        ({"beam": "fan"}, r"'beam' must be one of 'cone', 'parallel', got 'fan'"),
        ({"threshold": 0.0}, r"'threshold' must be between 0 and 1e20, got 0.0"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, object], message: str) -> None:
    viewmats, Ks = detectors("cone")
    given = dict(zip(NAMES, field(4), strict=True)) | {"viewmats": viewmats, "Ks": Ks} | change
    with pytest.raises(ValueError, match=message):
        project(**given, width=WIDTH, height=HEIGHT)  # type: ignore[arg-type]


def test_numbers_that_are_not_finite_are_named_if_checks_are_on() -> None:
    inputs = field(4)
    inputs[2][1, 0] = torch.nan
    set_checks(True)
    try:
        with pytest.raises(NumericalError, match="scales"):
            project(*inputs, *detectors("cone"), WIDTH, HEIGHT)
    finally:
        set_checks(False)
