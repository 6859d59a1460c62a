"""Cameras of RealityCapture (now RealityScan), in one of two of its exports.

An .xmp beside each photograph (Alignment, Export, Metadata): xcr:Rotation, the world-to-camera rotation row
by row with x right, y down and z forward, and xcr:Position, the camera's place. xcr:FocalLength35mm is for a
longer side of 36 mm, xcr:PrincipalPointU and V are parts of that side, from the middle of the image.

A .csv (Export, Internal/External camera parameters) that begins with

    #name,x,y,alt,heading,pitch,roll,f,px,py,k1,k2,k3,k4,t1,t2

with angles in degrees: heading clockwise from the y axis, pitch up from straight down, then roll. f, px and
py are in millimetres of film whose longer side is 36 mm.

The distortion is Brown's, with k1 to k4 and t1, t2 as OpenCV's p1, p2; its division model is refused unless
it does nothing. A photograph's size is that of its file.
"""

from __future__ import annotations

import csv
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from gsplat_core.errors import DataError
from gsplat_core.scene.cameras import Matrix
from gsplat_core.scene.capture import Capture, Shot
from gsplat_core.scene.capture_values import OPENCV, OPENGL, error, number_of, relative_path, viewmat
from gsplat_core.scene.colmap.check import lens_problem
from gsplat_core.scene.images import IMAGE_ENDINGS, read_header
from gsplat_core.scene.lens import BROWN, LENS_MODEL_BY_NAME, Lens
from gsplat_core.scene.photos import IMAGE_FOLDERS
from gsplat_core.scene.rejects import Rejects

_XCR = "{http://www.capturingreality.com/ns/xcr/1.1#}"
_HEADER = b"#name,x,y,alt,heading,pitch,roll,f,px,py"
_FILM = 36.0  # millimetres
_COEFFICIENTS = ("k1", "k2", "k3", "k4", "t1", "t2")
_FIRST = 8192


def find(folder: Path) -> Path | None:
    """The .csv, or else the folder whose photographs have an .xmp each."""
    tables = sorted(folder.glob("*.csv"))
    if (table := next((path for path in tables if _begins(path, _HEADER)), None)) is not None:
        return table
    places = (folder / name for name in IMAGE_FOLDERS)
    return next((place for place in places if any(map(_is_xmp, sorted(place.glob("*.xmp"))))), None)


def _begins(path: Path, text: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(text) + 3).removeprefix(b"\xef\xbb\xbf").startswith(text)
    except OSError:
        return False


def _is_xmp(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"xcr:Rotation" in file.read(_FIRST)
    except OSError:
        return False


def read(path: Path, strict: bool) -> Capture:
    """
    Raises:
        DataError: a file cannot be used, and strict, or most cannot.
    """
    return _of_folder(path, strict) if path.is_dir() else _of_table(path, strict)


def _of_table(path: Path, strict: bool) -> Capture:
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise DataError(path, f"cannot be read: {problem}") from problem
    shots: list[Shot] = []
    warnings: list[str] = []
    rejects = Rejects(path, "cameras", strict, least=2)
    rows = csv.DictReader(text.splitlines())
    try:
        for row in rows:
            try:
                shots.append(_shot_of_row(path, f"line {rows.line_num}", row))
            except DataError as problem:
                rejects.add(problem)
    except csv.Error as problem:
        raise error(path, f"line {rows.line_num}", str(problem)) from problem
    if not shots and not rejects.count:
        raise error(path, "line 2", "there are no cameras")
    rejects.finish(len(shots), warnings)
    return Capture(path, shots, warnings=warnings)


def _shot_of_row(path: Path, place: str, row: dict[str, str]) -> Shot:
    def value(column: str) -> float:
        return number_of(path, f"{place}, {column}", row.get(column))

    name = relative_path(path, place, row.get("#name") or "")
    photograph = next(
        (file for folder in IMAGE_FOLDERS if (file := path.parent / folder / name).is_file()), None
    )
    if photograph is None:
        raise error(path, place, f"there is no photograph {name!r}")
    pose = np.eye(4)
    pose[:3, :3] = _rotation(-value("heading"), value("pitch"), value("roll"))
    pose[:3, 3] = value("x"), value("y"), value("alt")
    film, center = value("f") / _FILM, (value("px") / _FILM, value("py") / _FILM)
    bent = tuple(value(column) if row.get(column) else 0.0 for column in _COEFFICIENTS)
    lens = _lens(path, place, photograph, film, center, bent)
    return Shot(name, lens, viewmat(path, place, pose.tolist(), OPENGL))


def _of_folder(folder: Path, strict: bool) -> Capture:
    shots: list[Shot] = []
    warnings: list[str] = []
    rejects = Rejects(folder, ".xmp files", strict, least=2)
    photographs = {
        file.stem: file for file in sorted(folder.iterdir()) if file.suffix.lower() in IMAGE_ENDINGS
    }
    for path in sorted(folder.glob("*.xmp")):
        if path.stem not in photographs:
            continue
        try:
            shots.append(_shot_of_xmp(path, photographs[path.stem]))
        except DataError as problem:
            rejects.add(problem)
    rejects.finish(len(shots), warnings)
    if not shots:
        raise error(folder, "*.xmp", "none has the name of a photograph beside it")
    return Capture(folder, shots, warnings=warnings, image_root=folder)


def _shot_of_xmp(path: Path, photograph: Path) -> Shot:
    values = _values(path)

    def vector(name: str, count: int) -> Matrix:
        words = values.get(name, "").split()
        if len(words) != count:
            raise error(path, f"xcr:{name}", f"must have {count} numbers, has {len(words)}")
        return np.array([number_of(path, f"xcr:{name}", word) for word in words])

    def value(name: str) -> float:
        return number_of(path, f"xcr:{name}", values.get(name, "0"))

    if value("Skew"):
        raise error(path, "xcr:Skew", f"pixels are skewed ({value('Skew'):g}), which no camera here has")
    pose = np.eye(4)
    pose[:3, :3] = vector("Rotation", 9).reshape(3, 3).T
    pose[:3, 3] = vector("Position", 3)
    bent = tuple(vector("DistortionCoeficients", 6)) if "DistortionCoeficients" in values else (0.0,) * 6
    model = values.get("DistortionModel", "brown")
    if any(bent) and not model.startswith("brown"):
        raise error(
            path, "xcr:DistortionModel", f"{model[:40]!r} is not supported; export with a Brown model"
        )
    focal = number_of(path, "xcr:FocalLength35mm", values.get("FocalLength35mm")) / _FILM
    center = (value("PrincipalPointU"), value("PrincipalPointV"))
    lens = _lens(path, "xcr:FocalLength35mm", photograph, focal, center, bent)
    return Shot(photograph.name, lens, viewmat(path, "xcr:Rotation", pose.tolist(), OPENCV))


def _values(path: Path) -> dict[str, str]:
    """What RealityCapture says, whether as attributes or as elements."""
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as problem:
        raise error(path, "beginning", f"is not XML: {problem}") from problem
    except OSError as problem:
        raise DataError(path, f"cannot be read: {problem.strerror or problem}") from problem
    values: dict[str, str] = {}
    for element in root.iter():
        if element.tag.startswith(_XCR):
            values[element.tag.removeprefix(_XCR)] = element.text or ""
        for name, text in element.attrib.items():
            if name.startswith(_XCR):
                values[name.removeprefix(_XCR)] = text
    return values


def _lens(
    path: Path,
    place: str,
    photograph: Path,
    focal: float,
    center: tuple[float, float],
    bent: tuple[float, ...],
) -> Lens:
    """
    Args:
        focal, center: as parts of the longer side; the centre from the middle of the image.
        bent: k1 to k4, t1, t2.
    """
    header = read_header(photograph)
    side = max(header.width, header.height)
    middle = header.width / 2 + center[0] * side, header.height / 2 + center[1] * side
    model = BROWN if any(bent) else LENS_MODEL_BY_NAME["PINHOLE"]
    lens = Lens(model, header.width, header.height, (focal * side,) * 2, middle, bent if any(bent) else ())
    if problem := lens_problem(lens):
        raise error(path, place, problem)
    return lens


def _rotation(yaw: float, pitch: float, roll: float) -> Matrix:
    """About z, then x, then y, in degrees: camera axes x right, y up, z backward to the world's."""
    (a, b, c), (p, q, r) = np.cos(np.radians([yaw, pitch, roll])), np.sin(np.radians([yaw, pitch, roll]))
    about_z = np.array([[a, -p, 0], [p, a, 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, b, -q], [0, q, b]])
    about_y = np.array([[c, 0, r], [0, 1, 0], [-r, 0, c]])
    turned: Matrix = about_z @ about_x @ about_y
    return turned
