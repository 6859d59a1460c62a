"""A camera path through places that somebody has chosen: the file that the viewer's path editor saves.

    {"seconds": 6, "closed": false, "width": 1280, "height": 720,
     "keys": [{"position": [x, y, z], "target": [x, y, z], "up": [x, y, z], "fov": degrees}, ...]}

Positions, targets, up and the field of view of the height each follow a Catmull-Rom spline (E. Catmull and
R. Rom, "A class of local interpolating splines", 1974) through the keys, which are passed at equal intervals
of time; `viewer/page/path.js` computes the same.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from gsplat_core.errors import DataError
from gsplat_core.io.source import read_whole
from gsplat_core.ranges import Range
from gsplat_core.scene.cameras import NEAR_PER_DISTANCE, Camera
from gsplat_core.strict_json import parse_json
from trainers.camera_paths import Vector, look_at
from trainers.fields import from_json

MOST_KEYS = 10_000
_REMEDY = "Save the path again in the viewer."
_PLACES = ("position", "target", "up")


@dataclass(frozen=True)
class _File:
    """Entries of the file beside its keys."""

    seconds: Annotated[float, Range(0.1, 36_000)] = 6.0
    closed: bool = False
    width: Annotated[int, Range(1, 32768)] = 1280
    height: Annotated[int, Range(1, 32768)] = 720


@dataclass(frozen=True, eq=False)
class KeyedPath:
    """The path.

    Args:
        keys: [K, 10] position, target, up and the field of view of the height in degrees, K at least 1.
        seconds: from the first key to the last, or around.
        closed: whether it goes on from the last key to the first.
        width, height: of its images, in pixels.
    """

    keys: Vector
    seconds: float
    closed: bool
    width: int
    height: int

    @classmethod
    def read(cls, path: Path) -> KeyedPath:
        """
        Raises:
            DataError: the file cannot be read, or is no camera path.
        """
        try:
            entries = parse_json(read_whole(path))
            listed = entries.pop("keys", None) if isinstance(entries, dict) else None
            file = from_json(_File, entries)
            keys = np.array([_key(key, i) for i, key in enumerate(_listed(listed))])
        except ValueError as error:
            raise DataError(path, f"no camera path: {error}", remedy=_REMEDY) from None
        return cls(keys=keys, **asdict(file))

    def at(self, time: float) -> Vector:
        """[10] what the keys are made of, at a time from 0 to 1."""
        count = len(self.keys)
        spans = count if self.closed else count - 1
        if spans == 0:
            return self.keys[0]
        span = min(int(time * spans), spans - 1)
        before, start, end, after = (self._key(span + i) for i in (-1, 0, 1, 2))
        t = time * spans - span
        value: Vector = start + t / 2 * (
            end
            - before
            + t * (2 * before - 5 * start + 4 * end - after + t * (3 * (start - end) + after - before))
        )
        return value

    def _key(self, number: int) -> Vector:
        """A key; beyond the ends of an open path, the end mirrors the key next to it."""
        keys: Vector = self.keys
        if self.closed:
            return keys[number % len(keys)]
        if number < 0:
            return 2 * keys[0] - keys[1]
        if number >= len(keys):
            return 2 * keys[-1] - keys[-2]
        return keys[number]

    def cameras(self, count: int, path: Path) -> list[Camera]:
        """`count` cameras at equal intervals of time, of pinholes.

        Args:
            path: of the file, for errors.

        Raises:
            DataError: the path passes through its own target.
        """
        last = count if self.closed else max(count - 1, 1)
        return [self._camera(i / last, f"path_{i:04d}", path) for i in range(count)]

    def _camera(self, time: float, name: str, path: Path) -> Camera:
        position, target, up, fov = np.split(self.at(time), [3, 6, 9])
        distance = float(np.linalg.norm(target - position))
        focal = self.height / 2 / np.tan(np.radians(np.clip(fov[0], 0.1, 175)) / 2)
        K = np.array([[focal, 0, self.width / 2], [0, focal, self.height / 2], [0, 0, 1]])
        with np.errstate(all="ignore"):
            viewmat = look_at(position, target, up)
        try:
            return Camera(viewmat, K, self.width, self.height, name, NEAR_PER_DISTANCE * distance)
        except ValueError as error:
            problem = f"there is no camera {time:.0%} along the path ({error})"
            raise DataError(path, problem, remedy="Move the key before or after it.") from None


def _listed(keys: Any) -> list[Any]:
    if not isinstance(keys, list) or not 1 <= len(keys) <= MOST_KEYS:
        raise ValueError(f"keys must be a list of 1 to {MOST_KEYS:,} places")
    return keys


def _key(key: Any, number: int) -> list[float]:
    where = f"keys[{number}]"
    if not isinstance(key, dict) or sorted(key) != sorted([*_PLACES, "fov"]):
        raise ValueError(f"{where} must have position, target, up and fov, and nothing else")
    numbers = [_numbers(key[name], 3, f"{where}.{name}") for name in _PLACES]
    (fov,) = _numbers([key["fov"]], 1, f"{where}.fov")
    if not 1 <= fov <= 170:
        raise ValueError(f"{where}.fov must be from 1 to 170 degrees, got {fov:g}")
    if numbers[0] == numbers[1] or not any(numbers[2]):
        raise ValueError(f"{where} must have a target off its position and an up that is not 0")
    return [*numbers[0], *numbers[1], *numbers[2], fov]


def _numbers(values: Any, count: int, where: str) -> list[float]:
    """`count` finite numbers that float32 has."""
    if not isinstance(values, list) or len(values) != count:
        raise ValueError(f"{where} must be {count} numbers")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e30:
            raise ValueError(f"{where} must be {'a number' if count == 1 else 'finite numbers'}")
    return [float(value) for value in values]
