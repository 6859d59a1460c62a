"""Gives images of a COLMAP model other poses, in its files; everything else in them stays."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .colmap_files import quaternion

Array = NDArray[Any]
Poses = Mapping[int, tuple[Array, Array]]
"""Rotation [3, 3] and translation [3], world to camera, by the image's id."""


def write_poses(folder: Path, poses: Poses) -> None:
    """Changes images.bin, images.txt or both in a model's folder; images that are not named stay."""
    if (binary := folder / "images.bin").exists():
        binary.write_bytes(_in_bytes(binary.read_bytes(), poses))
    if (text := folder / "images.txt").exists():
        text.write_text(_in_text(text.read_text(), poses))


def _in_bytes(data: bytes, poses: Poses) -> bytes:
    changed = bytearray(data)
    (count,) = struct.unpack_from("<Q", data)
    offset = 8
    for _ in range(count):
        (number,) = struct.unpack_from("<i", data, offset)
        if number in poses:
            rotation, translation = poses[number]
            struct.pack_into("<7d", changed, offset + 4, *quaternion(rotation), *translation)
        keypoints = data.index(b"\0", offset + 64) + 1
        offset = keypoints + 8 + 24 * struct.unpack_from("<Q", data, keypoints)[0]
    return bytes(changed)


def _in_text(text: str, poses: Poses) -> str:
    lines = text.split("\n")
    records = [row for row, line in enumerate(lines) if not line.startswith("#")]
    # A line with the pose, and one with keypoints, which may be empty.
    for row in records[::2]:
        words = lines[row].split()
        if words and int(words[0]) in poses:
            rotation, translation = poses[int(words[0])]
            words[1:8] = [repr(float(value)) for value in (*quaternion(rotation), *translation)]
            lines[row] = " ".join(words)
    return "\n".join(lines)
