"""Which view comes at which step."""

from __future__ import annotations

import torch


class ViewOrder:
    """All views in random order, then all of them in another random order, and so on.

    The order of an epoch depends on the seed and the epoch only, so a resumed run needs no state for it.
    """

    def __init__(self, count: int, seed: int) -> None:
        self._count = count
        self._seed = seed
        self._epoch = -1
        self._permutation: list[int] = []

    def __call__(self, step: int) -> int:
        """The index of the view of `step` (counted from 1)."""
        epoch, position = divmod(step - 1, self._count)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
            self._permutation = torch.randperm(self._count, generator=generator).tolist()
            self._epoch = epoch
        return self._permutation[position]
