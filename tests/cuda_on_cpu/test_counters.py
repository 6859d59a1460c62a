"""What the emulation counts, on kernels whose numbers can be worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from cuda_on_cpu import sample_kernels

# sound/tiled_sum.cu: 3 blocks of 128 threads, each walks over 300 items in 3 tiles.
BLOCKS, THREADS, ITEMS, TILES = 3, 128, 300, 3


def counters(name: str, **settings: Any) -> dict[str, dict[str, Any]]:
    library = sample_kernels.library()
    library.take_counters()
    with library.settings(**settings):
        library.call(name)
    return library.take_counters()


@pytest.mark.parametrize("seed", [0, 5])
def test_traffic_and_barriers(seed: int) -> None:
    counted = counters("tiled_sum", seed=seed)["tiled_sum_kernel"]
    assert counted["launches"] == 1
    assert counted["blocks"] == BLOCKS
    assert counted["threads"] == BLOCKS * THREADS
    assert counted["barriers"] == BLOCKS * TILES * 2
    assert counted["global_load_bytes"] == BLOCKS * ITEMS * 4
    assert counted["global_store_bytes"] == BLOCKS * THREADS * 4
    assert counted["shared_store_bytes"] == BLOCKS * TILES * THREADS * 4
    assert counted["shared_load_bytes"] == BLOCKS * TILES * THREADS * THREADS * 4
    assert counted["shared_bytes"] == THREADS * 4
    assert counted["global_atomics"] == counted["warp_collectives"] == 0


@pytest.mark.parametrize("seed", [0, 5])
def test_lanes_and_sectors_of_memory_instructions(seed: int) -> None:
    counted = counters("tiled_sum", seed=seed, profile=True)["tiled_sum_kernel"]
    # 300 items: the third tile has 44, one full warp and 12 lanes of the next.
    loads, stores = BLOCKS * (4 + 4 + 2), BLOCKS * 4
    assert counted["global_requests"] == loads + stores
    assert counted["global_sectors"] == BLOCKS * (2 * 16 + 6) + stores * 4
    shared_stores, shared_loads = BLOCKS * TILES * 4, BLOCKS * TILES * 4 * THREADS
    lanes, warps = counted["memory_instructions"]
    assert warps == loads + stores + shared_stores + shared_loads
    assert lanes == BLOCKS * ITEMS + 32 * (stores + shared_stores + shared_loads)
    assert counted["lines"]["tiled_sum.cu:14"] == [32 * shared_loads, shared_loads]


def test_atomics_and_warp_collectives() -> None:
    counted = counters("block_sum")["block_sum_kernel"]
    blocks = counted["blocks"]
    assert counted["global_atomics"] == 2 * blocks
    assert counted["shared_atomics"] == 500  # one for each odd number
    assert counted["warp_collectives"] == blocks * 3 * 5
    assert counted["shared_bytes"] == 3 * 4 + 4


def test_instances_of_a_template_are_counted_apart() -> None:
    counted = counters("template_kernel")
    assert set(counted) == {"scale_kernel<3, int>", "scale_kernel<3, float>"}
    # By all lanes, and by every other lane: warps need as many turns.
    assert counted["scale_kernel<3, int>"]["events"] == {"even": [32, 2], "scaled": [64, 2]}
