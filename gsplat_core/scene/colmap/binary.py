"""Reads cameras.bin, images.bin and points3D.bin.

All numbers are little-endian. Every read is checked against the end of the file first, and a record count
against the smallest size that so many records can have, so a damaged file ends in a DataError with the byte
offset and the record before anything is allocated. Time is linear in the size of the file.

Records follow each other without a mark, and each tells its own length: the number of a camera's model, a
name's end, the counts of keypoints and sightings. Where one of these cannot be, the beginning of the next
record is unknown, so the whole file is refused. Other impossible values cost their record only (`check.py`).
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gsplat_core.errors import DataError
from gsplat_core.scene.colmap.model import RegisteredImage, SparsePoints
from gsplat_core.scene.colmap.refusal import unsupported_model
from gsplat_core.scene.lens import LENS_MODEL_BY_ID, Lens

# The fixed part of each record.
_COUNT = struct.Struct("<Q")
_CAMERA = struct.Struct("<iiQQ")
_IMAGE = struct.Struct("<i4d3di")
_KEYPOINT = np.dtype([("xy", "<f8", 2), ("point", "<i8")])
_POINT = np.dtype([("id", "<i8"), ("xyz", "<f8", 3), ("rgb", "u1", 3), ("error", "<f8"), ("track", "<u8")])
_SIGHTING = np.dtype("<i8")  # two int32, moved as one number

_SMALLEST_CAMERA = _CAMERA.size + 3 * 8
_SMALLEST_IMAGE = _IMAGE.size + 1 + _COUNT.size
_LONGEST_NAME = 4096  # PATH_MAX of Linux

CUT_OFF = "The file was cut off or damaged: copy it again or export the model again from COLMAP."


class _Cursor:
    """A position in a file's bytes that never passes the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = path.read_bytes()
        self.offset = 0

    def fail(self, problem: str, record: str, remedy: str = CUT_OFF) -> DataError:
        return DataError(self.path, problem, f"byte {self.offset}, {record}", remedy)

    def need(self, size: int, record: str) -> None:
        left = len(self.data) - self.offset
        if size > left:
            raise self.fail(f"{size} bytes are needed here but the file has only {left} more", record)

    def unpack(self, fields: struct.Struct, record: str) -> tuple[Any, ...]:
        self.need(fields.size, record)
        values = fields.unpack_from(self.data, self.offset)
        self.offset += fields.size
        return values

    def array(self, dtype: npt.DTypeLike, count: int, record: str) -> npt.NDArray[Any]:
        size = np.dtype(dtype).itemsize * count
        self.need(size, record)
        values = np.frombuffer(self.data, dtype, count, self.offset)
        self.offset += size
        return values

    def name(self, record: str) -> str:
        """A zero-terminated string."""
        end = self.data.find(b"\0", self.offset, self.offset + _LONGEST_NAME)
        if end < 0:
            raise self.fail("the image's name does not end", record)
        name = self.data[self.offset : end]
        self.offset = end + 1
        return os.fsdecode(name)

    def count(self, smallest: int, records: str) -> int:
        """The number of records that follow, refused when the file cannot hold them."""
        (count,) = self.unpack(_COUNT, f"number of {records}")
        left = len(self.data) - self.offset
        if count * smallest > left:
            self.offset -= _COUNT.size
            raise self.fail(
                f"{count} {records} are announced, but the {left} bytes left hold at most {left // smallest}",
                f"number of {records}",
            )
        return int(count)

    def finish(self, warnings: list[str]) -> None:
        if rest := len(self.data) - self.offset:
            warnings.append(
                f"{self.path}: {rest} bytes after the last record (byte {self.offset}) are ignored."
            )


def read_cameras(path: Path, warnings: list[str], strict: bool = False) -> dict[int, Lens]:
    """Lenses by camera id."""
    cursor = _Cursor(path)
    count = cursor.count(_SMALLEST_CAMERA, "cameras")
    lenses: dict[int, Lens] = {}
    for index in range(count):
        record = f"camera {index} of {count}"
        start = cursor.offset
        camera_id, model_id, width, height = cursor.unpack(_CAMERA, record)
        model = LENS_MODEL_BY_ID.get(model_id)
        if model is None:
            cursor.offset = start
            raise unsupported_model(path, f"byte {start}, {record}, camera id {camera_id}", model_id)
        params = cursor.array("<f8", len(model.params), f"{record}, parameters of {model.name}")
        if camera_id in lenses:
            warnings.append(f"{path}: camera id {camera_id} occurs twice; the first is used.")
            continue
        lenses[camera_id] = Lens.from_params(model, width, height, params.tolist())
    cursor.finish(warnings)
    return lenses


def read_images(path: Path, warnings: list[str], strict: bool = False) -> list[RegisteredImage]:
    """Registered images in file order."""
    cursor = _Cursor(path)
    count = cursor.count(_SMALLEST_IMAGE, "images")
    images = []
    for index in range(count):
        record = f"image {index} of {count}"
        fields = cursor.unpack(_IMAGE, record)
        name = cursor.name(f"{record}, name")
        record = f"{record}, {name!r}"
        (num_keypoints,) = cursor.unpack(_COUNT, f"{record}, number of keypoints")
        keypoints = cursor.array(_KEYPOINT, num_keypoints, f"{record}, {num_keypoints} keypoints")
        images.append(
            RegisteredImage(
                id=fields[0],
                camera_id=fields[8],
                name=name,
                quaternion=np.array(fields[1:5]),
                translation=np.array(fields[5:8]),
                keypoints=np.ascontiguousarray(keypoints["xy"]),
                point_ids=np.ascontiguousarray(keypoints["point"]),
            )
        )
    cursor.finish(warnings)
    return images


def read_points(path: Path, warnings: list[str], strict: bool = False) -> SparsePoints:
    """All points with their tracks."""
    cursor = _Cursor(path)
    count = cursor.count(_POINT.itemsize, "points")
    starts = _point_starts(cursor, count)
    fixed = _unaligned(cursor.data, _POINT)[starts] if count else np.zeros(0, _POINT)
    lengths = fixed["track"].astype(np.int64)
    track_starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    # The byte at which each sighting of each track begins.
    first = starts + _POINT.itemsize - _SIGHTING.itemsize * track_starts[:-1]
    where = np.repeat(first, lengths) + _SIGHTING.itemsize * np.arange(track_starts[-1])
    tracks = _unaligned(cursor.data, _SIGHTING)[where] if len(where) else np.zeros(0, _SIGHTING)
    cursor.finish(warnings)
    return SparsePoints(
        ids=np.ascontiguousarray(fixed["id"]),
        xyz=np.ascontiguousarray(fixed["xyz"]),
        rgb=np.ascontiguousarray(fixed["rgb"]),
        errors=np.ascontiguousarray(fixed["error"]),
        track_starts=track_starts,
        tracks=tracks.view("<i4").reshape(-1, 2),
    )


def _point_starts(cursor: _Cursor, count: int) -> npt.NDArray[np.int64]:
    """Byte offsets of the point records. Each holds its own length, so this one loop is serial."""
    data, end = cursor.data, len(cursor.data)
    track_length, at = _COUNT.unpack_from, _POINT.fields["track"][1]  # type: ignore[index]
    offset = cursor.offset
    starts = []
    for index in range(count):
        cursor.offset = offset
        if offset + _POINT.itemsize > end:
            raise cursor.fail("the file ends inside this record", f"point {index} of {count}")
        starts.append(offset)
        (length,) = track_length(data, offset + at)
        offset += _POINT.itemsize + _SIGHTING.itemsize * length
        if offset > end:
            raise cursor.fail(
                f"a track of {length} sightings does not fit in the file", f"point {index} of {count}"
            )
    cursor.offset = offset
    return np.array(starts, np.int64)


def _unaligned(data: bytes, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """A view of ``data`` whose element i is the record that begins at byte i."""
    return np.ndarray((len(data) - dtype.itemsize + 1,), dtype, data, strides=(1,))
