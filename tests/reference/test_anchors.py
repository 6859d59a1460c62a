"""The reference of decoded anchors: one splat at a time, and what it promises of frames and visibility."""

from __future__ import annotations

import math

import torch
from anchor_decoders import anchors, decoder
from torch import Tensor

from gsplat_core.quaternions import rotation_matrices
from gsplat_core.reference.anchors import Network, decode_anchors

ONE = torch.eye(3, dtype=torch.float64)


def _output(network: Network, inputs: list[float], output: int) -> float:
    """One number of a network, written out."""
    total = float(network.biases[output])
    for unit in range(len(network.hidden_biases)):
        weights = network.hidden_weights[unit].tolist()
        value = float(network.hidden_biases[unit]) + sum(w * x for w, x in zip(weights, inputs, strict=True))
        total += float(network.weights[output, unit]) * max(value, 0.0)
    return total


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_a_splat_is_what_the_networks_say_of_its_anchor() -> None:
    given = anchors(3, 4, 2, torch.float64) | {"frame": ONE}
    networks = decoder(4, 2, appearance=2, dtype=torch.float64)
    code = torch.tensor([0.3, -0.7], dtype=torch.float64)
    splats = decode_anchors(**given, decoder=networks, appearance=code)
    for anchor in range(3):
        there = (given["positions"][anchor] - given["centre"]).tolist()
        inputs = [*given["features"][anchor].tolist(), *(x / math.hypot(*there) for x in there)]
        for k in range(2):
            splat = 2 * anchor + k
            expected = max(math.tanh(_output(networks.opacities, inputs, k)), 0.0)
            assert abs(float(splats.opacities[splat]) - expected) < 1e-12
            shape = [_output(networks.covariances, inputs, 7 * k + i) for i in range(7)]
            for axis in range(3):
                color = _sigmoid(_output(networks.colors, [*inputs, 0.3, -0.7], 3 * k + axis))
                scale = _sigmoid(shape[axis]) * math.exp(given["scales"][anchor, axis])
                step = given["offsets"][anchor, k, axis] * math.exp(given["offset_scales"][anchor, axis])
                assert abs(float(splats.colors[splat, axis]) - color) < 1e-12
                assert abs(float(splats.scales[splat, axis]) - scale) < 1e-12
                assert abs(float(splats.means[splat, axis] - given["positions"][anchor, axis] - step)) < 1e-12
            for ours, raw in zip(splats.quats[splat].tolist(), shape[3:], strict=True):
                assert abs(ours - raw / math.hypot(*shape[3:])) < 1e-12


def _moved(given: dict[str, Tensor], turn: Tensor, shift: Tensor) -> dict[str, Tensor]:
    """The same anchors and camera elsewhere; the frame takes directions back to where they were."""
    places = {name: given[name] @ turn.T + shift for name in ("positions", "centre")}
    return given | places | {"frame": given["frame"] @ turn.T}


def test_splats_move_with_their_anchors_and_the_camera() -> None:
    given, networks = anchors(5, 4, 3, torch.float64), decoder(4, 3, dtype=torch.float64)
    turn, shift = anchors(1, dtype=torch.float64, seed=7)["frame"], torch.tensor([1.0, -2.0, 0.5]).double()
    here, there = (decode_anchors(**where, decoder=networks) for where in (given, _moved(given, turn, shift)))
    torch.testing.assert_close(there.means, here.means @ turn.T + shift)
    torch.testing.assert_close(rotation_matrices(there.quats), turn @ rotation_matrices(here.quats))
    for name in ("scales", "opacities", "colors"):
        torch.testing.assert_close(getattr(there, name), getattr(here, name))


def test_what_is_not_visible_is_not_decoded() -> None:
    given, networks = anchors(6, 4, 3, torch.float64), decoder(4, 3, dtype=torch.float64)
    visible = torch.tensor([True, False, True, True, False, False])
    leaves = {name: value.clone().requires_grad_() for name, value in given.items() if name != "frame"}
    splats = decode_anchors(**leaves, frame=given["frame"], decoder=networks, visible=visible)
    everything = decode_anchors(**given, decoder=networks)
    shown = visible.repeat_interleave(3)
    for ours, full in zip(splats, everything, strict=True):
        torch.testing.assert_close(ours[shown], full[shown])
    assert torch.equal(splats.means[~shown], given["positions"].repeat_interleave(3, dim=0)[~shown])
    for nothing in (splats.opacities, splats.scales, splats.colors):
        assert not nothing[~shown].any()
    torch.stack([value.sum() for value in splats]).sum().backward()
    for name in ("positions", "features", "offsets", "offset_scales", "scales"):
        gradient = leaves[name].grad
        assert gradient is not None
        assert not gradient[~visible].any()
        assert bool(gradient[visible].any())


def test_networks_of_zeros_make_splats_that_nobody_sees() -> None:
    given, networks = anchors(2, 4, 3, torch.float64), decoder(4, 3, dtype=torch.float64)
    blank = type(networks)(*(Network(*map(torch.zeros_like, network)) for network in networks))
    splats = decode_anchors(**given | {"frame": ONE}, decoder=blank)
    assert not splats.opacities.any()
    assert torch.equal(splats.quats, torch.tensor([1.0, 0, 0, 0], dtype=torch.float64).expand(6, 4))
