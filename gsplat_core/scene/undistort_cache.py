"""Keeps undistorted images in the user's cache folder, never beside the input.

An entry is a PNG named after a hash of everything that decides its pixels. It appears whole or not at all;
PNG's checksums show a damaged one, which is made again. A folder that cannot be written is no error: then
nothing is kept.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from gsplat_core.errors import ResourceError
from gsplat_core.io.atomic import atomic_file, sweep
from gsplat_core.io.links import make_folder
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.images import Pixels
from gsplat_core.scene.lens import Lens

# Raised when the resampling changes, so that old entries are not found again.
_VERSION = 2


def folder() -> Path:
    """$XDG_CACHE_HOME/gsplat_core/undistorted, by default below ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "gsplat_core" / "undistorted"


def key(path: Path, lens: Lens, camera: Camera, *rules: object) -> str:
    """The entry's name: a hash of the file's identity (path, size, time), the lens and the camera's image.

    So are files among the rules.
    """
    parts = [
        _VERSION,
        *_identity(path),
        (lens.model.name, lens.width, lens.height, lens.focal, lens.center, lens.coefficients),
        (camera.width, camera.height, camera.K.tolist()),
        tuple(_identity(rule) if isinstance(rule, Path) else rule for rule in rules),
    ]
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()[:40]


def _identity(path: Path) -> tuple[str, int, int]:
    stat = path.stat()
    return os.path.abspath(path), stat.st_size, stat.st_mtime_ns


def load(name: str, width: int, height: int) -> Pixels | None:
    """The entry's pixels [H, W, 3] or [H, W, 4], or None when there is none of this size that is whole."""
    try:
        with Image.open(folder() / f"{name}.png", formats=["PNG"]) as image:
            if image.size != (width, height) or image.mode not in ("RGB", "RGBA"):
                return None
            return np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def store(name: str, pixels: Pixels) -> None:
    """Keeps pixels [H, W, 3] or [H, W, 4] under a name."""
    # What fails here is told nowhere: the image is there, and will be made again.
    with suppress(ResourceError):
        make_folder(folder())
        _sweep_once(folder())
        with atomic_file(folder() / f"{name}.png") as file:
            # Level 1: compressing harder takes longer than undistorting again.
            Image.fromarray(pixels).save(file, format="PNG", compress_level=1)


# Once per process: a cache may have thousands of entries.
_sweep_once = lru_cache(sweep)
