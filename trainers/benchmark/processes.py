"""Each measurement in a process of its own: none sees the memory, threads or instruction set of another."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

from gsplat_core.errors import ResourceError

P = ParamSpec("P")
T = TypeVar("T")


def in_fresh_process(what: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of a call in a new process.

    Raises:
        ResourceError: the process was killed, most likely for want of memory; `what` tells at which work.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(function, *args, **kwargs).result()
        except BrokenProcessPool as error:
            raise ResourceError(
                f"measuring {what} was killed, most likely for want of memory; choose fewer Gaussians or "
                "pixels."
            ) from error
