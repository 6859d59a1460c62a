"""Where the tests find scenes: the sample that ships with the project, and real ones that may be absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "data"

# Real photographs with COLMAP models, not part of the project. Set GSPLAT_TEST_DATA to point elsewhere.
REAL_DATA = Path(os.environ.get("GSPLAT_TEST_DATA", ROOT.parent / "shared" / "data"))


def real_scene(name: str) -> Path:
    """The folder of a real scene; skips the calling test where it is absent."""
    folder = REAL_DATA / name
    if not folder.exists():
        pytest.skip(f"real scene {name!r} is not on this machine")
    return folder
