"""Reads cameras.txt, images.txt and points3D.txt.

Lines that begin with # are comments. COLMAP writes the number of records into one of them, which shows when a
file was cut off at a line's end. Numbers go through Python's own parser, a line at a time, so memory stays a
small multiple of the file's size and time is linear in it.

A line that cannot be read costs its record and is counted in a warning; a file of which more than half
cannot be read, or whose last line is cut off inside a record, is refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gsplat_core.errors import DataError
from gsplat_core.scene.colmap.model import RegisteredImage, SparsePoints
from gsplat_core.scene.colmap.refusal import UnsupportedModelError, unsupported_model
from gsplat_core.scene.lens import LENS_MODEL_BY_NAME, Lens
from gsplat_core.scene.rejects import Rejects

_ANNOUNCED = re.compile(rb"#\s*Number of (?:cameras|images|points):\s*(\d{1,18})")
_INT64_END = 2**63
_LONGEST_LINE = 4 << 20  # bytes: 200,000 keypoints


class _Lines:
    """The lines of a file, numbered from 1, with the errors and warnings that concern them."""

    def __init__(self, path: Path, kind: str, warnings: list[str], strict: bool, least: int = 1) -> None:
        self.path = path
        self.kind = kind
        self.warnings = warnings
        self.rejects = Rejects(path, kind, strict, least)
        data = path.read_bytes()
        self._unfinished = data.count(b"\n") + 1 if data and not data.endswith(b"\n") else 0
        if self._unfinished:
            warnings.append(f"{path}: the last line does not end; the file may have been cut off.")
        self._rest = enumerate(_cut(data, path), start=1)
        self._announced: int | None = None
        self.number = 0

    def next_line(self) -> bytes | None:
        """The next line of any kind, or None at the end."""
        self.number, line = next(self._rest, (self.number, None))
        return line

    def next_record(self) -> bytes | None:
        """The next line that is neither empty nor a comment, or None at the end."""
        while (line := self.next_line()) is not None:
            text = line.strip()
            if text.startswith(b"#"):
                if match := _ANNOUNCED.match(text):
                    self._announced = int(match.group(1))
            elif text:
                return text
        return None

    def records(self) -> Iterator[bytes]:
        """All of them."""
        while (line := self.next_record()) is not None:
            yield line

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

    def reject(self, error: DataError) -> None:
        """Leaves out the record that ends here.

        Raises:
            DataError: the file ends inside it, so it was cut off.
        """
        if self.number == self._unfinished:
            raise error
        self.rejects.add(error)

    def finish(self, good: int) -> None:
        self.rejects.finish(good, self.warnings)
        count = good + self.rejects.count
        if self._announced is not None and self._announced != count:
            self.warnings.append(
                f"{self.path}: its header announces {self._announced} {self.kind}, but it has {count}; "
                "the file may have been cut off."
            )


def _cut(data: bytes, path: Path) -> Iterator[bytes]:
    """The lines of a text, one at a time: a list of all would take many times its memory.

    Raises:
        DataError: a line that no image or point has.
    """
    start, number = 0, 1
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        if end - start > _LONGEST_LINE:
            raise DataError(
                path, f"{end - start:,} bytes; at most {_LONGEST_LINE:,} are accepted", f"line {number}",
                "The file is damaged; export the model again from COLMAP.",
            )  # fmt: skip
        yield data[start:end]
        start, number = end + 1, number + 1


def read_cameras(path: Path, warnings: list[str], strict: bool = False) -> dict[int, Lens]:
    """Lenses by camera id, from lines ID MODEL WIDTH HEIGHT PARAMS..."""
    lines = _Lines(path, "cameras", warnings, strict)
    lenses: dict[int, Lens] = {}
    repeated = 0
    for line in lines.records():
        try:
            camera_id, lens = _camera(lines, line.split())
        except UnsupportedModelError:
            raise  # not a damaged line: nothing but another camera model helps
        except DataError as error:
            lines.reject(error)
            continue
        if camera_id in lenses:
            warnings.append(f"{path}: camera id {camera_id} occurs twice; the first is used.")
            repeated += 1
            continue
        lenses[camera_id] = lens
    lines.finish(len(lenses) + repeated)
    return lenses


def _camera(lines: _Lines, tokens: list[bytes]) -> tuple[int, Lens]:
    if len(tokens) < 4:
        raise lines.fail(
            f"a camera needs ID, MODEL, WIDTH, HEIGHT and parameters, found {len(tokens)} fields"
        )
    camera_id, width, height = lines.integers([tokens[0], *tokens[2:4]], "ID, WIDTH, HEIGHT")
    name = os.fsdecode(tokens[1])
    model = LENS_MODEL_BY_NAME.get(name)
    if model is None:
        raise unsupported_model(lines.path, f"line {lines.number}, camera id {camera_id}", name)
    params = lines.floats(tokens[4:], f"parameters of camera {camera_id}")
    if len(params) != len(model.params):
        raise lines.fail(
            f"{model.name} has {len(model.params)} parameters ({' '.join(model.params)}), found {len(params)}"
        )
    return camera_id, Lens.from_params(model, width, height, params)


def read_images(path: Path, warnings: list[str], strict: bool = False) -> list[RegisteredImage]:
    """Registered images. Each has two lines: ID QW QX QY QZ TX TY TZ CAMERA_ID NAME and (X Y POINT3D_ID)*.

    After a line that is no image, the one after it is taken as its keypoints only if it can be nothing else,
    so that one damaged line never makes keypoints of images and images of keypoints.
    """
    lines = _Lines(path, "images", warnings, strict, least=2)
    images = []
    pending: bytes | None = None
    while (line := pending if pending is not None else lines.next_record()) is not None:
        pending = None
        try:
            head = _image_head(lines, line)
            if _is_keypoints(line):
                raise lines.fail("keypoints without the image's line before them")
        except DataError as error:
            lines.reject(error)
            after = lines.next_line()
            pending = None if after is None or _is_second_line(after) else after.strip()
            continue
        after = lines.next_line()
        try:
            keypoints, point_ids = _keypoints(lines, (after or b"").split(), head.id)
        except DataError as error:
            lines.reject(error)
            pending = after.strip() if after is not None and _is_image(lines, after) else None
            continue
        images.append(replace(head, keypoints=keypoints, point_ids=point_ids))
    lines.finish(len(images))
    return images


def _image_head(lines: _Lines, line: bytes) -> RegisteredImage:
    """The image of a first line, without keypoints."""
    tokens = line.split(maxsplit=9)
    if len(tokens) < 10:
        raise lines.fail(
            f"an image needs ID, QW QX QY QZ, TX TY TZ, CAMERA_ID and NAME, found {len(tokens)} fields"
        )
    image_id, camera_id = lines.integers([tokens[0], tokens[8]], "IMAGE_ID, CAMERA_ID")
    pose = lines.floats(tokens[1:8], f"pose of image {image_id}")
    return RegisteredImage(
        id=image_id,
        camera_id=camera_id,
        name=os.fsdecode(tokens[9].strip()),
        quaternion=np.array(pose[:4]),
        translation=np.array(pose[4:]),
        keypoints=np.zeros((0, 2)),
        point_ids=np.zeros(0, np.int64),
    )


def _is_image(lines: _Lines, line: bytes) -> bool:
    try:
        _image_head(lines, line)
    except DataError:
        return False
    return True


def _is_keypoints(line: bytes) -> bool:
    """Whether a line is triples of numbers, as no line of an image with a name is."""
    tokens = line.split()
    if not tokens or len(tokens) % 3:
        return False
    try:
        np.array(tokens, np.float64)
    except ValueError:
        return False
    return True


def _is_second_line(line: bytes) -> bool:
    """Whether a line cannot begin an image."""
    return not line.strip() or line.lstrip().startswith(b"#") or _is_keypoints(line)


def _keypoints(
    lines: _Lines, tokens: list[bytes], image_id: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """[n, 2] pixels and [n] ids of a second line."""
    if len(tokens) % 3:
        raise lines.fail(
            f"keypoints are triples X Y POINT3D_ID, but image {image_id} has {len(tokens)} fields",
            "Every image has two lines; the second must be there even if it is empty.",
        )
    x = lines.floats(tokens[0::3], f"X of the keypoints of image {image_id}")
    y = lines.floats(tokens[1::3], f"Y of the keypoints of image {image_id}")
    points = lines.integers(tokens[2::3], f"POINT3D_ID of the keypoints of image {image_id}")
    return np.array([x, y]).T.reshape(-1, 2), np.array(points, np.int64)


def read_points(path: Path, warnings: list[str], strict: bool = False) -> SparsePoints:
    """All points, from lines ID X Y Z R G B ERROR (IMAGE_ID POINT2D_IDX)*."""
    lines = _Lines(path, "points", warnings, strict)
    ids: list[int] = []
    numbers: list[list[float]] = []
    colors: list[list[int]] = []
    lengths: list[int] = []
    tracks = []
    for line in lines.records():
        try:
            number, values, color, track = _point(lines, line.split())
        except DataError as error:
            lines.reject(error)
            continue
        ids.append(number)
        numbers.append(values)
        colors.append(color)
        lengths.append(len(track) // 2)
        tracks.append(track.astype(np.int32))
    lines.finish(len(ids))
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


def _point(lines: _Lines, tokens: list[bytes]) -> tuple[int, list[float], list[int], npt.NDArray[np.int64]]:
    """Id, (x, y, z, error), colour and track of one line."""
    if len(tokens) < 8 or len(tokens) % 2:
        raise lines.fail(
            "a point needs ID, X Y Z, R G B, ERROR and pairs IMAGE_ID POINT2D_IDX, "
            f"found {len(tokens)} fields"
        )
    (number,) = lines.integers(tokens[:1], "POINT3D_ID")
    values = lines.floats([*tokens[1:4], tokens[7]], "X Y Z, ERROR")
    color = lines.integers(tokens[4:7], "R G B")
    if not all(0 <= value <= 255 for value in color):
        raise lines.fail(f"R G B must lie in 0..255, found {color}")
    return number, values, color, np.array(lines.integers(tokens[8:], "TRACK"), np.int64)
