"""What holds surfaces together over time, for each frame: the part `coherence` with that frame's flow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from trainers.config import TrainConfig
from trainers.parts.coherence import CoherenceConfig, check_flow
from trainers.sequence.pieces import Frame, Piece
from trainers.sources import load_photographs


class TemporalNormals(Piece):
    """
    Args:
        flow: the folder with one folder of flow for each frame but the first.
    """

    def __init__(self, flow: Path) -> None:
        self._flow = flow.resolve()

    def told(self) -> dict[str, Any]:
        return {"temporal_normals": str(self._flow)}

    def prepared(self, frame: Frame, config: TrainConfig) -> TrainConfig:
        if frame.previous is None:
            return config
        names = [view.name for view in load_photographs(config, decode=False).train]
        settings = CoherenceConfig(
            before=str(frame.previous.path.resolve()), flow=str(check_flow(self._flow, frame.name, names))
        )
        return replace(config, parts={**config.parts, "coherence": settings})
