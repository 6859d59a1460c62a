"""The CUDA kernels of csrc, executed here: all of them, in any order of threads, and every barrier is needed.

That they compute what they should is tested where the operators are, with the fixture ``backend``.
"""

from __future__ import annotations

import pytest
import torch

from cuda_on_cpu import mutations, workload
from cuda_on_cpu.operators import CSRC, emulated, kernel_sources, library
from cuda_on_cpu.translate import kernels

SEEDS = range(1, 6)


@pytest.fixture(scope="module")
def in_order() -> dict[str, torch.Tensor]:
    """The results with all threads in order; `library()` has the counters of that run."""
    library().take_counters()
    with emulated():
        return workload.run()


def test_every_kernel_runs(in_order: dict[str, torch.Tensor]) -> None:
    ran = {name.split("<")[0] for name in library().take_counters()}
    sources = [*kernel_sources(), *CSRC.glob("cuda/**/*.cuh")]
    defined = {name for source in sources for name in kernels(source.read_text())}
    assert defined, "no kernels in csrc/cuda"
    assert ran == defined


@pytest.mark.parametrize("seed", SEEDS)
def test_results_do_not_depend_on_the_order_of_threads(in_order: dict[str, torch.Tensor], seed: int) -> None:
    with emulated(seed=seed):
        results = workload.run()
    differing = {name: workload.distance(results[name], value) for name, value in in_order.items()}
    # Sums by atomic operations are rounded differently in another order, most where they cancel: in what rays
    # tell about rotations. A race would be seen in the first digits.
    assert {name: d for name, d in differing.items() if d > 5e-4} == {}


BARRIERS = mutations.all_barriers()


@pytest.mark.parametrize("barrier", BARRIERS, ids=[barrier.place for barrier in BARRIERS])
def test_a_missing_barrier_is_noticed(in_order: dict[str, torch.Tensor], barrier: mutations.Barrier) -> None:
    reason = mutations.not_needed().get(barrier.key)
    what = mutations.noticed(barrier, in_order)
    if reason is None:
        assert what is not None, f"nobody notices that {barrier.place} is missing: {barrier.text}"
    else:
        assert what is None, f"{barrier.place} is listed as not needed, because {reason}; but {what}"


def test_barriers_listed_as_not_needed_exist() -> None:
    assert mutations.not_needed().keys() <= {barrier.key for barrier in BARRIERS}
