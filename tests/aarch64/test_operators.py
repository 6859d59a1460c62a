"""The operators compiled for aarch64 with its vectors compute what those of this machine compute.

Both run the cases that lead the CUDA kernels through all of their loops. The tolerance is that of rounding,
which the machines do differently: the compiler for aarch64 fuses products and sums.
"""

from __future__ import annotations

import pytest
import torch
from cuda_on_cpu import workload
from cuda_on_cpu.workload import Case, distance

from aarch64.build import missing
from aarch64.operators import on_aarch64

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

TOLERANCE = 1e-4
"""Of the largest difference, relative to the typical size of the values."""

# Not those of all responses, of which two are compiled, nor what only CUDA has.
CASES: list[Case] = [
    case
    for case in workload.CASES
    if case.__name__ not in {"other_responses", "pixel_order", "levels", "bounded_binning"}
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_results_are_those_of_this_machine_up_to_rounding(case: Case) -> None:
    here = case()
    with on_aarch64() as emulator:
        there = case()
    assert emulator.called
    assert here.keys() == there.keys()
    apart = {name: distance(there[name], here[name]) for name in here}
    assert {name: d for name, d in apart.items() if d > TOLERANCE} == {}


def test_its_instruction_set_is_neon() -> None:
    with on_aarch64() as emulator:
        assert emulator.call("isa") == "neon"


def test_what_an_operator_refuses_is_told() -> None:
    with on_aarch64(), pytest.raises(RuntimeError, match="argument 'points' must have shape"):
        torch.ops.gsplat_core.knn(torch.zeros(3), 1)
