"""Seeding puts Gaussians where photographs are not reproduced, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from densify.tracked_scene import TrackedScene
from torch import Tensor

from gsplat_core.densify import ADC, MCMC, ADCConfig, Lens, MCMCConfig, SceneView, create
from gsplat_core.densify.seeding import Seeding, SeedingConfig
from gsplat_core.densify.views import Shares
from gsplat_core.scene.harmonics import rgb_of

SIDE, FOCAL, DEPTH = 40, 50.0, 4.0
STEP = 600
CONFIG = SeedingConfig(views=1, share=10.0, spacing=2.0)
RED = torch.tensor([0.9, 0.1, 0.2])


class OneWrongCorner:
    """Photographs with a red corner, of which the rendering, all grey at one depth, shows nothing."""

    def __init__(self, opaque: bool = True, wrong: bool = True) -> None:
        self.opaque, self.wrong = opaque, wrong

    def __len__(self) -> int:
        return 3

    def lens(self, index: int) -> Lens:
        K = torch.tensor([[FOCAL, 0, SIDE / 2], [0, FOCAL, SIDE / 2], [0, 0, 1]])
        viewmat = torch.eye(4)
        viewmat[0, 3] = float(index)
        return Lens(viewmat, K, SIDE, SIDE)

    def points_seen(self, index: int) -> tuple[Tensor, Tensor]:
        return torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3)

    def photograph(self, index: int) -> Tensor:
        image = self.image({}, index).clone()
        if self.wrong:
            image[:10, :10] = RED
        return image

    def image(self, params: Mapping[str, Tensor], index: int) -> Tensor:
        return torch.full((SIDE, SIDE, 3), 0.5)

    def depth(self, params: Mapping[str, Tensor], index: int) -> tuple[Tensor, Tensor]:
        return torch.full((SIDE, SIDE), DEPTH), torch.full((SIDE, SIDE), float(self.opaque))

    def shares(self, params: Mapping[str, Tensor], index: int) -> Shares:
        raise NotImplementedError

    def weighted_shares(self, params: Mapping[str, Tensor], index: int, importance: Tensor) -> Tensor:
        raise NotImplementedError


def run(strategy: Seeding, n: int = 5, opacity: float = 2.0, step: int = STEP, **views: bool) -> TrackedScene:
    random = torch.Generator().manual_seed(0)
    params = {
        "means": torch.randn(n, 3, generator=random),
        "quats": torch.randn(n, 4, generator=random),
        "scales": torch.full((n, 3), -3.0),
        "opacities": torch.full((n,), opacity),
        "sh0": torch.randn(n, 1, 3, generator=random),
        "shN": torch.randn(n, 3, 3, generator=random),
    }
    tracked = TrackedScene({k: torch.nn.Parameter(v) for k, v in params.items()}, strategy)
    rates = {"means": 0.0}
    tracked.on_step(step, SceneView(tracked.params, 1.0, rates, views=OneWrongCorner(**views)))
    return tracked


def seeds(tracked: TrackedScene, n: int = 5) -> dict[str, Tensor]:
    return {name: param.detach()[n:] for name, param in tracked.params.items()}


def test_seeds_stand_on_what_is_rendered_where_the_photograph_differs_in_its_colour() -> None:
    new = seeds(run(Seeding(ADC(), CONFIG)))
    assert len(new["means"]) > 5
    torch.testing.assert_close(new["means"][:, 2], torch.full_like(new["means"][:, 2], DEPTH))
    # Of one of three views, which stand one unit apart.
    seen = [
        ((new["means"][:, :2] + torch.tensor([view, 0.0])) / DEPTH * FOCAL + SIDE / 2) for view in range(3)
    ]
    assert any(bool(((pixels > 0) & (pixels < 13)).all()) for pixels in seen)
    colors = rgb_of(new["sh0"][:, 0])
    wrong = (colors - RED).abs().amax(dim=1) < 1e-5
    assert wrong.float().mean() > 0.5
    assert new["shN"].eq(0).all()
    torch.testing.assert_close(new["scales"].exp(), torch.full_like(new["scales"], 1.5 * DEPTH / FOCAL))


@pytest.mark.parametrize("views", [{"wrong": False}, {"opaque": False}])
def test_there_are_none_where_all_is_right_or_nothing_is_rendered(views: dict[str, bool]) -> None:
    assert len(run(Seeding(ADC(), CONFIG), **views).params["means"]) == 5


@pytest.mark.parametrize("step", [500, 650, 15_000])
def test_there_are_none_outside_the_schedule(step: int) -> None:
    assert len(run(Seeding(ADC(), CONFIG), step=step).params["means"]) == 5


def test_a_share_bounds_their_number() -> None:
    config = SeedingConfig(views=1, share=0.4, spacing=1.0)
    assert 5 < len(run(Seeding(ADC(), config)).params["means"]) <= 7


@pytest.mark.parametrize("base", ["adc", "mcmc"])
@pytest.mark.parametrize(("opacity", "replaced"), [(2.0, False), (-4.0, True)])
def test_at_a_cap_they_take_the_rows_of_the_faintest_only(base: str, opacity: float, replaced: bool) -> None:
    inner = ADC(ADCConfig(max_gaussians=5)) if base == "adc" else MCMC(MCMCConfig(max_gaussians=5))
    tracked = run(Seeding(inner, CONFIG), opacity=opacity)
    assert len(tracked.params["means"]) == 5
    on_surface = (tracked.params["means"].detach()[:, 2] - DEPTH).abs() < 1e-5
    assert bool(on_surface.any()) == replaced
    # What is new has no past: not in the fields that are set, nor in those that stay.
    for state in tracked.optimizer.state.values():
        assert bool((state["exp_avg"][on_surface] == 0).all())


def test_without_views_it_says_so() -> None:
    params = {"means": torch.zeros(1, 3), "opacities": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"needs SceneView\.views"):
        create("adc+seeding").on_step(STEP, SceneView(params, 1.0))


@pytest.mark.parametrize("wrong", [{"views": 0}, {"share": 0.0}, {"opacity": 1.0}, {"spacing": -1.0}])
def test_settings_out_of_range_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SeedingConfig(**wrong)
