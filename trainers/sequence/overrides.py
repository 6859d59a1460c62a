"""Settings that a person gives for all frames but the first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trainers.config import TrainConfig
from trainers.sequence.pieces import Frame, Piece
from trainers.settings import with_settings


class Overrides(Piece):
    """
    Args:
        values: NAME=VALUE, as `train --set` has them.
    """

    def __init__(self, values: Sequence[str]) -> None:
        self._values = tuple(values)

    def told(self) -> dict[str, Any]:
        return {"frame_set": list(self._values)}

    def prepared(self, frame: Frame, config: TrainConfig) -> TrainConfig:
        return config if frame.previous is None else with_settings(config, self._values)
