"""Places of two frames that show the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Matches:
    """M matches, each of two frames.

    Attributes:
        frames: [M, 2] int64, the numbers of the frames, the lower one first.
        places: [M, 2, 2] float32, where each of the two shows it: x and y as shares of the width and the
            height.
    """

    frames: Tensor
    places: Tensor

    def __len__(self) -> int:
        return len(self.frames)

    @staticmethod
    def between(first: int, second: int, here: Tensor, there: Tensor) -> Matches:
        """Of two frames, from places [M, 2] in each."""
        pair = sorted(((first, here), (second, there)), key=lambda side: side[0])
        frames = torch.tensor([number for number, _ in pair]).expand(len(here), 2)
        return Matches(frames, torch.stack([places for _, places in pair], dim=1).float())

    @staticmethod
    def joined(parts: Sequence[Matches]) -> Matches:
        none = Matches(torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0, 2, 2))
        parts = [none, *parts]
        return Matches(torch.cat([part.frames for part in parts]), torch.cat([part.places for part in parts]))

    def subset(self, chosen: Tensor) -> Matches:
        """Those that a mask [M], or rows, tell."""
        return Matches(self.frames[chosen], self.places[chosen])

    def at_most(self, count: int, seed: int = 0) -> Matches:
        """So many of them, chosen at random, in the same order."""
        if len(self) <= count:
            return self
        random = torch.Generator().manual_seed(seed)
        return self.subset(torch.randperm(len(self), generator=random)[:count].sort().values)

    def pairs(self) -> tuple[Tensor, Tensor, Tensor]:
        """The pairs of frames that have matches [P, 2], which each match belongs to [M], and how many there
        are of each [P]."""
        found: tuple[Tensor, Tensor, Tensor] = self.frames.unique(
            dim=0, return_inverse=True, return_counts=True
        )
        return found
