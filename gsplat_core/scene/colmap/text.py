"""Reads cameras.txt, images.txt and points3D.txt.

Lines that begin with # are comments. COLMAP writes the number of records into one of them, which shows when a
file was cut off at a line's end. Numbers go through Python's own parser, a line at a time, so memory stays a
small multiple of the file's size and time is linear in it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gsplat_core.errors import DataError
from gsplat_core.scene.colmap.model import RegisteredImage, SparsePoints
from gsplat_core.scene.colmap.refusal import unsupported_model
from gsplat_core.scene.lens import LENS_MODEL_BY_NAME, Lens

_ANNOUNCED = re.compile(rb"#\s*Number of (?:cameras|images|points):\s*(\d{1,18})")
_INT64_END = 2**63


class _Lines:
    """The lines of a file, numbered from 1, with the errors and warnings that concern them."""

    def __init__(self, path: Path, warnings: list[str]) -> None:
        self.path = path
        self.warnings = warnings
        data = path.read_bytes()
        if data and not data.endswith(b"\n"):
            warnings.append(f"{path}: the last line does not end; the file may have been cut off.")
        self._rest = enumerate(data.split(b"\n"), start=1)
        self._announced: int | None = None
        self.number = 0

    def next_line(self) -> bytes | None:
        """The next line of any kind, or None at the end."""
        self.number, line = next(self._rest, (self.number, None))
        return line

    def records(self) -> Iterator[bytes]:
        """The lines that are neither empty nor comments."""
        while (line := self.next_line()) is not None:
            text = line.strip()
            if text.startswith(b"#"):
                if match := _ANNOUNCED.match(text):
                    self._announced = int(match.group(1))
            elif text:
                yield text

    def fail(
        self, problem: str, remedy: str = "Correct the line, or export the model again from COLMAP."
    ) -> DataError:
        return DataError(self.path, problem, f"line {self.number}", remedy)

    def floats(self, tokens: list[bytes], what: str) -> list[float]:
        try:
            return [float(token) for token in tokens]
        except ValueError as error:
            raise self.fail(f"{what}: expected numbers ({error})") from None

    def integers(self, tokens: list[bytes], what: str) -> list[int]:
        try:
            values = [int(token) for token in tokens]
        except ValueError as error:
            raise self.fail(f"{what}: expected whole numbers ({error})") from None
        if any(not -_INT64_END <= value < _INT64_END for value in values):
            raise self.fail(f"{what}: a number does not fit into 64 bits")
        return values

    def finish(self, count: int, records: str) -> None:
        if self._announced is not None and self._announced != count:
            self.warnings.append(
                f"{self.path}: its header announces {self._announced} {records}, but it has {count}; "
                "the file may have been cut off."
            )


def read_cameras(path: Path, warnings: list[str]) -> dict[int, Lens]:
    """Lenses by camera id, from lines ID MODEL WIDTH HEIGHT PARAMS..."""
    lines = _Lines(path, warnings)
    lenses: dict[int, Lens] = {}
    for line in lines.records():
        tokens = line.split()
        if len(tokens) < 4:
            raise lines.fail(
                f"a camera needs ID, MODEL, WIDTH, HEIGHT and parameters, found {len(tokens)} fields"
            )
        camera_id, width, height = lines.integers([tokens[0], *tokens[2:4]], "ID, WIDTH, HEIGHT")
        name = os.fsdecode(tokens[1])
        model = LENS_MODEL_BY_NAME.get(name)
        if model is None:
            raise unsupported_model(path, f"line {lines.number}, camera id {camera_id}", name)
        params = lines.floats(tokens[4:], f"parameters of camera {camera_id}")
        if len(params) != len(model.params):
            raise lines.fail(
                f"{name} has {len(model.params)} parameters ({' '.join(model.params)}), found {len(params)}"
            )
        if camera_id in lenses:
            warnings.append(f"{path}: camera id {camera_id} occurs twice; the first is used.")
            continue
        lenses[camera_id] = Lens.from_params(model, width, height, params)
    lines.finish(len(lenses), "cameras")
    return lenses


def read_images(path: Path, warnings: list[str]) -> list[RegisteredImage]:
    """Registered images. Each has two lines: ID QW QX QY QZ TX TY TZ CAMERA_ID NAME and (X Y POINT3D_ID)*."""
    lines = _Lines(path, warnings)
    images = []
    for line in lines.records():
        tokens = line.split(maxsplit=9)
        if len(tokens) < 10:
            raise lines.fail(
                f"an image needs ID, QW QX QY QZ, TX TY TZ, CAMERA_ID and NAME, found {len(tokens)} fields"
            )
        image_id, camera_id = lines.integers([tokens[0], tokens[8]], "IMAGE_ID, CAMERA_ID")
        pose = lines.floats(tokens[1:8], f"pose of image {image_id}")
        sightings = (lines.next_line() or b"").split()
        if len(sightings) % 3:
            raise lines.fail(
                f"keypoints are triples X Y POINT3D_ID, but image {image_id} has {len(sightings)} fields",
                "Every image has two lines; the second must be there even if it is empty.",
            )
        x = lines.floats(sightings[0::3], f"X of the keypoints of image {image_id}")
        y = lines.floats(sightings[1::3], f"Y of the keypoints of image {image_id}")
        points = lines.integers(sightings[2::3], f"POINT3D_ID of the keypoints of image {image_id}")
        images.append(
            RegisteredImage(
                id=image_id,
                camera_id=camera_id,
                name=os.fsdecode(tokens[9]),
                quaternion=np.array(pose[:4]),
                translation=np.array(pose[4:]),
                keypoints=np.array([x, y]).T.reshape(-1, 2),
                point_ids=np.array(points, np.int64),
            )
        )
    lines.finish(len(images), "images")
    return images


def read_points(path: Path, warnings: list[str]) -> SparsePoints:
    """All points, from lines ID X Y Z R G B ERROR (IMAGE_ID POINT2D_IDX)*."""
    lines = _Lines(path, warnings)
    ids: list[int] = []
    numbers: list[list[float]] = []
    colors: list[list[int]] = []
    lengths: list[int] = []
    tracks = []
    for line in lines.records():
        tokens = line.split()
        if len(tokens) < 8 or len(tokens) % 2:
            raise lines.fail(
                "a point needs ID, X Y Z, R G B, ERROR and pairs IMAGE_ID POINT2D_IDX, "
                f"found {len(tokens)} fields"
            )
        ids += lines.integers(tokens[:1], "POINT3D_ID")
        numbers.append(lines.floats([*tokens[1:4], tokens[7]], "X Y Z, ERROR"))
        color = lines.integers(tokens[4:7], "R G B")
        if not all(0 <= value <= 255 for value in color):
            raise lines.fail(f"R G B must lie in 0..255, found {color}")
        colors.append(color)
        track = np.array(lines.integers(tokens[8:], "TRACK"), np.int64)
        lengths.append(len(track) // 2)
        tracks.append(track.astype(np.int32))
    lines.finish(len(ids), "points")
    if not ids:
        return SparsePoints.none()
    columns = np.array(numbers)
    return SparsePoints(
        ids=np.array(ids, np.int64),
        xyz=np.ascontiguousarray(columns[:, :3]),
        rgb=np.array(colors, np.uint8),
        errors=np.ascontiguousarray(columns[:, 3]),
        track_starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        tracks=np.concatenate(tracks).reshape(-1, 2),
    )
