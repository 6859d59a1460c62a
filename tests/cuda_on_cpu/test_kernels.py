"""The emulation itself: sound kernels compute what they should in any order, and each fault is noticed."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from cuda_on_cpu import sample_kernels

SEEDS = range(20)
IN_KERNEL = r" \[kernel {}_kernel, block \(\d+, 0, 0\), thread \(\d+, 0, 0\), warp \d, lane \d+\]$"


@pytest.mark.parametrize("name", sample_kernels.names("sound"))
def test_sound_kernels_are_right_in_any_order(name: str) -> None:
    library = sample_kernels.library()
    for seed in SEEDS:
        with library.settings(seed=seed):
            library.call(name)
        assert library.take_reports() == [], f"with seed {seed}"


# What the report of each fault says: of those that show without a look at memory accesses, and of the others.
BY_THE_SCHEDULER = {
    "missing_barrier_before_use": r"wrong result: the first of the reversed values is ",
    "missing_barrier_after_use": r"wrong result: the sum over all rounds is ",
    "divergent_barrier": (
        r"divergent barrier: threads of a block meet at different barriers: __syncthreads at "
        r"divergent_barrier.cu:(6|8) and __syncthreads at divergent_barrier.cu:(6|8)"
    ),
    "exit_before_barrier": (
        r"exit before barrier: 24 of 64 threads have left their block before __syncthreads at "
        r"exit_before_barrier.cu:6"
    ),
    "missing_lane": (
        r"deadlock: 32 of 32 threads wait for ever: warp 0 lane 0 in __syncwarp at missing_lane.cu:6"
    ),
    "lane_not_in_mask": (
        r"lane not in mask: ballot at lane_not_in_mask.cu:4 is executed by a lane that its mask ffff "
        r"lacks"
    ),
    "divergent_warp": (
        r"divergent warp: lanes of a warp meet at different operations: ballot at divergent_warp.cu:6 "
        r"and shuffle at divergent_warp.cu:8"
    ),
    "shuffle_from_inactive_lane": r"shuffle from an inactive lane: lane \d+ reads from lane 20, ",
    "too_many_threads": (
        r"illegal launch: too_many_threads_kernel at too_many_threads.cu:6 with grid \(1, 1, 1\), "
        r"block \(2048, 1, 1\)"
    ),
    "waits_in_capture": "illegal during capture: cudaMalloc while stream ",
    "launch_beside_capture": (
        r"illegal during capture: launch_beside_capture_kernel on stream 0 while stream \d+ is captured"
    ),
    "trap": (
        r"trap: __trap\(\) \[kernel trap_kernel, block \(0, 0, 0\), thread \(3, 0, 0\), warp 0, lane "
        r"3\]"
    ),
}
BY_THE_CHECKER = {
    "missing_barrier_before_use": (
        r"race: nothing orders the write at missing_barrier_before_use.cu:6 and the read at "
        r"missing_barrier_before_use.cu:7, both of shared 'tile', in one block"
    ),
    "missing_barrier_after_use": (
        r"race: nothing orders the read at missing_barrier_after_use.cu:10 and the write at "
        r"missing_barrier_after_use.cu:8, both of shared 'tile', in one block"
    ),
    "missing_syncwarp": (
        r"race: nothing orders the write at missing_syncwarp.cu:6 and the read at "
        r"missing_syncwarp.cu:8, both of shared 'values', in one block"
    ),
    "lost_update_in_a_block": (
        r"race: nothing orders the write at lost_update_in_a_block.cu:4 and the read at "
        r"lost_update_in_a_block.cu:4, both of device memory, in one block"
    ),
    "lost_update_between_blocks": (
        r"race: nothing orders the write at lost_update_between_blocks.cu:4 and the read at "
        r"lost_update_between_blocks.cu:4, both of device memory, in different blocks"
    ),
    "plain_read_of_atomic": (
        r"race: nothing orders the atomic operation at plain_read_of_atomic.cu:5 and the read at "
        r"plain_read_of_atomic.cu:6"
    ),
    "past_the_end": (
        r"out of bounds: write of 4 bytes, at past_the_end.cu:6: 0 bytes past an allocation of 400 "
        r"bytes"
    ),
    "past_shared_array": (
        r"out of bounds: read of 4 bytes, at past_shared_array.cu:10: byte 256 of shared 'values' "
        r"\(256 bytes\)"
    ),
    "never_written": (
        r"uninitialised: atomic operation on device memory never written: byte 0 of an allocation of 4"
        r" bytes, at never_written.cu:4"
    ),
    "shared_never_written": (
        r"uninitialised: read of shared 'tile' that this block has never written, at "
        r"shared_never_written.cu:8"
    ),
    "host_pointer": r"out of bounds: read of 4 bytes, at host_pointer.cu:4: ",
    "host_access": (r"host access: host code makes a read of 4 bytes of device memory, at host_access.cu:6"),
    "local_of_another_thread": (
        r"local memory of another thread: read of 4 bytes, at local_of_another_thread.cu:9"
    ),
    "short_buffer_for_library": (
        r"out of bounds: a call of the runtime or a library writes 400 bytes: byte 0 of an allocation "
        r"of 396 bytes"
    ),
}


def assert_caught(name: str, seeds: Iterable[int], expected: str) -> None:
    library = sample_kernels.library()
    for seed in seeds:
        with library.settings(seed=seed):
            library.call(name)
    reports = library.take_reports()
    assert any(re.match(expected, report) for report in reports), reports


@pytest.mark.parametrize("name", BY_THE_SCHEDULER)
def test_faults_that_the_scheduler_notices(name: str) -> None:
    assert_caught(name, range(1, 4), BY_THE_SCHEDULER[name])


@pytest.mark.parametrize("name", BY_THE_CHECKER)
@pytest.mark.parametrize("seed", [0, 1])
def test_faults_that_the_checker_notices(name: str, seed: int) -> None:
    assert_caught(name, [seed], BY_THE_CHECKER[name])


def test_every_call_that_cannot_be_captured_is_named() -> None:
    library = sample_kernels.library()
    library.call("waits_in_capture")
    named = [report.split(" while ")[0] for report in library.take_reports()]
    calls = ["Malloc", "Free", "Memset", "Memcpy", "MemcpyAsync with memory of the host", "EventQuery"]
    calls += ["EventSynchronize", "StreamQuery", "StreamSynchronize", "DeviceSynchronize"]
    assert named == [f"illegal during capture: cuda{call}" for call in calls]


def test_every_faulty_kernel_is_tested() -> None:
    assert set(sample_kernels.names("faulty")) == {*BY_THE_SCHEDULER, *BY_THE_CHECKER}


def test_a_report_names_kernel_block_and_lane() -> None:
    library = sample_kernels.library()
    for name in ("missing_syncwarp", "past_shared_array", "lane_not_in_mask"):
        library.call(name)
        assert re.search(IN_KERNEL.format(name), library.take_reports()[0])


def test_a_launch_that_failed_leaves_the_next_one_alone() -> None:
    library = sample_kernels.library()
    for name in ("missing_lane", "past_shared_array"):
        library.call(name)
        assert library.take_reports()
        library.call("tiled_sum")
        assert library.take_reports() == []
