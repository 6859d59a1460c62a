"""Rates hold, and fall at the end."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from strategy_runs import Run

from trainers.parts.cooldown import Cooldown, CooldownConfig
from trainers.presets import preset


def test_rates_hold_and_then_fall_linearly_to_their_end() -> None:
    part = Cooldown(CooldownConfig(share=0.2, final=0.1), replace(preset("tiny"), steps=100), ())
    factors = [part.learning_rate_factor(step) for step in range(1, 101)]
    assert factors[:80] == [1.0] * 80
    falls = [a - b for a, b in itertools.pairwise(factors[79:98])]
    assert falls == pytest.approx([1 / 20] * 18)
    assert factors[-2:] == [0.1, 0.1]


def test_without_a_share_they_hold() -> None:
    part = Cooldown(CooldownConfig(share=0.0), replace(preset("tiny"), steps=10), ())
    assert {part.learning_rate_factor(step) for step in range(1, 11)} == {1.0}


def test_a_training_heeds_it(config) -> None:
    run = Run(replace(config, parts={"cooldown": CooldownConfig(share=0.5, final=0.2)}), "adc")
    rates = []
    for _ in range(config.steps):
        run.advance(1)
        rates.append(run.trainer.store.learning_rates()["scales"])
    assert rates[0] == config.learning_rates.scales
    assert rates[-1] == pytest.approx(0.2 * rates[0])
