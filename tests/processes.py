"""The command line in a process of its own."""

from __future__ import annotations

import os
import sys

from paths import ROOT


def command(*arguments: object) -> list[str]:
    """`gsplat-core ARGUMENTS`, with this Python and this source tree."""
    return [sys.executable, "-m", "trainers.cli", *map(str, arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120", "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
