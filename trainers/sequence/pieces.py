"""What a sequence is made of besides the training of each frame.

A piece has its say before a frame is trained and after it. It changes the frame's configuration: what the
training starts with, or parts that it has (`trainers/parts`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainers.config import TrainConfig
from trainers.run_folder import RunFolder


@dataclass(frozen=True)
class Frame:
    """One frame of a sequence.

    Args:
        number, name: from 0, and that of its folder of photographs.
        run: where its run is to be.
        previous: the run of the frame before it; None of the first one.
        previous_name: the name of that.
        note: tells a person something.
    """

    number: int
    name: str
    run: RunFolder
    previous: RunFolder | None
    previous_name: str | None
    note: Callable[[str], None]

    @property
    def start(self) -> Path:
        """The scene that the frame starts with: that of the frame before it, unless a piece wrote another."""
        assert self.previous is not None
        return self.previous.path


class Piece:
    """A piece that does nothing."""

    def told(self) -> dict[str, Any]:
        """What decides about its work, as JSON values: a sequence goes on with the same only."""
        return {}

    def prepared(self, frame: Frame, config: TrainConfig) -> TrainConfig:
        """The frame's configuration, which starts with the scene before it if there is one."""
        return config

    def finished(self, frame: Frame) -> None:
        """The frame's run has its results."""
