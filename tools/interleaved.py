"""Times pieces of work against each other on a machine whose speed varies from minute to minute."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def median_seconds(
    contenders: Mapping[str, Callable[[], object]], rounds: int, threads: int = 0
) -> dict[str, float]:
    """The median time of each, taken in turns, so that slow moments fall on all alike.

    Of one thread it is processor time, which does not count what other programs took meanwhile.
    """
    clock = time.process_time if threads == 1 else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            start = clock()
            work()
            times[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in times.items()}
