"""Between the tensors of a scene and the numpy arrays that file formats pack and unpack."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch

from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import num_coefficients
from gsplat_core.scene.schema import PARAMETERS

S = TypeVar("S")
T = TypeVar("T")
Arrays = dict[str, np.ndarray]
"""The six parameters of `Gaussians` by name, float32, same shapes."""

BLOCK = 1 << 14  # rows whose intermediate values stay in the second-level cache


def empty_arrays(count: int, degree: int) -> Arrays:
    """Arrays for so many Gaussians of an SH degree, to be filled."""
    rest = num_coefficients(degree) - 1
    shapes = {"means": (3,), "quats": (4,), "scales": (3,), "opacities": (), "sh0": (1, 3), "shN": (rest, 3)}
    return {name: np.empty((count, *shape), np.float32) for name, shape in shapes.items()}


def arrays_of(gaussians: Gaussians) -> Arrays:
    """The six parameters as float32 arrays on the CPU, sharing memory where they already are."""
    scene = gaussians.detached().to("cpu", torch.float32)
    return {name: scene.params[name].numpy() for name in PARAMETERS}


def gaussians_of(arrays: Arrays) -> Gaussians:
    """The scene that these arrays are, sharing their memory."""
    return Gaussians(**{name: torch.from_numpy(array) for name, array in arrays.items()})  # type: ignore[arg-type]


def blocks(count: int, rows: int = BLOCK) -> Iterator[slice]:
    """Consecutive slices of at most `rows` that cover `count`."""
    for start in range(0, count, rows):
        yield slice(start, min(start + rows, count))


def map_ahead(work: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
    """What `work` returns for every item, in order, computed on as many threads as PyTorch uses.

    Only a few items are taken and a few results kept ahead of what is asked for, so neither all items nor
    all results need fit into memory. Numpy and the compressors let other threads run while they compute.
    """
    threads = torch.get_num_threads()
    if threads <= 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[T]] = deque()
        for item in items:
            running.append(pool.submit(work, item))
            if len(running) > 2 * threads:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def map_blocks(count: int, work: Callable[[slice], T], rows: int = BLOCK) -> Iterator[T]:
    """What `work` returns for every block of rows, in order; see `map_ahead`.

    The calls must write to disjoint places, which makes the result independent of the number of threads.
    """
    slices = list(blocks(count, rows))
    if len(slices) == 1:  # not worth a thread
        yield work(slices[0])
        return
    yield from map_ahead(work, slices)


def in_blocks(count: int, work: Callable[[slice], None], rows: int = BLOCK) -> None:
    """Calls `work` for every block of rows; see `map_blocks`."""
    for _ in map_blocks(count, work, rows):
        pass
