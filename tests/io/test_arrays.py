"""Work on blocks of rows: each row once, in order, on as many threads as there are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from gsplat_core.io.arrays import blocks, in_blocks, map_blocks


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [0, 1, 4, 5, 8, 9, 24, 25, 41])
def test_blocks_are_mapped_in_their_order(threads: int, count: int) -> None:
    parts = list(blocks(count, 4))
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(count))
    assert all(part.stop - part.start <= 4 for part in parts)
    assert list(map_blocks(count, lambda part: (part.start, part.stop), 4)) == [
        (part.start, part.stop) for part in parts
    ]


def test_each_row_is_worked_on_once(threads: int) -> None:
    times = torch.zeros(30)

    def work(part: slice) -> None:
        times[part] += 1

    in_blocks(30, work, 4)
    assert (times == 1).all()
