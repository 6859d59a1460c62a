"""Where scenes are put when they are composed: a JSON file with one similarity per scene.

A list with an entry for each scene, in their order; for a single scene the entry alone will do. An entry is
an object with any of

    "scale":        a positive number (1)
    "rotation":     a unit quaternion [w, x, y, z], or three rows of a rotation matrix (none)
    "translation":  [x, y, z], added last, in units of the composition (none)

or with "matrix" alone: four rows [[s R, t], [0, 0, 0, 1]]. So {} leaves a scene where it is. What a Gaussian
cannot follow is refused: singular matrices, reflections, shear.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from gsplat_core.errors import DataError
from gsplat_core.io.source import read_whole
from gsplat_core.quaternions import rotation_matrix
from gsplat_core.scene.similarity import Similarity
from gsplat_core.strict_json import parse_json

_PARTS = ("scale", "rotation", "translation")
_UNIT = 1e-3


def read_transforms(path: Path, count: int) -> list[Similarity]:
    """The similarities of so many scenes.

    Raises:
        DataError: the file cannot be read, or is not as described; says which entry, and what is wrong.
    """
    try:
        content = parse_json(read_whole(path))
    except ValueError as error:
        raise DataError(path, f"not JSON: {error}") from None
    entries = [content] if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise DataError(path, "expected a list of transforms")
    if len(entries) != count:
        raise DataError(
            path, f"{len(entries)} transforms for {count} scenes",
            remedy="Write a list with an entry for each scene, in their order; {} leaves one where it is.",
        )  # fmt: skip
    similarities = []
    for number, entry in enumerate(entries, 1):
        try:
            similarities.append(similarity_of(entry))
        except ValueError as error:
            raise DataError(path, str(error), f"entry {number}") from None
    return similarities


def similarity_of(entry: Any) -> Similarity:
    """The similarity that an entry describes.

    Raises:
        ValueError: it is not as described, or no similarity.
    """
    if not isinstance(entry, dict):
        raise ValueError('expected an object such as {} or {"translation": [0, 0, 1]}')
    if "matrix" in entry:
        if len(entry) > 1:
            raise ValueError("a matrix stands alone, without " + ", ".join(sorted(set(entry) - {"matrix"})))
        return Similarity.from_matrix(_tensor(entry["matrix"], (4, 4), "matrix"))
    if unknown := sorted(set(entry) - set(_PARTS)):
        raise ValueError(f"unknown {unknown[0][:40]!r}; there are matrix, or {', '.join(_PARTS)}")
    parts = {name: entry[name] for name in _PARTS if name in entry}
    if "scale" in parts:
        parts["scale"] = float(_tensor(parts["scale"], (), "scale"))
    if "rotation" in parts:
        parts["rotation"] = _rotation(parts["rotation"])
    if "translation" in parts:
        parts["translation"] = _tensor(parts["translation"], (3,), "translation")
    return Similarity(**parts)


def _rotation(value: Any) -> torch.Tensor:
    """[3, 3] of a quaternion or of the rows of a matrix."""
    if not isinstance(value, list) or len(value) != 4:
        return _tensor(value, (3, 3), "rotation")
    quaternion = _tensor(value, (4,), "rotation")
    if not abs(float(quaternion.norm()) - 1) < _UNIT:
        raise ValueError(f"rotation: a quaternion w, x, y, z of length {float(quaternion.norm()):.4g}, not 1")
    return torch.from_numpy(rotation_matrix(quaternion))


def _tensor(value: Any, shape: tuple[int, ...], what: str) -> torch.Tensor:
    """float64 of nested lists of finite numbers."""
    if not _is_of_shape(value, shape):
        form = " x ".join(map(str, shape)) + " numbers" if shape else "a number"
        raise ValueError(f"{what}: expected {form}, all finite")
    return torch.tensor(value, dtype=torch.float64)


def _is_of_shape(value: Any, shape: tuple[int, ...]) -> bool:
    if not shape:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return (
        isinstance(value, list) and len(value) == shape[0] and all(_is_of_shape(v, shape[1:]) for v in value)
    )
