from __future__ import annotations

from dataclasses import replace

import pytest

from gsplat_core.densify.adc import ADCConfig
from gsplat_core.densify.stretching import MIN_REFINE_EVERY, MIN_RESET_EVERY
from gsplat_core.errors import UsageError
from trainers.presets import PRESETS, preset, scaled_to, with_primitive, with_strategy


def test_published_is_3dgs_as_published():
    config = preset("published")
    assert config.steps == 30_000
    assert config.sh_degree_every == 1000
    assert config.densify == {"adc": ADCConfig(scale="published")}
    assert (config.background, config.sky, config.gaps, config.cap) == ("black", "never", "never", "none")


@pytest.mark.parametrize("strategy", ["mcmc", "adc+lpm", "mcmc+seeding"])
def test_another_strategy_keeps_the_rule_of_scale(strategy):
    for name, rule in (("published", "published"), ("default", "seen")):
        parts = with_strategy(preset(name), strategy).densify.values()
        assert {part.scale for part in parts if hasattr(part, "scale")} == {rule}


def test_an_unknown_preset_lists_the_known_ones():
    with pytest.raises(UsageError, match="default, published, fast, tiny"):
        preset("turbo")


@pytest.mark.parametrize("name", PRESETS)
def test_the_presets_own_length_changes_nothing(name):
    config = preset(name)
    assert scaled_to(config, config.steps) == config


@pytest.mark.parametrize("steps", [1, 40, 500, 7_000, 100_000])
@pytest.mark.parametrize("name", PRESETS)
def test_points_in_time_keep_their_fraction_of_the_run(name, steps):
    config = preset(name)
    scaled = scaled_to(config, steps)
    assert scaled.steps == steps
    for part, settings in config.densify.items():
        for field in ("refine_start", "refine_stop", "prune_scale_start", "start", "stop"):
            if hasattr(settings, field):
                before, after = getattr(settings, field), getattr(scaled.densify[part], field)
                assert abs(after / steps - before / config.steps) <= 1 / steps
    assert abs(scaled.sh_degree_every / steps - config.sh_degree_every / config.steps) <= 1 / steps


def test_short_runs_refine_often_enough_but_not_on_too_few_views():
    densify = scaled_to(preset("published"), 500).densify["adc"]
    assert densify.refine_every == MIN_REFINE_EVERY
    refinements = range(MIN_REFINE_EVERY, densify.refine_stop, MIN_REFINE_EVERY)
    assert sum(step > densify.refine_start for step in refinements) >= 3


def test_long_runs_do_not_refine_more_rarely():
    published = preset("published")
    longer = scaled_to(published, 90_000).densify["adc"]
    assert longer.refine_every == published.densify["adc"].refine_every


@pytest.mark.parametrize(("steps", "resets"), [(30_000, True), (15_000, True), (5_000, False), (500, False)])
def test_opacities_are_reset_only_where_there_is_time_to_recover(steps, resets):
    densify = scaled_to(preset("published"), steps).densify["adc"]
    assert (densify.reset_every < densify.refine_stop) == resets
    assert not resets or densify.reset_every >= MIN_RESET_EVERY


def test_other_settings_stay():
    config = replace(preset("fast"), seed=5, background="random")
    scaled = scaled_to(config, 100)
    assert (scaled.seed, scaled.background, scaled.sh_degree) == (5, "random", config.sh_degree)


def test_learning_rates_rise_in_short_runs_of_the_fast_preset_only():
    default, fast = preset("default"), preset("fast")
    assert scaled_to(default, 300).learning_rates == default.learning_rates
    quarter = scaled_to(fast, fast.steps // 4).learning_rates
    assert quarter.scales == pytest.approx(2 * fast.learning_rates.scales)
    assert quarter.means_final == pytest.approx(2 * fast.learning_rates.means_final)
    assert quarter.opacities == fast.learning_rates.opacities
    assert scaled_to(fast, 10).learning_rates.sh0 == pytest.approx(4 * fast.learning_rates.sh0)
    assert scaled_to(fast, 30_000).learning_rates == fast.learning_rates


def test_the_fast_preset_shows_small_images_first():
    config = preset("fast")
    assert config.resolution.until == config.steps / 4
    assert scaled_to(config, 700).resolution.until == 175


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("strategy", ["adc", "mcmc", "lpm", "mcmc+lpm", "adc+taming+pruning"])
def test_a_strategy_fits_into_every_preset(name, strategy):
    config = with_strategy(preset(name), strategy)
    assert config.strategy == strategy
    for part, settings in config.densify.items():
        stop = getattr(settings, "refine_stop", getattr(settings, "stop", 0))
        assert 0 < stop <= config.steps, part
    if "adc" in config.densify and "adc" in preset(name).densify:
        assert config.densify["adc"] == preset(name).densify["adc"]


def test_presets_are_as_they_are_documented():
    """Numbers that docs/strategies.md reports measurements of."""
    fast, tiny, default = preset("fast"), preset("tiny"), preset("default")
    assert (fast.steps, fast.sh_degree_every, fast.rate_exponent, fast.strategy) == (
        7000,
        500,
        0.5,
        "adc+pruning",
    )
    adc, pruning = fast.densify["adc"], fast.densify["pruning"]
    assert (adc.refine_start, adc.refine_stop, adc.reset_every) == (300, 4000, 4000)
    assert (adc.prune_scale_start, adc.absgrad, adc.gradient_threshold) == (1500, True, 8e-4)
    assert (pruning.start, pruning.stop, pruning.every) == (1400, 3500, 700)
    assert (tiny.steps, tiny.log_every, tiny.sh_degree_every) == (2000, 20, 400)
    adc = tiny.densify["adc"]
    assert (adc.refine_start, adc.refine_stop, adc.reset_every, adc.prune_scale_start) == (
        200,
        1400,
        1400,
        700,
    )
    assert (default.steps, default.strategy) == (30_000, "mcmc")
    assert {name: config.preset for name, config in PRESETS.items()} == {name: name for name in PRESETS}


def test_short_runs_are_logged_a_hundred_times():
    default = preset("default")
    logged = {steps: scaled_to(default, steps).log_every for steps in (50, 300, 5000, 60_000)}
    assert logged == {50: 1, 300: 3, 5000: 50, 60_000: 50}


def test_another_primitive_keeps_the_rates_that_it_has_a_use_for():
    config = with_primitive(preset("default"), "generalized")
    assert config.primitive == "generalized"
    assert config.learning_rates.further == {"beta": 1e-2}
    slow = replace(config, learning_rates=replace(config.learning_rates, further={"beta": 0.5}))
    assert with_primitive(slow, "generalized").learning_rates.further == {"beta": 0.5}
    assert with_primitive(slow, "gaussian").learning_rates.further == {}
    doubled = scaled_to(replace(slow, rate_exponent=0.5), slow.steps // 4).learning_rates
    assert doubled.further == {"beta": pytest.approx(1.0)}
