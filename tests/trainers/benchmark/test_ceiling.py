"""Ceilings are operations and bytes by their time: of one thread its own, of more that of the clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from gsplat_core.ops import library  # noqa: F401  (registers the operators)
from trainers.benchmark import ceiling
from trainers.benchmark.measure import Seconds

ARITHMETIC, STREAMING = Seconds(wall=2.0, cpu=4.0), Seconds(wall=8.0, cpu=16.0)


def test_rates_of_threads_and_instruction_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, isa = torch.get_num_threads(), torch.ops.gsplat_core.isa()
    monkeypatch.setattr(ceiling, "ROUNDS", 100)
    monkeypatch.setattr(ceiling, "TRIAD_NUMBERS", 1000)

    def seconds(work: Callable[[], object], repeats: int) -> Seconds:
        assert repeats == 7
        return STREAMING if work() is None else ARITHMETIC

    monkeypatch.setattr(ceiling, "median_seconds", seconds)
    try:
        found = ceiling.time_ceilings([1, 2], 7)
        operations = {}
        for c in found:
            torch.ops.gsplat_core.set_isa(c.isa)
            torch.set_num_threads(c.threads)
            operations[c.isa, c.threads] = torch.ops.gsplat_core.multiply_adds(100)
    finally:
        torch.set_num_threads(threads)
        torch.ops.gsplat_core.set_isa(isa)
    isas = torch.ops.gsplat_core.available_isas().split()
    assert [(c.isa, c.threads) for c in found] == [*((name, 1) for name in isas), (isas[-1], 2)]
    for c in found:
        arithmetic, streaming = (4.0, 16.0) if c.threads == 1 else (2.0, 8.0)
        assert c.flops_per_second == operations[c.isa, c.threads] / arithmetic
        assert c.bytes_per_second == 12 * 1000 / streaming
