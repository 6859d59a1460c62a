"""Photographs with poses that are known, for exports of other programs to be written from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from gsplat_core.scene.cameras import Matrix

WIDTH, HEIGHT = 60, 40
COUNT = 4


def photographs(folder: Path, ending: str = ".png") -> list[str]:
    """Their names, without ending."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"shot_{number}" for number in range(COUNT)]
    for number, name in enumerate(names):
        Image.fromarray(np.full((HEIGHT, WIDTH, 3), 40 * number, np.uint8)).save(folder / f"{name}{ending}")
    return names


def rotations(seed: int = 0) -> list[Matrix]:
    """[3, 3] world to camera each."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(COUNT):
        turned, _ = np.linalg.qr(random.normal(size=(3, 3)))
        found.append(turned * np.linalg.det(turned))
    return found


def centers(seed: int = 0) -> list[Matrix]:
    return list(np.random.default_rng(seed + 100).normal(size=(COUNT, 3)))
