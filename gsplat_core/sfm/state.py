"""What of a reconstruction is done: `reconstruction.json` in its folder.

A stage has a key, made of its settings and of the key of the one before it. It is done if the file has this
key: after an interruption the stages before are skipped, and with other settings all from the first that is
concerned are done again.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from gsplat_core.errors import DataError
from gsplat_core.strict_json import parse_json, write_json

NAME = "reconstruction.json"


class State:
    """The file in a folder, written after each stage.

    Attributes:
        source: the photographs or the video, as a path.
        photographs: by name in `images`, the version of the file that it was made from.
    """

    def __init__(self, folder: Path, source: str) -> None:
        self.path = folder / NAME
        self.source = source
        self.photographs: dict[str, Any] = {}
        self._stages: dict[str, dict[str, Any]] = {}

    @staticmethod
    def read(folder: Path) -> State | None:
        """The state of a folder; None if there is none.

        Raises:
            DataError: the file is damaged.
        """
        path = folder / NAME
        try:
            content = parse_json(path.read_bytes())
            state = State(folder, content["source"])
            state.photographs, state._stages = dict(content["photographs"]), dict(content["stages"])
            assert all(isinstance(stage["key"], str) for stage in state._stages.values())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
            raise DataError(path, "cannot be read", remedy="Begin again with --overwrite.") from error
        return state

    def result(self, stage: str, key: str) -> Any | None:
        """What a stage with this key has made; None if it is not done."""
        done = self._stages.get(stage)
        return done["result"] if done is not None and done["key"] == key else None

    def finish(self, stage: str, key: str, result: Any) -> None:
        """A stage is done; it is on the disk when this returns."""
        self._stages[stage] = {"key": key, "result": result}
        self.write()

    def forget(self, stage: str) -> None:
        """What a stage has made is gone. Written with the next that is finished."""
        self._stages.pop(stage, None)

    def write(self) -> None:
        write_json(
            self.path, {"source": self.source, "photographs": self.photographs, "stages": self._stages}
        )


def key_of(before: str, **settings: Any) -> str:
    """Of a stage with these settings, which JSON can say, after a stage with this key."""
    text = json.dumps([before, settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
