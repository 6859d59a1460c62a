"""Rotations as the three smallest components of a unit quaternion.

q and -q are the same rotation, so the component of largest magnitude can be made positive and follows from
the others: sqrt(1 - a^2 - b^2 - c^2), each at most 1/sqrt(2) in magnitude. What is stored is which one it is
and the others in ascending order. Formats differ in the order of components and in how they code the three.
"""

from __future__ import annotations

import numpy as np


def split(quats: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Args:
        quats: [N, 4] float32, any order of components, any length but 0.

    Returns:
        Index of the component of largest magnitude, the first of equals [N] uint8; and the other three in
        ascending order [3, N] of the unit quaternion whose largest component is positive.
    """
    q = np.ascontiguousarray(quats.T)
    magnitude = np.abs(q)
    largest, top = np.zeros(q.shape[1], np.uint8), magnitude[0].copy()
    for i in (1, 2, 3):
        better = magnitude[i] > top
        largest[better] = i
        np.maximum(top, magnitude[i], out=top)
    three = np.empty((3, q.shape[1]), np.float32)
    for i in range(3):  # the i-th of the others is component i, or i + 1 once the largest is passed
        three[i] = np.where(largest > i, q[i], q[i + 1])
    # Dividing by the largest first keeps the squares of any length within float32.
    chosen = np.where(largest > 1, np.where(largest > 2, q[3], q[2]), np.where(largest > 0, q[1], q[0]))
    with np.errstate(divide="ignore", invalid="ignore"):
        three /= chosen
        three /= np.sqrt(1 + (three * three).sum(axis=0))
    return largest, three


def join(largest: np.ndarray, three: np.ndarray) -> np.ndarray:
    """The unit quaternions [N, 4] again, from what `split` returns (three may be off by rounding)."""
    rest = np.sqrt(np.maximum(0, 1 - (three * three).sum(axis=0)))
    quats = np.empty((len(largest), 4), np.float32)
    for i in range(4):
        low, high = three[max(i - 1, 0)], three[min(i, 2)]
        quats[:, i] = np.where(largest == i, rest, np.where(largest > i, high, low))
    return quats
