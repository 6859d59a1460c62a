"""How the schedule of a density control follows a run of another length."""

from __future__ import annotations

# Density control needs the gradients of this many views to tell where detail is missing.
MIN_REFINE_EVERY = 50
# After the opacities were lowered, a scene needs about this many steps to look right again.
MIN_RESET_EVERY = 1000
# A run is short if it is below this fraction of the published length: then there is no time to recover from
# what pays off only later.
SHORT_RUN = 1 / 3


def point_in_time(step: int, factor: float) -> int:
    """Keeps its fraction of the run."""
    return max(round(step * factor), 1)


def refinement_interval(every: int, factor: float) -> int:
    """Keeps its fraction too, but between `MIN_REFINE_EVERY` and its old value.

    A longer run refines more often, not more rarely.
    """
    return min(max(point_in_time(every, factor), MIN_REFINE_EVERY), every)


def reset_interval(every: int, factor: float, stop: int) -> int:
    """Keeps its fraction; below `MIN_RESET_EVERY` it becomes `stop`, the step from which there are none."""
    every = point_in_time(every, factor)
    return every if every >= MIN_RESET_EVERY else stop
