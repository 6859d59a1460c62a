"""The operators compiled for aarch64 with its vectors compute what those of this machine compute.

Both run the cases that lead the CUDA kernels through all of their loops, on vectors of 128 bits. Where
neither fuses products and sums, the results are the same bytes. A release for aarch64 fuses them and rounds
less often.
"""

from __future__ import annotations

import pytest
import torch
from backends import on_cpu
from cuda_on_cpu import workload
from cuda_on_cpu.workload import Case
from torch import Tensor

from aarch64.build import missing
from aarch64.operators import on_aarch64

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

# Not those of all responses, of which two are compiled, nor what only CUDA has.
CASES: list[Case] = [
    case
    for case in workload.CASES
    if case.__name__ not in {"other_responses", "pixel_order", "levels", "bounded_binning"}
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_results_are_the_bytes_of_this_machine(case: Case) -> None:
    with on_cpu("generic"):
        here = case()
    with on_aarch64() as emulator:
        there = case()
    assert emulator.called
    assert here.keys() == there.keys()
    assert [name for name in here if not torch.equal(bits(here[name]), bits(there[name]))] == []


def bits(values: Tensor) -> Tensor:
    """In which NaN equals itself."""
    return values.contiguous().view(torch.uint8) if values.dim() > 0 else values[None].view(torch.uint8)


def test_its_instruction_set_is_neon() -> None:
    with on_aarch64() as emulator:
        assert emulator.call("isa") == "neon"


def test_what_an_operator_refuses_is_told() -> None:
    with on_aarch64(), pytest.raises(RuntimeError, match="argument 'points' must have shape"):
        torch.ops.gsplat_core.knn(torch.zeros(3), 1)
