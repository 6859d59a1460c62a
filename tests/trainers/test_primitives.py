"""Every primitive under every density control: its fields are trained, follow their rows and go on to the
bit. Frozen rows stay as they are."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import example_primitive
import pytest
import torch
from strategy_runs import ALL, CAP, Run, tensors

from gsplat_core import primitive
from gsplat_core.errors import UsageError
from gsplat_core.render.scene import render
from gsplat_core.scene.schema import FROZEN, PARAMETERS
from gsplat_core.second_order.linearization import Linearization, Settings
from trainers.config import LearningRates, TrainConfig, from_json
from trainers.presets import preset, scaled_to
from trainers.primitives import BY_SPLATS, OWN_STRATEGIES
from trainers.settings import with_settings
from trainers.viewer.subject import differences
from trainers.views import Target

others = pytest.mark.parametrize(
    "name", [n for n in primitive.names() if n not in ("gaussian", *OWN_STRATEGIES)]
)
strategies = pytest.mark.parametrize("strategy", ALL)


@others
@strategies
def test_fields_are_trained_and_go_on_to_the_bit(config, name, strategy):
    config = replace(config, primitive=name, ray_step=0.05)  # that of rays, for speed
    if name == "raygauss" and set(strategy.split("+")) & set(BY_SPLATS):
        with pytest.raises(UsageError, match="which is not known"):
            Run(config, strategy)
        return
    whole, first = Run(config, strategy), Run(config, strategy)
    fields = [field for field in whole.trainer.schema.further if field.trained]
    start = {field.name: whole.trainer.store.params[field.name].detach().clone() for field in fields}
    whole.advance(30)
    assert 80 < whole.trainer.num_gaussians <= CAP
    for field in fields:
        values = whole.trainer.store.params[field.name]
        assert bool(values.isfinite().all())
        assert not bool(torch.isin(values, start[field.name]).all())
    first.advance(22)
    second = Run(config, strategy)
    second.trainer.load_state_dict(first.trainer.state_dict())
    assert second.trainer.gaussians.primitive == name
    second.advance(8)
    ours, theirs = dict(tensors(second.trainer.state_dict())), dict(tensors(whole.trainer.state_dict()))
    assert ours.keys() == theirs.keys()
    for key in ours:
        assert torch.equal(ours[key], theirs[key]), key


@strategies
def test_frozen_rows_are_the_same_to_the_bit_while_others_train(config, strategy):
    run = Run(config, strategy)
    run.advance(5)  # so that there are moments to keep
    trainer = run.trainer
    num = trainer.num_gaussians
    trainer.store.extras["number"] = torch.arange(num)
    trainer.store.extras[FROZEN] = torch.arange(num) % 3 == 0
    # Some that density control would like to see gone, as transparent or as far too large.
    with torch.no_grad():
        trainer.store.params["opacities"][0:30:6] = -9.0
        trainer.store.params["scales"][3:30:6] = 1.0
    before = {name: value.detach().clone() for name, value in trainer.store.params.items()}
    moments = {
        (name, key): trainer.adam.state[value][key].clone()
        for name, value in trainer.store.params.items()
        for key in ("exp_avg", "exp_avg_sq")
    }
    run.advance(20)
    state = trainer.state_dict()
    run = Run(config, strategy)
    run.trainer.load_state_dict(state)
    run.advance(25)
    store = run.trainer.store
    assert 80 < store.num <= CAP
    frozen = store.frozen
    numbers = store.extras["number"][frozen]
    assert torch.equal(numbers.sort().values, torch.arange(0, num, 3))
    for name, value in store.params.items():
        assert torch.equal(value[frozen], before[name][numbers]), name
        assert not bool(torch.isin(value[~frozen], before[name]).all()), name
    for (name, key), value in moments.items():
        assert value.any() or name == "shN"  # of a degree that is not in use yet
        assert torch.equal(run.trainer.adam.state[store.params[name]][key][frozen], value[numbers]), name


def test_a_field_without_a_learning_rate_stays(config):
    schema = example_primitive.SCHEMA.changed("quats", learning_rate=None).changed("sh0", learning_rate=None)
    primitive.register("stiff", schema)(example_primitive.firefly)
    try:
        run = Run(replace(config, primitive="stiff"), "adc")
        run.trainer.store.extras["number"] = torch.arange(80)
        colours = run.trainer.store.params["sh0"].detach().clone()
        run.advance(16)
        assert run.trainer.num_gaussians > 80
        store = run.trainer.store
        assert torch.equal(store.params["sh0"], colours[store.extras["number"]])
        assert torch.equal(store.params["quats"], torch.eye(4)[:1].expand(store.num, 4))
        assert {group["name"] for group in run.trainer.adam.param_groups} == (
            {*PARAMETERS, "glow", "velocities", "wind"} - {"quats", "sh0"}
        )
    finally:
        del primitive._registry["stiff"]


def test_rates_come_from_the_schema_and_can_be_set(config):
    config = replace(config, primitive="firefly")
    assert config.learning_rates.further == {"velocities": 1e-4, "glow": 1e-2, "wind": 1e-4}
    config = with_settings(config, ["learning_rates.further.glow=0.5", "learning_rates.quats=0.25"])
    assert from_json(TrainConfig, config.to_json()) == config
    run = Run(config, "adc")
    run.advance(1)
    rates = run.trainer.store.learning_rates()
    extent = run.trainer.scene_extent
    assert (rates["glow"], rates["quats"]) == (0.5, 0.25)
    assert rates["velocities"] == pytest.approx(1e-4 * extent)
    assert rates["scales"] == LearningRates().scales


def test_what_rows_share_is_trained_at_a_rate_that_falls(config):
    run = Run(replace(config, primitive="firefly"), "adc")
    before = run.trainer.store.shared["wind"].detach().clone()
    rates = []
    for _ in range(config.steps):
        run.advance(1)
        (group,) = (group for group in run.trainer.adam.param_groups if group["name"] == "wind")
        rates.append(group["lr"])
    assert not torch.equal(run.trainer.gaussians.shared["wind"], before)
    assert rates[-1] == pytest.approx(0.1 * 1e-4 * run.trainer.scene_extent)
    ratios = [later / earlier for earlier, later in itertools.pairwise(rates)]
    assert ratios == pytest.approx([ratios[0]] * len(ratios))


def test_rates_of_short_runs_rise_together():
    fast = replace(preset("fast"), primitive="firefly")
    short = scaled_to(fast, 1750).learning_rates
    assert short.further["glow"] == pytest.approx(2 * fast.learning_rates.further["glow"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"primitive": "mayfly"}, "no primitive is named 'mayfly'"),
        ({"learning_rates": {"further": {"glow": 1}}}, r"further.glow: the primitive trains nothing"),
        (
            {"primitive": "firefly", "learning_rates": {"further": {"hue": 1}}},
            "hue: .* glow, wind",
        ),
        (
            {"primitive": "firefly", "learning_rates": {"further": {"glow": -1}}},
            "glow must be a number from 0 to 1,000,000, got -1",
        ),
        (
            {"primitive": "firefly", "learning_rates": {"further": {"glow": "1"}}},
            "glow must be a number from 0 to 1,000,000, got '1'",
        ),
    ],
)
def test_wrong_primitives_and_rates_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        from_json(TrainConfig, values)


def test_what_knows_plain_gaussians_only_refuses(config):
    scene = Run(replace(config, primitive="firefly"), "adc").trainer.gaussians
    with pytest.raises(ValueError, match="a linearization has no place for 'velocities', 'glow', 'birth'"):
        Linearization(scene, [], Settings(sh_degree=0))
    (note,) = differences(scene)
    assert re.search("browser has no place for .* the primitive 'firefly'", note)
    fireflies = replace(config, primitive="firefly")
    with pytest.raises(UsageError, match="lm knows plain Gaussians only, not the primitive 'firefly'"):
        Run(replace(fireflies, optimizer="lm"), "adc")
    run = Run(replace(config, optimizer="lm"), "adc")
    run.trainer.store.extras[FROZEN] = torch.ones(80, dtype=torch.bool)
    with pytest.raises(UsageError, match="lm moves every row, also frozen ones"):
        run.trainer.refine([])


@others
def test_density_control_looks_at_what_is_drawn(config, name):
    """The image that strategies get is that of the training step, carried fields included."""
    run = Run(replace(config, primitive=name), "adc")
    trainer = run.trainer
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for field in trainer.schema.further:
            value = trainer.store.params[field.name]
            value.copy_(torch.randn(value.shape, generator=generator))
        for value in trainer.store.shared.values():
            if value.is_floating_point():
                value.copy_(0.1 * torch.randn(value.shape, generator=generator))
    for field in trainer.schema.carried:
        value = trainer.store.extras[field.name]
        value.copy_(torch.randn(value.shape, generator=generator))
    target = Target.of(run.views[0], trainer.device, 0)
    view = trainer._scene_view(1, target)
    camera = run.views[0].camera
    expected = render(trainer._evaluated(view.params, camera), camera, sh_degree=0)
    shown = view.views.image(view.params, 0)
    torch.testing.assert_close(shown, expected.colors[0].detach())
    plain = render({n: view.params[n] for n in PARAMETERS}, run.views[0].camera, sh_degree=0)
    assert not torch.allclose(shown, plain.colors[0], atol=1e-3)
