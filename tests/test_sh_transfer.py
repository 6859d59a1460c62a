"""What a vector makes of a scene: nothing by itself, the mean on average, any affine change of colours."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gsplat_core.scene.harmonics import rgb_of, sh0_of
from gsplat_core.sh_transfer import changed, features, num_features

CENTER = torch.tensor([1.0, -2.0, 0.5])


def params(coefficients: int = 9) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(0)
    shapes = {"means": (50, 3), "sh0": (50, 1, 3), "shN": (50, coefficients - 1, 3)}
    return {name: torch.randn(*shape, generator=random) for name, shape in shapes.items()}


def network(width: int, seed: int = 1) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)
    known = num_features(0)
    return {
        "hidden": torch.randn(width, known, generator=random) / known**0.5,
        "hidden_bias": torch.randn(width, generator=random),
        "output": torch.randn(width, width, generator=random) / width**0.5,
        "output_bias": torch.randn(width, generator=random),
    }


@pytest.mark.parametrize("coefficients", [1, 4, 16])
@pytest.mark.parametrize("width", [0, 6])
def test_the_mean_of_what_vectors_make_is_what_their_mean_makes(coefficients: int, width: int) -> None:
    scene = params(coefficients)
    known = features(scene, CENTER, 2.0, network(width) if width else {})
    assert known.shape == (50, num_features(width))
    random = torch.Generator().manual_seed(3)
    layers = torch.randn(4, num_features(width), 12, generator=random)
    seen = [changed(scene, known, layer) for layer in layers - layers.mean(dim=0)]
    for name, value in scene.items():
        mean = torch.stack([other[name] for other in seen]).mean(dim=0)
        assert torch.allclose(mean, value, atol=1e-4)
        assert torch.equal(seen[0][name], value) == (name == "means" or value.numel() == 0)
    assert torch.equal(seen[0]["shN"][:, 3:], scene["shN"][:, 3:]), "of higher degrees"


def test_affine_changes_of_colours_are_matrices() -> None:
    scene = params(4)
    matrix = torch.tensor([[1.2, 0.1, 0.0], [0.0, 0.7, 0.1], [0.2, 0.0, 0.9]])
    column = torch.tensor([0.1, -0.1, 0.05])
    layer = torch.zeros(num_features(0), 12)
    for k in range(4):
        layer[3 * k : 3 * k + 3, 3 * k : 3 * k + 3] = matrix.T - torch.eye(3)
    layer[-1, :3] = sh0_of(rgb_of(torch.zeros(3)) @ matrix.T + column)
    seen = changed(scene, features(scene, CENTER, 2.0, {}), layer)
    assert torch.allclose(rgb_of(seen["sh0"]), rgb_of(scene["sh0"]) @ matrix.T + column, atol=1e-5)
    assert torch.allclose(seen["shN"], scene["shN"] @ matrix.T, atol=1e-5)


def test_places_are_told_apart_however_far_away() -> None:
    scene = params()
    for factor in (0.1, 1.0, 1e4):
        scene["means"] = factor * params()["means"]
        waves = features(scene, CENTER, 2.0, {})[:, 18:-1]
        assert float(waves.abs().max()) <= 1 + 1e-4
        assert float(torch.cdist(waves, waves).fill_diagonal_(9).min()) > 1e-3 * min(factor, 1)


def test_gradients_are_those_of_double_precision() -> None:
    scene = {name: value.double() for name, value in params().items()}
    weights = {name: value.double() for name, value in network(6).items()}
    layer = torch.randn(num_features(6), 12, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    leaves = [weights["hidden"], weights["output"], weights["output_bias"], layer]

    def seen(hidden: Tensor, output: Tensor, bias: Tensor, layer: Tensor) -> Tensor:
        found = {**weights, "hidden": hidden, "output": output, "output_bias": bias}
        few = {name: value[:4] for name, value in scene.items()}
        return changed(few, features(few, CENTER.double(), 2.0, found), layer)["shN"]

    assert torch.autograd.gradcheck(seen, [leaf.clone().requires_grad_() for leaf in leaves], fast_mode=True)


@pytest.mark.parametrize("coefficients", [1, 4, 9])
def test_coefficients_know_what_is_linear_in_them(coefficients: int) -> None:
    scene = {name: value[:4].double() for name, value in params(coefficients).items()}
    layer = torch.zeros(num_features(0), 12, dtype=torch.float64)
    layer[:12] = torch.randn(12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(4))

    def seen(sh0: Tensor, shN: Tensor) -> Tensor:
        there = {**scene, "sh0": sh0, "shN": shN}
        after = changed(there, features(there, CENTER.double(), 2.0, {}), layer)
        return torch.cat([after["sh0"], after["shN"]], dim=1)

    assert torch.autograd.gradcheck(
        seen, [scene[name].clone().requires_grad_() for name in ("sh0", "shN")], fast_mode=True
    )
