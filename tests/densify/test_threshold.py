"""Thresholds: what they are for given gradients, and what follows for a scene that grows."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gsplat_core.densify import ADC, ADCConfig, ParameterStore, RenderStats, SceneView, create
from gsplat_core.densify.dash import DashConfig
from gsplat_core.densify.threshold import DECAY, Absolute, Relative, Top, parse_threshold

SHARE = 0.025


def lengths(*values: float) -> Tensor:
    return torch.tensor(values)


class Scene:
    """Opaque small Gaussians, seen by one view in each refinement, whose gradients are drawn anew."""

    def __init__(self, num: int, config: ADCConfig, frozen: Tensor | None = None) -> None:
        params = {
            "means": torch.rand(num, 3),
            "quats": torch.rand(num, 4),
            "scales": torch.full((num, 3), -5.0),
            "opacities": torch.zeros(num),
        }
        extras = {} if frozen is None else {"frozen": frozen}
        self.store = ParameterStore(params, extras=extras)
        self.strategy = ADC(config)
        self.strategy.initialize(num, "cpu")
        self.step = 0

    def see(self, gradients: Tensor) -> None:
        """One backward pass with these mean gradients [N], in device units."""
        pixels = torch.stack([gradients / 50, torch.zeros_like(gradients)], dim=-1)[None]
        radii = torch.ones(1, self.store.num, 2, dtype=torch.int32)
        self.strategy.on_backward(self.step + 1, RenderStats(pixels, radii, 100, 100, 1))

    @property
    def view(self) -> SceneView:
        return SceneView(self.store.params, 1.0, frozen=self.store.frozen)

    def refine(self, gradients: Tensor) -> int:
        """How many there are after a refinement."""
        self.see(gradients)
        self.step += 1
        self.strategy.follow(self.store.apply(self.strategy.on_step(self.step, self.view)))
        return self.store.num


def config(threshold: str, **others: float) -> ADCConfig:
    return replace(ADCConfig(refine_start=0, refine_every=1, threshold=threshold), **others)


def test_texts_name_rules() -> None:
    assert parse_threshold("absolute", 3e-4) == Absolute(3e-4)
    assert parse_threshold("top:0.025", 3e-4) == Top(0.025)
    assert parse_threshold("ema:2", 3e-4) == Relative(2.0)


@pytest.mark.parametrize(
    "text",
    ["", "top", "top:", "top:x", "top:0", "top:1.5", "top:nan", "ema:0", "ema:-1", "ema:inf", "mean:1"],
)
def test_other_texts_are_refused_where_they_are_given(text: str) -> None:
    with pytest.raises(ValueError, match="threshold"):
        ADCConfig(threshold=text)


def test_the_top_share_is_a_share_of_all_and_ranks_those_with_a_gradient() -> None:
    gradients = torch.rand(60, generator=torch.Generator().manual_seed(1)) + 0.1
    for share, rank in ((0.05, 5), (0.5, 50), (1.0, 60)):
        assert Top(share).value(gradients, 100, {}) == gradients.sort(descending=True).values[rank - 1]
    assert Top(0.001).value(gradients, 100, {}) == math.inf
    assert Top(0.5).value(gradients[:0], 100, {}) == math.inf


def test_the_running_mean_forgets_by_the_same_share_at_each_refinement() -> None:
    rule, memory = Relative(2.0), dict(Relative.memory)
    assert rule.value(lengths(), 0, memory) == math.inf
    expected = None
    for values in ((1.0, 3.0), (4.0,), (8.0, 0.5)):
        mean = sum(values) / len(values)
        expected = mean if expected is None else DECAY * expected + (1 - DECAY) * mean
        assert rule.value(lengths(*values), 9, memory) == pytest.approx(2 * expected)
        memory = rule.remembered(lengths(*values), memory)
    assert rule.remembered(lengths(), memory) == memory


def test_gradients_that_are_zero_or_not_finite_are_in_no_ranking_and_no_mean() -> None:
    """Half of all are unseen and some are broken: as many grow as if they were not there to be ranked."""
    gradients = torch.rand(1000, generator=torch.Generator().manual_seed(2)) + 0.1
    gradients[::2] = 0
    gradients[1], gradients[3] = math.nan, math.inf
    assert Scene(1000, config("top:0.1")).refine(gradients) == 1100
    scene = Scene(1000, config("ema:1.5"))
    usable = gradients[(gradients > 0) & gradients.isfinite()]
    assert scene.refine(gradients) == 1000 + int((usable >= 1.5 * usable.mean()).sum())
    assert scene.strategy.numbers["mean_gradient"] == pytest.approx(float(usable.mean()))


@pytest.mark.parametrize("share", [0.01, SHARE, 0.3])
def test_a_scene_grows_by_the_share_in_each_interval(share: float) -> None:
    scene = Scene(4000, config(f"top:{share}"))
    random = torch.Generator().manual_seed(3)
    for _ in range(5):
        before = scene.store.num
        after = scene.refine((torch.randn(before, generator=random) * 2).exp() * 1e-4)
        assert after / before == pytest.approx(1 + share, rel=1e-3)


def grown(threshold: str, loss_scale: float) -> int:
    """How many have come after ten refinements in which gradients fall, as they do in a training."""
    scene = Scene(4000, config(threshold))
    random = torch.Generator().manual_seed(4)
    for number in range(10):
        drawn = (torch.randn(scene.store.num, generator=random) * 1.2 - 0.1 * number).exp()
        scene.refine(loss_scale * 2.5e-5 * drawn)
    return scene.store.num - 4000


def test_only_the_absolute_threshold_depends_on_the_scale_of_the_loss() -> None:
    assert grown("absolute", 10) > 3 * grown("absolute", 1)
    for threshold in (f"top:{SHARE}", "ema:4"):
        assert grown(threshold, 10) == pytest.approx(grown(threshold, 1), rel=0.02)
        assert grown(threshold, 1) > 400


def test_the_running_mean_lets_fewer_grow_as_gradients_fall() -> None:
    gradients = torch.rand(1000, generator=torch.Generator().manual_seed(5)) + 0.5
    steady, falling = Scene(1000, config("ema:1.2")), Scene(1000, config("ema:1.2"))
    for scene in (steady, falling):
        scene.refine(gradients)
    ones = torch.rand(steady.store.num, generator=torch.Generator().manual_seed(6)) + 0.5
    assert falling.refine(0.8 * ones) < steady.refine(ones)


def test_frozen_rows_are_not_ranked() -> None:
    """A tenth of those that may grow do, although the others have the largest gradients."""
    frozen = torch.arange(1000) < 500
    gradients = torch.rand(1000, generator=torch.Generator().manual_seed(7)) + 0.1 + frozen.float()
    assert Scene(1000, config("top:0.1"), frozen).refine(gradients) == 1050


def test_need_is_one_at_the_threshold_and_asking_changes_nothing() -> None:
    for threshold in ("top:0.1", "ema:1.5", "absolute"):
        scene = Scene(1000, config(threshold, gradient_threshold=1.0))
        scene.see(torch.rand(1000, generator=torch.Generator().manual_seed(8)) + 0.2)
        before = scene.strategy.state_dict()
        need = scene.strategy.need(scene.view)
        after = scene.strategy.state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name].nan_to_num(), after[name].nan_to_num()) for name in before)
        scene.step += 1
        assert len(scene.strategy.on_step(scene.step, scene.view)[1].rows) == int((need >= 1).sum()) > 0


def test_plugins_see_the_share_that_grows() -> None:
    """DashGaussian counts who is above the threshold."""
    strategy = create("adc+dash", {"adc": config("top:0.1"), "dash": DashConfig(initial_momentum=0)})
    scene = Scene(1000, config("absolute"))
    scene.strategy = strategy  # type: ignore[assignment]
    strategy.initialize(1000, "cpu")
    scene.refine(torch.rand(1000) + 0.1)
    assert strategy.numbers["momentum"] == 100


def test_a_running_mean_goes_on_and_older_states_do_without() -> None:
    first, second = Scene(100, config("ema:1.5")), Scene(100, config("ema:1.5"))
    first.refine(torch.ones(100))
    second.strategy.load_state_dict(first.strategy.state_dict())
    assert second.strategy.numbers == first.strategy.numbers == {"mean_gradient": 1.0}
    first.strategy.initialize(100, "cpu")
    assert math.isnan(first.strategy.numbers["mean_gradient"])
    assert sorted(Scene(1, config("absolute")).strategy.state_dict()) == ["gradient_sum", "random", "seen"]
