"""The process in which COLMAP works: `python -m gsplat_core.sfm.worker`.

One line of JSON on standard input says what is to be done, {"stage": ..., further arguments}; lines on
standard output say how far it is, {"done": 3, "total": 50}, and last what came out, {"result": ...}. What
COLMAP itself prints goes to standard error. The process ends with the one that started it, by which standard
input is closed.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATHS = ("database", "images", "masks", "output", "listing")


def main() -> None:
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        request: dict[str, Any] = json.loads(sys.stdin.readline())
        threading.Thread(target=_end_with_parent, daemon=True).start()
        from gsplat_core.sfm import colmap

        stages: dict[str, Callable[..., Any]] = {
            "features": colmap.find_features,
            "matches": colmap.match,
            "poses": colmap.place,
            "examine": colmap.examine,
        }
        stage = request.pop("stage")
        for name in PATHS:
            if request.get(name) is not None:
                request[name] = Path(request[name])

        def answer(value: dict[str, Any]) -> None:
            answers.write(json.dumps(value) + "\n")
            answers.flush()

        if stage != "examine":
            request["told"] = lambda done, total: answer({"done": done, "total": total})
        answer({"result": stages[stage](**request)})
    os._exit(0)  # without waiting for the other thread, or for COLMAP to give its memory back


def _end_with_parent() -> None:
    os.read(0, 1)  # not of `sys.stdin`, which Python would wait for in the end
    os._exit(1)


if __name__ == "__main__":
    main()
