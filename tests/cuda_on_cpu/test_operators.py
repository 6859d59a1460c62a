"""The CUDA kernels of csrc, executed here: all of them, in any order of threads, and every barrier is needed.

That they compute what they should is tested where the operators are, with the fixture ``backend``.
"""

from __future__ import annotations

import pytest

from cuda_on_cpu import mutations, workload
from cuda_on_cpu.operators import CSRC, emulated, kernel_sources
from cuda_on_cpu.translate import kernels

SEEDS = range(1, 6)


@pytest.fixture(scope="module")
def in_order() -> list[workload.Ran]:
    return workload.run_in_order()


def test_every_kernel_runs(in_order: list[workload.Ran]) -> None:
    ran = {name.split("<")[0] for case in in_order for name in case.counters}
    sources = [*kernel_sources(), *CSRC.glob("cuda/**/*.cuh")]
    defined = {name for source in sources for name in kernels(source.read_text())}
    assert defined, "no kernels in csrc/cuda"
    assert ran == defined


@pytest.mark.parametrize("seed", SEEDS)
def test_results_do_not_depend_on_the_order_of_threads(in_order: list[workload.Ran], seed: int) -> None:
    differing = {}
    for ran in in_order:
        with emulated(seed=seed):
            results = ran.case()
        for name, value in ran.results.items():
            differing[f"{ran.name}: {name}"] = workload.distance(results[name], value)
    # Sums by atomic operations are rounded differently in another order, most where they cancel: in what rays
    # tell about rotations. A race would be seen in the first digits.
    assert {name: d for name, d in differing.items() if d > 5e-4} == {}


BARRIERS = mutations.all_barriers()


@pytest.mark.parametrize("barrier", BARRIERS, ids=[barrier.place for barrier in BARRIERS])
def test_a_missing_barrier_is_noticed(in_order: list[workload.Ran], barrier: mutations.Barrier) -> None:
    reason = mutations.not_needed().get(barrier.key)
    what = mutations.noticed(barrier, in_order)
    if reason is None:
        assert what is not None, f"nobody notices that {barrier.place} is missing: {barrier.text}"
    else:
        assert what is None, f"{barrier.place} is listed as not needed, because {reason}; but {what}"


def test_barriers_listed_as_not_needed_exist() -> None:
    assert mutations.not_needed().keys() <= {barrier.key for barrier in BARRIERS}
