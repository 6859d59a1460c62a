from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FAKE = (sys.executable, "-S", "-E", str(Path(__file__).with_name("fake_worker.py")))


class Journal:
    """What the fake worker was asked, and what it is to do."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self._monkeypatch = path, monkeypatch
        self.tell(JOURNAL=str(path))

    def tell(self, **values: str) -> None:
        for name, value in values.items():
            self._monkeypatch.setenv(f"FAKE_{name}", value)

    def forget(self, name: str) -> None:
        self._monkeypatch.delenv(f"FAKE_{name}")

    def requests(self) -> list[dict]:
        """Since this was last asked."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        self.path.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]

    def stages(self) -> list[str]:
        return [request["stage"] for request in self.requests()]


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    return Journal(tmp_path / "journal.jsonl", monkeypatch)


def write_photograph(path: Path, seed: int = 0, size: tuple[int, int] = (40, 30), **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    for i in range(5):
        write_photograph(folder / f"{i}.jpg", i)
    return folder
