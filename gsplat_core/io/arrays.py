"""Between the tensors of a scene and the numpy arrays that file formats pack and unpack."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch

from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import num_coefficients
from gsplat_core.scene.schema import PARAMETERS

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


def map_blocks(count: int, work: Callable[[slice], T], rows: int = BLOCK) -> Iterator[T]:
    """What `work` returns for every block of rows, in order, computed on as many threads as PyTorch uses.

    The calls must write to disjoint places, which makes the result independent of the number of threads.
    Numpy lets other threads run while it computes.
    """
    slices = list(blocks(count, rows))
    threads = min(torch.get_num_threads(), len(slices))
    if threads <= 1:
        yield from map(work, slices)
        return
    with ThreadPoolExecutor(threads) as pool:
        running = deque(pool.submit(work, part) for part in slices[: 2 * threads])
        for i in range(len(slices)):  # a few ahead, so that results waiting to be taken stay few
            yield running.popleft().result()
            if i + 2 * threads < len(slices):
                running.append(pool.submit(work, slices[i + 2 * threads]))


def in_blocks(count: int, work: Callable[[slice], None], rows: int = BLOCK) -> None:
    """Calls `work` for every block of rows; see `map_blocks`."""
    for _ in map_blocks(count, work, rows):
        pass
