"""Rendering and its derivatives agree with the reference in whatever order threads and blocks run.

Without the checker, which needs no particular order to find a race: see ``test_operators.py``.
"""

from __future__ import annotations

from functools import cache

import pytest
from splats import SCENES, Truth, assert_agrees, truth_of

import gsplat_core
from cuda_on_cpu.operators import emulated

SEEDS = range(1, 21)


@cache
def truth(scene: str) -> Truth:
    return truth_of(SCENES[scene]())


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("seed", SEEDS)
def test_parity_in_any_order_of_threads(scene: str, seed: int) -> None:
    with emulated(seed=seed, check=False):
        assert_agrees(gsplat_core.rasterization, SCENES[scene](), truth(scene))
