"""Spectral pruning: who stays is what the graph says, written out densely, and what that is good for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from compress.scenes import scene

from gsplat_core.compress.spectral import SpectralConfig, spectral_choice
from gsplat_core.scene.gaussians import Gaussians


def chosen(gaussians: Gaussians, count: int, **settings: float) -> list[int]:
    config = SpectralConfig(**settings)  # type: ignore[arg-type]
    return spectral_choice(gaussians.params, count, config).tolist()


def plate(opacities: torch.Tensor) -> Gaussians:
    """A plate of equal Gaussians on a lattice, apart from their opacities [N], N a square."""
    side = round(len(opacities) ** 0.5)
    places = torch.cartesian_prod(torch.arange(side), torch.arange(side)).float()
    return Gaussians(
        means=torch.cat([places, torch.zeros(len(places), 1)], dim=1),
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(len(places), 1),
        scales=torch.full((len(places), 3), -0.5),
        opacities=opacities.logit(),
        sh0=torch.zeros(len(places), 1, 3),
        shN=torch.zeros(len(places), 0, 3),
    )


def dense_choice(gaussians: Gaussians, count: int, config: SpectralConfig) -> list[int]:
    """By whole matrices in float64."""
    means = gaussians.means.double()
    distances = (means[:, None] - means).norm(dim=-1)
    others = distances + torch.diag(torch.full((len(means),), torch.inf))
    nearest = others.argsort(dim=1)[:, : config.neighbors]
    width = config.width * others.gather(1, nearest).flatten().median()
    joined = torch.zeros_like(others).scatter(1, nearest, 1.0)
    adjacency = joined * (-0.5 * (distances / width) ** 2).exp() * (distances <= config.reach * width)
    degrees = adjacency.sum(dim=1, keepdim=True)

    def low(signal: torch.Tensor) -> torch.Tensor:
        mean = signal.mean(dim=0).expand_as(signal)
        return torch.where(degrees > 0, adjacency @ signal / degrees.clamp(min=1e-30), mean)

    mass = (gaussians.opacities.double().sigmoid() * gaussians.scales.double().exp().mean(dim=1))[:, None]
    presence = (mass / low(mass))[:, 0] * gaussians.opacities.double().sigmoid() ** config.faint
    sizes = gaussians.scales.double().sort(dim=1).values
    response = torch.zeros_like(presence)
    for weight, signal in (
        (config.positions, means), (config.scales, sizes), (config.colors, gaussians.sh0[:, 0].double())
    ):  # fmt: skip
        squares = (signal - low(signal)).square().sum(dim=1)
        response += weight * squares / squares.median()
    first = (response.sqrt() * presence).argsort(descending=True)[: round(config.gamma * count)]
    presence[first] = torch.inf
    return sorted(presence.argsort(descending=True, stable=True)[:count].tolist())


@pytest.mark.parametrize("gamma", [0.0, 0.4, 1.0])
def test_who_stays_is_as_the_graph_says_written_out_densely(gamma: float) -> None:
    gaussians = scene(300)
    config = SpectralConfig(neighbors=7, gamma=gamma, colors=2.0)
    expected = dense_choice(gaussians, 120, config)
    assert spectral_choice(gaussians.params, 120, config).tolist() == expected


def test_neither_place_nor_size_of_the_scene_nor_names_of_axes_matter() -> None:
    gaussians = scene(400)
    turned = replace(
        gaussians,
        means=4 * gaussians.means[:, [1, 2, 0]] * torch.tensor([1.0, -1.0, 1.0]),
        scales=gaussians.scales[:, [2, 0, 1]] + torch.tensor(4.0).log(),
    )
    same = set(chosen(gaussians, 200)) & set(chosen(turned, 200))
    assert len(same) >= 198  # sums in another order


def test_about_the_same_share_stays_wherever_one_looks_however_opaque_it_is_there() -> None:
    """Pruning by opacity would leave a hole where everything is faint."""
    spread = torch.rand(900, generator=torch.Generator().manual_seed(0))
    left = torch.arange(900) < 450
    opacities = torch.where(left, 0.02 + 0.05 * spread, 0.6 + 0.3 * spread)
    gaussians = plate(opacities)
    stay = torch.zeros(900, dtype=torch.bool)
    stay[spectral_choice(gaussians.params, 450, SpectralConfig(faint=0.0))] = True
    assert 0.4 < float(stay[left].float().mean()) < 0.6
    assert float(opacities[left & stay].mean()) > float(opacities[left & ~stay].mean())
    some = left[spectral_choice(gaussians.params, 450, SpectralConfig(faint=0.1))].float().mean()
    assert 0.0 < float(some) < float(stay[left].float().mean())  # haze has less of a share


def test_the_share_of_strong_responses_keeps_who_differs() -> None:
    opacities = 0.5 + 0.3 * torch.rand(400, generator=torch.Generator().manual_seed(1))
    opacities[210] = 0.3
    gaussians = plate(opacities)
    gaussians.sh0[210] = 3.0
    assert 210 in chosen(gaussians, 200, gamma=0.2)
    assert 210 not in chosen(gaussians, 200, gamma=0.0)
    assert 210 not in chosen(gaussians, 200, gamma=0.2, colors=0.0)


def test_nobody_stands_in_for_who_is_far_from_all_others_unless_it_is_faint() -> None:
    gaussians = plate(0.5 + 0.001 * torch.arange(100.0))
    gaussians.means[98:] = torch.tensor([[500.0, 0, 0], [0, 500.0, 0]])
    gaussians.opacities[98:] = torch.tensor([0.8, 0.001]).logit()
    stay = chosen(gaussians, 50, gamma=0.0)
    assert 98 in stay
    assert 99 not in stay


@pytest.mark.parametrize("num", [1, 2, 5])
@pytest.mark.parametrize("same", [False, True])
def test_as_many_stay_as_asked_for_however_few_there_are_and_wherever(num: int, same: bool) -> None:
    gaussians = scene(num)
    if same:
        gaussians.means[:] = 1.0
    for count in range(num + 1):
        stay = chosen(gaussians, count, gamma=0.5)
        assert len(stay) == count
        assert stay == sorted(set(stay))


@pytest.mark.parametrize("wrong", [{"neighbors": 0}, {"width": 0.0}, {"gamma": 1.5}, {"colors": -1.0}])
def test_settings_out_of_range_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SpectralConfig(**wrong)  # type: ignore[arg-type]
