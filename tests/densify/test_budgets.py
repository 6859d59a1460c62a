"""Plug-ins that say how many Gaussians there may be, and which: Taming, Dash, Turbo, pruning."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gsplat_core.densify import (
    ADC,
    ADCConfig,
    Guidance,
    Lens,
    ParameterStore,
    RenderStats,
    SceneView,
    Strategy,
)
from gsplat_core.densify.dash import Dash, DashConfig
from gsplat_core.densify.edits import Edit
from gsplat_core.densify.pruning import ContributionPruning, PruningConfig
from gsplat_core.densify.taming import Taming, TamingConfig
from gsplat_core.densify.turbo import Turbo, TurboConfig
from gsplat_core.densify.views import Shares


class Listener(Strategy):
    """A strategy that grows every 100 steps and notes the guidance it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.guidance: list[Guidance] = []
        self.needs: Tensor | None = None

    def grows_at(self, step: int) -> bool:
        return step % 100 == 0

    def need(self, view: SceneView) -> Tensor | None:
        return self.needs

    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        self.guidance.append(view.guidance)
        return []


class Seen:
    """Views that show of each Gaussian what they are told."""

    def __init__(self, weights: list[list[float]]) -> None:
        self.weights = torch.tensor(weights)

    def __len__(self) -> int:
        return len(self.weights)

    def lens(self, index: int) -> Lens:
        return Lens(torch.eye(4), torch.eye(3), 8, 8)

    def points_seen(self, index: int) -> tuple[Tensor, Tensor]:
        return torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3)

    def photograph(self, index: int) -> Tensor:
        return torch.rand(8, 8, 3, generator=torch.Generator().manual_seed(index))

    def image(self, params: Mapping[str, Tensor], index: int) -> Tensor:
        return torch.zeros(8, 8, 3)

    def depth(self, params: Mapping[str, Tensor], index: int) -> tuple[Tensor, Tensor]:
        return torch.ones(8, 8), torch.ones(8, 8)

    def shares(self, params: Mapping[str, Tensor], index: int) -> Shares:
        weights = self.weights[index]
        seen = weights > 0
        return Shares(weights, seen * 4.0, weights.clamp(max=1), seen.int() * 3, seen * 2.0)

    def weighted_shares(self, params: Mapping[str, Tensor], index: int, importance: Tensor) -> Tensor:
        return self.weights[index] * 0.5


def scene(n: int) -> dict[str, Tensor]:
    return {
        "means": torch.zeros(n, 3),
        "quats": torch.ones(n, 4),
        "scales": torch.zeros(n, 3),
        "opacities": torch.zeros(n),
    }


def seen_by(n: int, weights: list[list[float]] | None = None, downscale: float = 1.0) -> SceneView:
    return SceneView(scene(n), 1.0, views=Seen(weights or [[1.0] * n]), downscale=downscale)


def stats(n: int, error: float = 0.1, weights: list[float] | None = None) -> RenderStats:
    given = torch.zeros(1, n, 3)
    given[0, :, 1] = torch.tensor(weights or [1.0] * n)
    return RenderStats(
        torch.zeros(1, n, 2), torch.ones(1, n, 2, dtype=torch.int32), 8, 8, 1,
        weights=given, images=torch.zeros(1, 8, 8, 3), targets=torch.full((1, 8, 8, 3), error), views=[0],
    )  # fmt: skip


class TestTaming:
    def test_the_number_follows_the_parabola_of_the_paper(self) -> None:
        base = Listener()
        taming = Taming(base, TamingConfig(budget=1000, start=0, stop=1000))
        taming.initialize(100, "cpu")
        for step in range(100, 1100, 100):
            taming.on_step(step, seen_by(100))
        limits = [guidance.limit for guidance in base.guidance]
        assert limits == [100 + 900 * (20 * tenths - tenths * tenths) // 100 for tenths in range(1, 11)]
        assert limits[-1] == 1000

    def test_those_that_show_more_are_more_likely_to_go_first(self) -> None:
        base = Listener()
        taming = Taming(base, TamingConfig(multiplier=2))
        taming.initialize(200, "cpu")
        weights = [[5.0] * 100 + [0.5] * 100] * 3
        for _ in range(20):
            taming.on_step(600, seen_by(200, weights))
        first = torch.stack([guidance.order.argsort(descending=True)[:50] for guidance in base.guidance])
        assert 0.55 < (first < 100).double().mean() < 0.95

    def test_the_unseen_come_last(self) -> None:
        base = Listener()
        taming = Taming(base)
        taming.initialize(20, "cpu")
        taming.on_step(600, seen_by(20, [[1.0] * 10 + [0.0] * 10]))
        assert set(base.guidance[0].order.argsort(descending=True)[:10].tolist()) == set(range(10))

    def test_the_score_is_a_weighted_sum_of_relative_terms(self) -> None:
        """By hand, each term over the median of its positive values, views weighted by their mean error."""
        generator = torch.Generator().manual_seed(0)
        n, weights = 7, [[0.5, 2.0, 0.0, 1.0, 3.0, 0.7, 0.1], [1.0, 0.0, 4.0, 0.2, 0.0, 0.3, 0.6]]
        config = TamingConfig(gradient=3.0, opacity=5.0, depth=7.0, radius=11.0, size=13.0, distance=17.0)
        config = replace(config, error=19.0, pixels=23.0, blending=29.0, views=2)
        base = Listener()
        base.needs = torch.rand(n, generator=generator)
        taming = Taming(base, config)
        taming.initialize(n, "cpu")
        params = scene(n)
        params["scales"] = torch.randn(n, 3, generator=generator)
        params["opacities"] = torch.randn(n, generator=generator)
        views = Noticing(weights)
        view = SceneView(params, 1.0, views=views)
        expected = torch.zeros(n)
        for index in range(2):
            shares = views.shares(params, index)
            error = views.photograph(index).mean(dim=-1)  # of an image that is black
            own = torch.zeros(n)
            for weight, values in (
                (3.0, base.needs),
                (5.0, params["opacities"].sigmoid()),
                (7.0, shares.depths),
                (11.0, shares.radii),
                (13.0, params["scales"].sum(dim=1).exp()),
                (17.0, 2 / 3 * shares.radii * shares.pixels),
                (19.0, views.weights[index] * 0.5),
                (23.0, shares.pixels),
                (29.0, shares.weights),
            ):
                own += weight * values / values[values > 0].median()
            expected += error.mean() * own * (shares.radii > 0)
        torch.testing.assert_close(taming._score(view, views), expected)

    def test_errors_and_edges_make_a_pixel_important(self) -> None:
        """Each from 0 to 50 within an image, edges by the Laplacian of the brightness."""
        views = Noticing([[1.0]])
        taming = Taming(Listener(), TamingConfig(views=5))
        taming.initialize(1, "cpu")
        taming.on_step(600, SceneView(scene(1), 1.0, views=views))
        (importance,) = views.importance
        grey = views.photograph(0).mean(dim=-1).double()
        padded = torch.nn.functional.pad(grey[None], (1, 1, 1, 1), mode="replicate")[0]
        edges = torch.zeros_like(grey)
        for dy, dx in ((0, 1), (2, 1), (1, 0), (1, 2)):
            edges += grey - padded[dy : dy + 8, dx : dx + 8]
        expected = sum(50 * (part - part.min()) / (part.max() - part.min()) for part in (grey, edges.abs()))
        torch.testing.assert_close(importance.double(), expected, rtol=1e-4, atol=1e-4)

    def test_draws_are_in_proportion_to_the_score(self) -> None:
        """First come those with the largest log(u) / score (Efraimidis and Spirakis)."""
        taming = Taming(Listener())
        taming.initialize(2, "cpu")
        view = seen_by(2, [[3.0, 1.0]])
        score = taming._score(view, view.views)  # type: ignore[arg-type]
        first = torch.stack([taming._order(view, view.views).argmax() for _ in range(1500)])  # type: ignore[arg-type]
        assert (first == 0).double().mean() == pytest.approx(float(score[0] / score.sum()), abs=0.04)


class Noticing(Seen):
    """Views that note what is found important in them."""

    def __init__(self, weights: list[list[float]]) -> None:
        super().__init__(weights)
        self.importance: list[Tensor] = []

    def shares(self, params: Mapping[str, Tensor], index: int) -> Shares:
        w = self.weights[index]
        return Shares(
            w, (w > 0) * (1 + w), w.clamp(max=1), (w > 0).int() * (2 + w).int(), (w > 0) * (3 - w / 2)
        )

    def weighted_shares(self, params: Mapping[str, Tensor], index: int, importance: Tensor) -> Tensor:
        self.importance.append(importance)
        return self.weights[index] * 0.5


class TestDash:
    def limits(self, downscale: float, steps: list[int], wanted: int = 0) -> list[int]:
        base = Listener()
        base.needs = torch.cat([torch.full((wanted,), 2.0), torch.zeros(100 - wanted)])
        dash = Dash(base, DashConfig(stop=1000, growth=1e9))
        dash.initialize(100, "cpu")
        for step in steps:
            dash.on_step(step, seen_by(100, downscale=downscale))
        return [guidance.limit for guidance in base.guidance]

    def test_small_images_get_few_gaussians(self) -> None:
        (small,) = self.limits(4.0, [500])
        assert small == math.floor(100 + 500 / 4**1.5)
        assert self.limits(1.0, [500]) == [600]
        assert self.limits(4.0, [900]) == [600]  # the last refinement

    def test_the_most_follows_what_adc_would_add(self) -> None:
        limits = self.limits(1.0, [100, 200, 300], wanted=90)
        momentum = [500.0]
        for _ in range(3):
            momentum.append(max(momentum[-1], math.floor(0.98 * momentum[-1] + 90)))
        assert limits == [100 + m for m in momentum[1:]]

    def test_a_refinement_adds_a_fifth_at_most(self) -> None:
        base = Listener()
        dash = Dash(base)
        dash.initialize(100, "cpu")
        dash.on_step(600, seen_by(100))
        assert base.guidance[0].limit == 120

    def test_it_limits_adc(self) -> None:
        dash = Dash(ADC(ADCConfig(refine_start=0)), DashConfig(growth=0.05))
        dash.initialize(100, "cpu")
        hot = replace(stats(100), means2d_grad=torch.ones(1, 100, 2))
        dash.on_backward(100, hot)
        params = {name: torch.nn.Parameter(value) for name, value in scene(100).items()}
        store = ParameterStore(params)
        dash.follow(store.apply(dash.on_step(100, SceneView(params, 1.0))))
        assert store.num == 105


class TestTurbo:
    def run(self, error: object, config: TurboConfig, steps: range, n: int = 100) -> list[int]:
        base = Listener()
        turbo = Turbo(base, config)
        turbo.initialize(n, "cpu")
        for step in steps:
            turbo.on_backward(step, stats(n, error(step)))  # type: ignore[operator]
            turbo.on_step(step, seen_by(n))
        return [g.limit for s, g in zip(steps, base.guidance, strict=True) if s % 100 == 0]

    def test_a_loss_that_falls_as_it_used_to_gives_the_base_curve(self) -> None:
        config = TurboConfig(budget=1100, start=0, stop=1000, base=0.8, visits=0)
        limits = self.run(lambda step: step**-0.5, config, range(1, 1001))
        for step, limit in zip(range(100, 1001, 100), limits, strict=True):
            t = 1 + 99 * step / 1000
            expected = 100 + 1000 * (t**0.8 - 1) / (100**0.8 - 1)
            assert limit == pytest.approx(expected, rel=0.01)
        assert limits[-1] == 1100

    def test_slower_convergence_holds_growth_back_and_faster_hurries_it(self) -> None:
        config = TurboConfig(budget=1100, start=0, stop=1000, visits=0)
        usual = self.run(lambda step: step**-0.5, config, range(1, 601))
        slow = self.run(lambda step: min(step, 400) ** -0.5, config, range(1, 601))
        fast = self.run(lambda step: step**-0.5 * (400 / max(step, 400)), config, range(1, 601))
        assert slow[:4] == usual[:4] == fast[:4]
        assert slow[5] < usual[5] < fast[5]

    def test_it_never_asks_for_fewer_than_there_are(self) -> None:
        config = TurboConfig(budget=1100, start=0, stop=1000, visits=0)
        limits = self.run(lambda step: step**-0.5, config, range(1, 1001), n=1000)
        assert min(limits) >= 1000

    def test_only_those_that_views_see_often_multiply(self) -> None:
        base = Listener()
        turbo = Turbo(base, TurboConfig(visits=0.5))
        turbo.initialize(4, "cpu")
        for weights in ([1.0, 1, 0, 8e-4], [1.0, 0, 0, 8e-4], [1.0, 2e-3, 0, 8e-4], [1.0, 2e-3, 1, 8e-4]):
            turbo.on_backward(590, stats(4, weights=weights))
        turbo.on_step(600, seen_by(4))
        assert base.guidance[0].eagerness.tolist() == [1, 1, 0, 0]
        turbo.on_backward(650, stats(4, weights=[0.0, 0, 1, 0]))  # counted anew
        turbo.on_step(700, seen_by(4))
        assert base.guidance[1].eagerness.tolist() == [0, 0, 1, 0]

    def test_statistics_are_wanted_only_while_they_are_used(self) -> None:
        turbo = Turbo(ADC())
        assert turbo.wants(14_999).weights
        assert not turbo.wants(15_000).weights
        assert not Turbo(ADC(), TurboConfig(visits=0)).wants(100).weights


class TestPruning:
    WEIGHTS = ((50.0, 40.0, 0.3, 0.0, 9.0), (50.0, 40.0, 0.3, 0.0, 9.0))

    def pruned(self, config: PruningConfig, step: int = 6000) -> list[int]:
        pruning = ContributionPruning(Listener(), config)
        edits = pruning.on_step(step, seen_by(5, [list(row) for row in self.WEIGHTS]))
        return sorted(row for edit in edits for row in edit.rows.tolist())

    def test_those_go_that_together_are_a_small_share_of_all(self) -> None:
        assert self.pruned(PruningConfig(share=0.01)) == [2, 3]
        assert self.pruned(PruningConfig(share=0.001)) == [3]
        assert self.pruned(PruningConfig(share=0.2, most=0.9)) == [2, 3, 4]

    def test_no_more_than_allowed(self) -> None:
        assert self.pruned(PruningConfig(share=0.2, most=0.4)) == [2, 3]
        assert self.pruned(PruningConfig(share=0.2, most=0.0)) == []

    def test_it_prunes_on_its_schedule_only(self) -> None:
        config = PruningConfig(start=6000, stop=12_000, every=3000)
        assert [s for s in range(1000, 30_000, 1000) if self.pruned(config, s)] == [6000, 9000, 12_000]

    def test_the_largest_weight_can_count_instead_of_the_sum(self) -> None:
        pruning = ContributionPruning(Listener(), PruningConfig(share=0.05, score="largest"))
        # Row 0 is faint in many views, row 1 clear in one.
        (edit,) = pruning.on_step(6000, seen_by(3, [[0.04, 0.9, 0.9]] + [[0.04, 0.0, 0.9]] * 40))
        assert edit.rows.tolist() == [0]


@pytest.mark.parametrize(
    ("config", "wrong"),
    [
        (TamingConfig, {"multiplier": 0.5}),
        (TamingConfig, {"views": 0}),
        (DashConfig, {"every": 0}),
        (TurboConfig, {"base": 0.4}),
        (TurboConfig, {"decay": 1.0}),
        (PruningConfig, {"share": 1.0}),
        (PruningConfig, {"score": "median"}),
    ],
)
def test_settings_out_of_range_are_named(config: type, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        config(**wrong)


@pytest.mark.parametrize(
    "config", [TamingConfig(), DashConfig(), TurboConfig(), PruningConfig(), ADCConfig()]
)
def test_schedules_stretch_with_the_run(config: object) -> None:
    short = config.stretched(0.1)  # type: ignore[attr-defined]
    for name in ("start", "stop", "refine_start", "refine_stop"):
        if hasattr(config, name):
            assert getattr(short, name) == pytest.approx(getattr(config, name) / 10)
    assert config.stretched(1.0) == config  # type: ignore[attr-defined]
