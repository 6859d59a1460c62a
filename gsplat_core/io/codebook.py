"""Tables of 256 numbers that stand for many, with the least squared error: scalar quantisation.

Lloyd's algorithm (1957) on sorted numbers: with running sums, the mean of any interval takes constant time,
so an iteration costs as much as finding 255 borders in a sorted array. It starts from the density of optimal
codes for many levels, the cube root of the density of the numbers (Panter and Dite 1951).
"""

from __future__ import annotations

import numpy as np

SIZE = 256
_ITERATIONS = 100
_MOVES = 8
_SAMPLES = 1 << 14


def codebook(values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """The table for these numbers.

    Args:
        values: at least one, finite, any shape.
        weights: how much each counts, not negative, not all 0; same shape.

    Returns:
        [256] float32, ascending.
    """
    values = values.ravel()
    order = np.argsort(values, kind="stable")
    ordered = values[order].astype(np.float64)
    weight = np.ones(len(order)) if weights is None else weights.ravel()[order].astype(np.float64)
    # Running sums of 1, x and x^2 around the mean, where the squares lose least to rounding.
    middle = (weight * ordered).sum() / weight.sum()
    powers = weight * (ordered - middle) ** np.arange(3)[:, None]
    sums = np.concatenate([np.zeros((3, 1)), np.cumsum(powers, axis=1)], axis=1)
    table, least = _seeds(ordered, sums[0]), np.inf
    best = table
    for _ in range(_ITERATIONS):
        borders = np.searchsorted(ordered, (table[1:] + table[:-1]) / 2)
        mass, moment, square = np.diff(sums[:, [0, *borders, len(ordered)]])
        filled = mass > 0
        mean = np.where(filled, moment / np.where(filled, mass, 1), table - middle)
        error = np.maximum(0, square - mass * mean**2)
        if error.sum() < least:
            least, best = error.sum(), mean + middle
        table = np.sort(_with_moves(mass, mean, error) + middle)
    return best.astype(np.float32)


def _with_moves(mass: np.ndarray, mean: np.ndarray, error: np.ndarray) -> np.ndarray:
    """The means of all intervals, but entries of little use moved into intervals with a large error.

    Joining an interval with the next costs m1 m2 / (m1 + m2) (c1 - c2)^2, nothing if one is empty; cutting an
    interval of evenly spread numbers in half saves three quarters of its error.
    """
    joined = mass[:-1] + mass[1:]
    cost = mass[:-1] * mass[1:] / np.where(joined > 0, joined, 1) * np.diff(mean) ** 2
    cheap = np.argsort(cost, kind="stable")[:_MOVES]
    worst = np.argsort(-error, kind="stable")[:_MOVES]
    gain = (0.75 * error[worst] > 1.05 * cost[cheap]) & (np.abs(worst - cheap) > 1) & (mass[worst] > 0)
    cheap, worst = cheap[gain], worst[gain]
    moved = mean.copy()
    spread = np.sqrt(error[worst] / np.where(mass[worst] > 0, mass[worst], 1))
    moved[worst] -= spread
    moved[cheap] = mean[worst] + spread
    moved[cheap + 1] = np.where(
        joined > 0, (mass[:-1] * mean[:-1] + mass[1:] * mean[1:]) / np.where(joined > 0, joined, 1), mean[1:]
    )[cheap]
    return moved


def nearest(values: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Index of the nearest entry of an ascending table for every number, uint8."""
    return np.searchsorted((table[1:] + table[:-1]) / 2, values).astype(np.uint8)


def _seeds(ordered: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Places with a density that is the cube root of that of the numbers."""
    at = np.linspace(0, mass[-1], _SAMPLES)
    samples = ordered[np.clip(np.searchsorted(mass, at, side="right") - 1, 0, len(ordered) - 1)].astype(float)
    # A gap g between quantiles has density 1/g: its share of the cube root's integral is g (1/g)^(1/3).
    share = np.concatenate([[0.0], np.cumsum(np.diff(samples) ** (2 / 3))])
    if share[-1] == 0:
        return np.full(SIZE, samples[0])
    return np.interp((np.arange(SIZE) + 0.5) / SIZE * share[-1], share, samples)
