"""The operator `decode_anchors` against the reference in double precision, and its contracts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from anchor_decoders import anchors, decoder, tensors_of
from backends import opcheck
from torch import Tensor

from gsplat_core.ops.anchors import Decoded, Decoder, Network, decode_anchors
from gsplat_core.quaternions import rotation_matrices

OP = torch.ops.gsplat_core
TRAINED = ("positions", "features", "offsets", "offset_scales", "scales", "centre")


@pytest.fixture
def _threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def leaf(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.detach().to(dtype).requires_grad_()


def run(
    given: dict[str, Tensor],
    networks: Decoder,
    dtype: torch.dtype = torch.float32,
    code: Tensor | None = None,
    visible: Tensor | None = None,
) -> dict[str, Tensor]:
    """Values, and gradients of a function of all of them, by name."""
    leaves = {name: leaf(given[name], dtype) for name in TRAINED}
    copies = Decoder(*(Network(*(leaf(tensor, dtype) for tensor in network)) for network in networks))
    leaves |= dict(tensors_of(copies))
    places = {name: leaves[name] for name in TRAINED}
    if code is not None:
        leaves["appearance"] = leaf(code, dtype)
    splats = decode_anchors(
        **places, frame=given["frame"].to(dtype), decoder=copies, appearance=leaves.get("appearance"),
        visible=visible,
    )  # fmt: skip
    g = torch.Generator().manual_seed(3)
    loss = torch.zeros((), dtype=dtype)
    for value in splats:
        weights = torch.randn(value.shape, generator=g, dtype=torch.float64).to(dtype)
        loss = loss + (weights * value).sum() + value.square().sum()
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    values = {name: value.detach() for name, value in splats._asdict().items()}
    return values | {f"gradient of {name}": v for name, v in zip(leaves, gradients, strict=True)}


def assert_same(ours: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert ours.keys() == expected.keys()
    for name, value in ours.items():
        size = expected[name].abs().max() if expected[name].numel() else 1.0
        assert torch.allclose(value.double(), expected[name], rtol=2e-5, atol=3e-6 * float(size)), name


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(
    ("num", "features", "splats", "hidden", "code", "seen"),
    [
        (20, 32, 10, 32, 0, 0.6),
        (150, 7, 3, 6, 5, 0.6),
        (66, 17, 3, 9, 2, 1.0),
        (9, 1, 1, 1, 0, 0.5),
        (1, 64, 16, 64, 0, 1.0),
        (5, 4, 2, 3, 0, 0.0),
        (0, 32, 10, 32, 0, 1.0),
    ],
)
def test_values_and_gradients_are_those_of_the_reference(
    num: int, features: int, splats: int, hidden: int, code: int, seen: float
) -> None:
    given, networks = anchors(num, features, splats), decoder(features, splats, code, hidden)
    g = torch.Generator().manual_seed(5)
    visible = None if seen == 1.0 else torch.rand(num, generator=g) < seen
    appearance = torch.randn(code, generator=g) if code else None
    ours, expected = (
        run(given, networks, dtype, appearance, visible) for dtype in (torch.float32, torch.float64)
    )
    assert_same(ours, expected)


@pytest.mark.usefixtures("kernels")
def test_a_frame_may_be_turned_in_any_way() -> None:
    given, networks = anchors(3, 4, 2), decoder(4, 2)
    for turn in torch.eye(4) + 0.2 * torch.randn(4, 4, generator=torch.Generator().manual_seed(2)):
        given["frame"] = rotation_matrices(turn)
        assert_same(run(given, networks), run(given, networks, torch.float64))


def test_the_reference_has_the_derivatives_of_its_values() -> None:
    given, networks = anchors(2, 2, 2, torch.float64), decoder(2, 2, 2, dtype=torch.float64)
    inputs = [given[name].requires_grad_() for name in TRAINED]
    code = torch.tensor([0.4, -0.2], dtype=torch.float64, requires_grad=True)
    numbers = [tensor.requires_grad_() for _, tensor in tensors_of(networks)]

    def splats(*tensors: Tensor) -> tuple[Tensor, ...]:
        flat = tensors[len(inputs) : -1]
        again = Decoder(*(Network(*flat[4 * n : 4 * n + 4]) for n in range(3)))
        return decode_anchors(*tensors[: len(inputs)], given["frame"], again, tensors[-1])

    assert torch.autograd.gradcheck(splats, (*inputs, *numbers, code), fast_mode=True)


@pytest.mark.usefixtures("kernels")
def test_what_is_not_visible_may_be_anything() -> None:
    given, networks = anchors(40), decoder()
    visible = torch.arange(40) % 3 == 0
    expected = run(given, networks, visible=visible)
    for name in ("features", "offsets", "offset_scales", "scales"):
        given[name][~visible] = torch.nan
    for name, value in run(given, networks, visible=visible).items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.usefixtures("kernels")
def test_a_number_that_is_none_is_noticed_wherever_it_is_drawn() -> None:
    given, networks = anchors(20), decoder()
    given["features"][7] = torch.nan
    splats = decode_anchors(**given, decoder=networks)
    broken = torch.arange(200) // 10 == 7
    for value in (splats.opacities, splats.colors, splats.scales):
        assert torch.equal(value.isnan().reshape(200, -1).any(dim=1), broken)


@pytest.mark.usefixtures("kernels")
def test_networks_of_zeros_make_splats_that_nobody_sees() -> None:
    given, networks = anchors(3), decoder()
    blank = Decoder(*(Network(*map(torch.zeros_like, network)) for network in networks))
    results = run(given, blank)
    assert not results["opacities"].any()
    assert torch.allclose(results["quats"].norm(dim=1), torch.ones(30))
    assert all(value.isfinite().all() for value in results.values())
    assert not results["gradient of opacities.biases"].any()


@pytest.mark.usefixtures("_threads")
def test_the_bits_do_not_depend_on_the_number_of_threads() -> None:
    given, networks = anchors(5000), decoder()
    visible = torch.rand(5000, generator=torch.Generator().manual_seed(1)) < 0.6
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(run(given, networks, visible=visible))
    for other in results[1:]:
        assert all(torch.equal(value, other[name]) for name, value in results[0].items())


def listed(networks: Decoder) -> Tensor:
    return torch.cat([tensor.flatten() for _, tensor in tensors_of(networks)])


@pytest.mark.usefixtures("backend")
def test_opcheck() -> None:
    given = anchors(21, 5, 3)
    frame, inputs = given["frame"], [given[name].requires_grad_() for name in TRAINED]
    networks, visible = listed(decoder(5, 3)).requires_grad_(), torch.arange(21) % 4 != 0
    opcheck(OP.decode_anchors.default, (*inputs, frame, visible, networks, 5))
    fixed = [x.detach() for x in inputs]
    gradients = [torch.rand(63, *shape) for shape in ((3,), (4,), (3,), (), (3,))]
    further = (None, networks.detach(), 5, *gradients)
    opcheck(OP.decode_anchors_backward.default, (*fixed, frame, *further, True))
    shapes = [x.shape for x in OP.decode_anchors_backward(*fixed, frame, *further, False)]
    assert shapes == [*(x.shape for x in fixed[:5]), (0,), networks.shape]


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("positions", (4, 2), r"'positions' must have shape \[\?, 3\], got \[4, 2\]"),
        ("features", (3, 5), r"'features' must have shape \[4, \?\], got \[3, 5\]"),
        ("features", (4, 65), r"'features' must have between 1 and 64 columns, got 65"),
        ("offsets", (4, 3, 2), r"'offsets' must have shape \[4, \?, 3\], got \[4, 3, 2\]"),
        ("offsets", (4, 17, 3), r"'offsets' must have between 1 and 16 splats, got 17"),
        ("offset_scales", (4,), r"'offset_scales' must have shape \[4, 3\], got \[4\]"),
        ("scales", (4, 1), r"'scales' must have shape \[4, 3\], got \[4, 1\]"),
        ("centre", (1, 3), r"'centre' must have shape \[3\], got \[1, 3\]"),
        ("frame", (4, 4), r"'frame' must have shape \[3, 3\], got \[4, 4\]"),
        ("visible", (4,), "'visible' has the wrong dtype"),
        ("networks", (7,), r"'networks' must have shape \[333\], got \[7\]"),
    ],
)
def test_wrong_arguments_are_named(name: str, shape: tuple[int, ...], message: str) -> None:
    inputs: dict[str, Any] = {**anchors(4, 5, 3), "visible": None, "networks": listed(decoder(5, 3))}
    with pytest.raises(RuntimeError, match=message):
        OP.decode_anchors(*(inputs | {name: torch.zeros(shape)}).values(), 5)
    v = [torch.zeros(12, *row) for row in ((3,), (4,), (3,), (), (3,))]
    for i, gradient in enumerate(("means", "quats", "linear_scales", "opacities", "colors")):
        wrong = [*v[:i], torch.zeros(11), *v[i + 1 :]]
        with pytest.raises(RuntimeError, match=f"'v_{gradient}' must have shape"):
            OP.decode_anchors_backward(*inputs.values(), 5, *wrong, False)
    with pytest.raises(RuntimeError, match="'hidden' must be between 1 and 64 units, got 65"):
        OP.decode_anchors(*inputs.values(), 65)


def test_a_network_that_does_not_fit_is_named() -> None:
    given, networks = anchors(4, 5, 3), decoder(5, 3, appearance=2)
    with pytest.raises(
        ValueError, match=r"decoder.colors.hidden_weights must have shape \[5, 8\].*\[5, 10\]"
    ):
        decode_anchors(**given, decoder=networks)
    short = networks.covariances._replace(biases=torch.zeros(20))
    with pytest.raises(ValueError, match=r"decoder.covariances.biases must have shape \[21\]"):
        decode_anchors(**given, decoder=networks._replace(covariances=short), appearance=torch.zeros(2))


def test_forward_mode_is_the_transpose_of_reverse_mode() -> None:
    given, networks = anchors(6, 5, 3), decoder(5, 3)
    inputs = [given[name] for name in TRAINED]
    tangents = tuple(0.1 * torch.ones_like(x) for x in inputs)

    def splats(*tensors: Tensor) -> Decoded:
        return decode_anchors(*tensors, given["frame"], networks)

    outputs, forward = torch.func.jvp(lambda *x: tuple(splats(*x)), tuple(inputs), tangents)
    leaves = [x.clone().requires_grad_() for x in inputs]
    reverse = torch.autograd.grad(splats(*leaves), leaves, outputs)
    ahead = sum(float((a * b).sum()) for a, b in zip(outputs, forward, strict=True))
    back = sum(float((a * b).sum()) for a, b in zip(reverse, tangents, strict=True))
    assert ahead == pytest.approx(back, rel=1e-4)
