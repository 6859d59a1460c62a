"""A step of training is what the paper says, made of gsplat's interface, autograd and torch's Adam."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gsplat_core import rasterization
from gsplat_core.densify.adc import ADC, ADCConfig
from gsplat_core.densify.edits import Edit, Prune
from gsplat_core.densify.plan import RowPlan
from gsplat_core.densify.strategy import ScaleRule
from gsplat_core.errors import UsageError
from gsplat_core.losses import l1_dssim
from gsplat_core.morton import morton_order
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.scale import SceneScale
from trainers.benchmark.scene import training_scene
from trainers.config import LearningRates, TrainConfig
from trainers.parts.density import Density
from trainers.parts.part import Group, Part
from trainers.parts.parts import Parts
from trainers.trainer import Trainer
from trainers.views import Target

NUM, WIDTH, HEIGHT = 60, 40, 30
CONFIG = TrainConfig(
    device="cpu", steps=100, sh_degree=2, sh_degree_every=3, background="black", reorder_every=0, seed=5
)
SCALE = replace(SceneScale.of_extent(2.0), length=2.0, published=3.0)
# Adam's rates of 3DGS, of which those of lengths are for a scene of extent 1.
RATES = {"sh0": 2.5e-3, "shN": 2.5e-3 / 20, "opacities": 0.05, "scales": 5e-3, "quats": 1e-3}


def scene() -> tuple[Gaussians, Target]:
    return training_scene(NUM, WIDTH, HEIGHT, median_sigma=3.0)


def trainer(config: TrainConfig = CONFIG, parts: Sequence[Part] = ()) -> Trainer:
    # Without density control: rows stay what they are.
    return Trainer(config, scene()[0], SCALE, parts=Parts({f"part{i}": part for i, part in enumerate(parts)}))


def steps_by_hand(
    config: TrainConfig, count: int, extent: float, factor: float = 1.0
) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Parameters after some steps, and the loss of each."""
    gaussians, target = scene()
    params = {name: value.clone().requires_grad_() for name, value in gaussians.params.items()}
    adam = torch.optim.Adam(
        [{"params": [value], "name": name} for name, value in params.items()], betas=(0.9, 0.999), eps=1e-15
    )
    losses = []
    for step in range(1, count + 1):
        for group in adam.param_groups:
            progress = step / config.steps
            means = extent * math.exp((1 - progress) * math.log(1.6e-4) + progress * math.log(1.6e-6))
            group["lr"] = factor * (means if group["name"] == "means" else RATES[group["name"]])
        background = None
        if config.background == "white":
            background = torch.ones(1, 3)
        if config.background == "random":
            generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
            background = torch.rand(1, 3, generator=generator)
        colors, _, _ = rasterization(
            params["means"],
            params["quats"],
            params["scales"].exp(),
            params["opacities"].sigmoid(),
            torch.cat([params["sh0"], params["shN"]], dim=1),
            target.viewmat,
            target.K,
            WIDTH,
            HEIGHT,
            sh_degree=min(step // 3, 2),
            backgrounds=background,
            rasterize_mode="antialiased" if config.antialiased else "classic",
        )
        loss = l1_dssim(colors, target.image[None], config.lambda_dssim)
        loss.backward()
        losses.append(loss.detach())
        adam.step()
        adam.zero_grad()
    return params, losses


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        replace(CONFIG, background="white", lambda_dssim=0.4),
        replace(CONFIG, background="random", antialiased=True),
    ],
    ids=["black", "white", "random"],
)
def test_steps_are_those_of_torch(config: TrainConfig) -> None:
    mine = trainer(config)
    losses = [mine.advance(scene()[1])[0] for _ in range(7)]
    params, expected = steps_by_hand(config, 7, extent=SCALE.length)
    torch.testing.assert_close(torch.stack(losses), torch.stack(expected), rtol=1e-5, atol=1e-6)
    start = scene()[0].params
    for name, value in params.items():
        moved = (value - start[name]).detach()
        assert moved.abs().max() > 0
        # Adam divides by the gradient's size: where that is rounding, so is the step.
        off = (mine.gaussians.params[name] - start[name] - moved).abs()
        assert off.quantile(0.98) < 1e-3 * moved.abs().max() + 1e-7, name
    assert mine.step == 7


@pytest.mark.parametrize(("rule", "extent"), [("seen", SCALE.length), ("published", SCALE.published)])
def test_the_scene_is_measured_by_what_the_strategy_asks_for(rule: ScaleRule, extent: float) -> None:
    config = replace(CONFIG, densify={"adc": ADCConfig(scale=rule)})
    assert trainer(config).scene_extent == extent
    params, _ = steps_by_hand(config, 1, extent=extent)
    off = (_after_a_step(config)["means"] - params["means"]).abs()
    assert off.quantile(0.98) < 1e-3 * 1.6e-4 * extent


def _after_a_step(config: TrainConfig) -> dict[str, Tensor]:
    mine = trainer(config)
    mine.advance(scene()[1])
    return dict(mine.gaussians.params)


def test_the_factor_on_learning_rates_is_one_of_all() -> None:
    halved = trainer()
    halved.lr_factor = 0.5
    halved.advance(scene()[1])
    params, _ = steps_by_hand(CONFIG, 1, extent=SCALE.length, factor=0.5)
    for name, value in params.items():
        off = (halved.gaussians.params[name] - value).abs()
        assert off.quantile(0.98) < 1e-3 * 0.05, name
    rates = {group["name"]: group["lr"] for group in halved.adam.param_groups}
    assert {name: rates[name] for name in RATES} == pytest.approx({k: v / 2 for k, v in RATES.items()})


class Watching(Part):
    """Trains one number, adds its square to the loss, and remembers what it is told."""

    def __init__(self) -> None:
        self.number = torch.tensor(2.0, requires_grad=True)
        self.plans: list[RowPlan] = []
        self.stats: list[object] = []
        self.edited_at: int | None = None
        self.holds = False

    def parameters(self) -> list[Group]:
        return [Group("number", self.number, rate=lambda step: 0.1 * step, betas=(0.5, 0.75), eps=1e-3)]

    def loss(self, step, rendering, target):
        return self.number.square()

    def on_backward(self, step, stats):
        self.stats.append(stats)

    def holds_rows(self, step):
        return self.holds

    def edits(self, step: int, scene: object) -> list[Edit]:
        return [Prune(torch.tensor([3]))] if step == self.edited_at else []

    def follow(self, plan: RowPlan) -> None:
        self.plans.append(plan)


def test_what_a_part_trains_has_its_own_rate_and_moments() -> None:
    part = Watching()
    mine = trainer(parts=[part])
    mine.advance(scene()[1])
    mine.advance(scene()[1])
    expected = torch.tensor(2.0, requires_grad=True)
    adam = torch.optim.Adam([expected], betas=(0.5, 0.75), eps=1e-3)
    for step in (1, 2):
        adam.param_groups[0]["lr"] = 0.1 * step
        adam.zero_grad()
        expected.square().backward()
        adam.step()
    assert part.number.item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_loss_that_is_told_is_that_of_the_photograph_alone() -> None:
    loss, image = trainer(parts=[Watching()]).advance(scene()[1])
    alone, _ = trainer().advance(scene()[1])
    assert loss == alone
    assert image.shape == (HEIGHT, WIDTH, 3)


def test_parts_hear_of_the_photograph_and_its_rendering() -> None:
    part = Watching()
    mine = trainer(parts=[part])
    target = replace(scene()[1], view=4, mask=torch.ones(HEIGHT, WIDTH, dtype=torch.bool))
    target.mask[:10] = False  # type: ignore[index]
    _, image = mine.advance(target)
    (stats,) = part.stats
    assert (stats.width, stats.height, stats.num_cameras, stats.views) == (WIDTH, HEIGHT, 1, [4])  # type: ignore[attr-defined]
    assert torch.equal(stats.masks[0], target.mask)  # type: ignore[attr-defined, arg-type]
    assert torch.equal(stats.images[0], image.where(target.mask[..., None], 0.0))  # type: ignore[attr-defined, index]
    assert torch.equal(stats.targets[0], target.image)  # type: ignore[attr-defined]
    assert stats.scene_extent == SCALE.length  # type: ignore[attr-defined]
    assert stats.weights is None  # type: ignore[attr-defined]
    assert stats.means2d_grad.shape == (1, NUM, 2)  # type: ignore[attr-defined]


def test_parts_follow_the_edits_of_their_step() -> None:
    part = Watching()
    part.edited_at = 2
    mine = trainer(parts=[part])
    third = mine.gaussians.means[4].clone()
    mine.advance(scene()[1])
    assert (mine.num_gaussians, part.plans) == (NUM, [])
    mine.advance(scene()[1])
    assert mine.num_gaussians == NUM - 1
    assert len(part.plans) == 1
    torch.testing.assert_close(mine.gaussians.means[3], third, atol=1e-2, rtol=0)


def test_rows_are_put_in_order_after_the_first_of_so_many_steps() -> None:
    part = Watching()
    mine = trainer(replace(CONFIG, reorder_every=3), [part])
    reordered = []
    for step in range(1, 8):
        mine.advance(scene()[1])
        if len(part.plans) > len(reordered):
            reordered.append(step)
            means = mine.gaussians.means
            assert torch.equal(morton_order(means), torch.arange(NUM))
    assert reordered == [1, 4, 7]
    holding = Watching()
    holding.holds = True
    trainer(replace(CONFIG, reorder_every=1), [holding]).advance(scene()[1])
    assert holding.plans == []


def test_frozen_rows_stay() -> None:
    mine = trainer(replace(CONFIG, sh_degree_every=0))
    frozen = torch.zeros(NUM, dtype=torch.bool)
    frozen[:20] = True
    mine.store.extras["frozen"] = frozen
    before = {name: value.clone() for name, value in mine.gaussians.params.items()}
    mine.advance(scene()[1])
    for name, value in mine.gaussians.params.items():
        assert torch.equal(value[:20], before[name][:20])
        assert not torch.equal(value[20:], before[name][20:])
    with pytest.raises(UsageError, match="frozen"):
        mine.refine([scene()[1]])


def test_fields_with_a_learning_rate_of_0_stay() -> None:
    """Colours alone, or shapes alone; and what multiplies by its shape needs it to be free."""
    strategy = ADC(ADCConfig(gradient_threshold=1e-9, refine_start=0, refine_every=2, reset_every=3))
    colours, shapes = {"sh0", "shN"}, {"means", "quats", "scales", "opacities"}
    for fixed in (colours, shapes):
        rates = LearningRates(**dict.fromkeys(fixed, 0.0))
        config = replace(CONFIG, learning_rates=rates, sh_degree_every=0)
        mine = trainer(config, parts=[Density(strategy)])
        before = {name: value.detach().clone() for name, value in mine.gaussians.params.items()}
        assert mine.fixed == fixed
        mine.advance(scene()[1])
        assert {group["name"] for group in mine.adam.param_groups} == (colours | shapes) - fixed
        for name, value in mine.gaussians.params.items():
            assert torch.equal(value, before[name]) == (name in fixed), name
        for _ in range(3):
            mine.advance(scene()[1])
        assert (mine.num_gaussians == NUM) == (fixed == shapes)
        with pytest.raises(UsageError, match="lm moves all rows and fields"):
            mine.refine([scene()[1]])
        again = trainer(config, parts=[Density(strategy)])
        again.load_state_dict(mine.state_dict())
        assert again.fixed == fixed
    with pytest.raises(UsageError, match="learning rates of all fields are 0"):
        trainer(replace(CONFIG, learning_rates=LearningRates(**dict.fromkeys(colours | shapes, 0.0))))
    with pytest.raises(UsageError, match="lm trains all fields; quats shall stay"):
        trainer(replace(CONFIG, learning_rates=LearningRates(quats=0.0), optimizer="lm"))


def test_rows_go_at_their_own_pace() -> None:
    """Half as far in the first step, in which all start from one place."""
    config = replace(CONFIG, sh_degree_every=0)
    mine, plain = trainer(config), trainer(config)
    start = {name: value.detach().clone() for name, value in mine.gaussians.params.items()}
    mine.store.extras["pace"] = torch.where(torch.arange(NUM) < 20, 0.5, 1.0)
    for each in (mine, plain):
        each.advance(scene()[1])
    for name, value in mine.gaussians.params.items():
        full = plain.gaussians.params[name] - start[name]
        torch.testing.assert_close(value[:20] - start[name][:20], 0.5 * full[:20], rtol=1e-4, atol=3e-7)
        assert torch.equal(value[20:], plain.gaussians.params[name][20:]), name
    with pytest.raises(UsageError, match="lm moves all rows and fields"):
        mine.refine([scene()[1]])


def test_losses_and_parameters_are_finite() -> None:
    mine = trainer()
    assert mine.is_finite([torch.tensor(1.0)])
    assert not mine.is_finite([torch.tensor(1.0), torch.tensor(math.nan)])
    with torch.no_grad():
        mine.store.params["quats"][7, 2] = math.inf
    assert not mine.is_finite([torch.tensor(1.0)])


def test_a_run_goes_on_to_the_bit() -> None:
    config = replace(CONFIG, background="random", reorder_every=2)
    whole, first, second = (trainer(config, [Watching()]) for _ in range(3))
    for _ in range(5):
        whole.advance(scene()[1])
    for _ in range(3):
        first.advance(scene()[1])
    first.lr_factor = 0.25
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert second.lr_factor == 0.25
    second.lr_factor = 1.0
    assert second.step == 3
    for _ in range(2):
        second.advance(scene()[1])
    for name, value in whole.gaussians.params.items():
        assert torch.equal(value, second.gaussians.params[name]), name
    assert torch.equal(whole.trained["part0.number"].tensor, second.trained["part0.number"].tensor)
