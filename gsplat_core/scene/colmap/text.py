"""Reads cameras.txt, images.txt and points3D.txt.

Lines that begin with # are comments. COLMAP writes the number of records into one of them, which shows when a
file was cut off at a line's end. Keypoints and points are read as tables (`ops/number_lines.py`), a piece of
the file at a time. A line that does not fit into a table goes through Python's own parser, which reads every
form of a number and tells what is wrong, so it only decides how long reading takes which of the two it was.

A line that cannot be read costs its record and is counted in a warning; a file of which more than half
cannot be read, or whose last line is cut off inside a record, is refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from gsplat_core.errors import DataError
from gsplat_core.ops.number_lines import NumberLines, read_number_lines
from gsplat_core.scene.colmap.model import RegisteredImage, SparsePoints
from gsplat_core.scene.colmap.refusal import UnsupportedModelError, unsupported_model
from gsplat_core.scene.lens import LENS_MODEL_BY_NAME, Lens
from gsplat_core.scene.rejects import Rejects

_ANNOUNCED = re.compile(rb"#\s*Number of (?:cameras|images|points):\s*(\d{1,18})")
_INT64_END = 2**63
# The numbers of a keypoint, of a point before its track, and of each sighting in it; see `read_number_lines`.
_KEYPOINT = "ddi"
_POINT = "idddbbbd"
_SIGHTING = "ii"
_LONGEST_LINE = 4 << 20  # bytes: 200,000 keypoints


class _Lines:
    """The lines of a file, numbered from 1, with the errors and warnings that concern them."""

    def __init__(self, path: Path, kind: str, warnings: list[str], strict: bool, least: int = 1) -> None:
        self.path = path
        self.kind = kind
        self.warnings = warnings
        self.rejects = Rejects(path, kind, strict, least)
        self.number = 0
        self._announced: int | None = None
        self._file = path.open("rb")
        self._text = bytearray()  # a piece of the file, of which lines from _place on are still to come
        self._place = 0
        self._is_unfinished = False  # the line that came last has no end
        if not _ends_with_line(self._file):
            warnings.append(f"{path}: the last line does not end; the file may have been cut off.")

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def next_line(self) -> bytes | None:
        """The next line of any kind, or None at the end.

        Raises:
            DataError: it is longer than that of any image or point.
        """
        end = self._text.find(b"\n", self._place)
        if end < 0:
            self._read_on()
            end = self._text.find(b"\n")
        start = self._place
        if end < 0:
            if start == len(self._text):
                return None
            self._is_unfinished = True
            end = len(self._text)
        self.number += 1
        self._place = min(end + 1, len(self._text))
        return bytes(memoryview(self._text)[start:end])

    def table(self, head: str, tail: str) -> NumberLines:
        """The numbers of the next lines that have a pattern (`read_number_lines`), perhaps of none: only of
        lines that are at hand."""
        end = self._text.rfind(b"\n", self._place) + 1
        if end == 0:
            self._read_on()
            end = self._text.rfind(b"\n") + 1
        lines = read_number_lines(memoryview(self._text)[self._place : end], head, tail)
        self._place += lines.size
        self.number += len(lines.repeats)
        return lines

    def _read_on(self) -> None:
        """Goes on to the next piece of the file. It begins with what is left of this one."""
        rest = self._text[self._place :]
        self._text = rest + self._file.read(_LONGEST_LINE + 1 - len(rest))
        self._place = 0
        if len(self._text) > _LONGEST_LINE and b"\n" not in self._text:
            raise DataError(
                self.path, f"more than {_LONGEST_LINE:,} bytes, the most that is accepted",
                f"line {self.number + 1}", "The file is damaged; export the model again from COLMAP.",
            )  # fmt: skip

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
        if self._is_unfinished:
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


def _ends_with_line(file: BinaryIO) -> bool:
    """Whether a file is empty or its last line has an end; goes back to its start."""
    if file.seek(0, os.SEEK_END):
        file.seek(-1, os.SEEK_END)
    last = file.read(1)
    file.seek(0)
    return last in (b"", b"\n")


def read_cameras(path: Path, warnings: list[str], strict: bool = False) -> dict[int, Lens]:
    """Lenses by camera id, from lines ID MODEL WIDTH HEIGHT PARAMS..."""
    lenses: dict[int, Lens] = {}
    repeated = 0
    with _Lines(path, "cameras", warnings, strict) as lines:
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
    images = []
    pending: bytes | None = None
    with _Lines(path, "images", warnings, strict, least=2) as lines:
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
                keypoints, point_ids = _keypoints(lines, after or b"", head.id)
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
    lines: _Lines, line: bytes, image_id: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """[n, 2] pixels and [n] ids of a second line."""
    table = read_number_lines(line, "", _KEYPOINT)
    if len(table.repeats):
        return table.tail_numbers, table.tail_integers.reshape(-1)
    tokens = line.split()
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
    pieces: dict[str, list[npt.NDArray[Any]]] = {
        name: [] for name in ("ids", "xyz", "rgb", "errors", "lengths", "tracks")
    }
    count = 0

    def add(table: NumberLines) -> None:
        nonlocal count
        if len(table.repeats) == 0 and pieces["ids"]:  # as behind every line that is no record
            return
        count += len(table.repeats)
        pieces["ids"].append(table.head_integers[:, 0].copy())
        pieces["rgb"].append(table.head_integers[:, 1:].astype(np.uint8))
        pieces["xyz"].append(table.head_numbers[:, :3].copy())
        pieces["errors"].append(table.head_numbers[:, 3].copy())
        pieces["lengths"].append(table.repeats)
        pieces["tracks"].append(table.tail_integers.astype(np.int32))

    with _Lines(path, "points", warnings, strict) as lines:
        while True:
            add(lines.table(_POINT, _SIGHTING))
            if (line := lines.next_record()) is None:
                break
            try:
                add(_point(lines, line.split()))
            except DataError as error:
                lines.reject(error)
        lines.finish(count)
    # One column after the other, so that not all are there twice.
    whole = {name: np.concatenate(pieces.pop(name)) for name in list(pieces)}
    starts = np.concatenate([[0], np.cumsum(whole.pop("lengths"))]).astype(np.int64)
    return SparsePoints(**whole, track_starts=starts)


def _point(lines: _Lines, tokens: list[bytes]) -> NumberLines:
    """One line, as the table of a single one."""
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
    track = np.array(lines.integers(tokens[8:], "TRACK"), np.int64).reshape(-1, 2)
    return NumberLines(
        np.array([[number, *color]]),
        np.array([values]),
        track,
        np.zeros((len(track), 0)),
        np.array([len(track)]),
        0,
    )
