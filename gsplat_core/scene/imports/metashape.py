"""Cameras of Agisoft Metashape (File, Export, Export Cameras): an .xml beside the photographs or their
folder.

A camera has a 4 x 4 matrix from its own axes (x right, y down, z forward) to those of its chunk; the chunk's
transform, or that of the camera's component, goes on from there to the project's coordinates: rotation,
translation and scale. A sensor has f, an offset (cx, cy) of the principal point from the middle of the image,
the affinity b1 and skew b2, and Brown's k1 to k4, p1 and p2, in which Metashape's P1 is OpenCV's p2 and the
other way around (Metashape manual, appendix "Camera models"). Its fisheye is OpenCV's, but for p1 and p2.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from gsplat_core.errors import DataError
from gsplat_core.scene.cameras import Matrix
from gsplat_core.scene.capture import Capture, Shot
from gsplat_core.scene.capture_values import OPENCV, error, number_of, viewmat
from gsplat_core.scene.colmap.check import impossible_name, lens_problem
from gsplat_core.scene.lens import BROWN, EQUIRECTANGULAR, LENS_MODEL_BY_NAME, Lens
from gsplat_core.scene.rejects import Rejects

_FIRST = 4096  # bytes in which a document of Metashape tells that it is one


def find(folder: Path) -> Path | None:
    """The first .xml of the folder that holds chunks of Metashape."""
    return next((path for path in sorted(folder.glob("*.xml")) if _is_metashapes(path)), None)


def _is_metashapes(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            begin = file.read(_FIRST)
    except OSError:
        return False
    return b"<document" in begin and b"<chunk" in begin


def read(path: Path, strict: bool) -> Capture:
    """The cameras that were aligned; others are counted.

    Raises:
        DataError: not such a file, or a value in it cannot be used.
    """
    warnings: list[str] = []
    chunks = _parsed(path).findall("chunk")
    chunk = max(chunks, key=lambda chunk: len(chunk.findall("cameras//camera/transform")), default=None)
    if chunk is None:
        raise error(path, "document", "has no chunk")
    if len(chunks) > 1:
        warnings.append(f"{path}: of {len(chunks)} chunks the one with the most aligned cameras is used.")
    lenses = {_of(path, sensor, "id"): sensor for sensor in chunk.findall("sensors/sensor")}
    known: dict[str, Lens] = {}
    shots: list[Shot] = []
    unaligned = 0
    rejects = Rejects(path, "cameras", strict, least=2)
    # Cameras of a group are one level deeper.
    for camera in chunk.findall("cameras//camera"):
        if camera.find("transform") is None:
            unaligned += 1
            continue
        try:
            sensor = _of(path, camera, "sensor_id")
            if sensor not in lenses:
                raise error(path, _place(camera), f"there is no sensor {sensor!r}")
            if sensor not in known:
                known[sensor] = _lens(path, lenses[sensor])
            shots.append(_shot(path, chunk, camera, known[sensor]))
        except DataError as problem:
            rejects.add(problem)
    if unaligned:
        warnings.append(f"{path}: {unaligned} cameras are not aligned and are left out.")
    if not shots and not rejects.count:
        raise error(path, "cameras", "none of the cameras is aligned")
    rejects.finish(len(shots), warnings)
    return Capture(path, shots, warnings=warnings)


def _parsed(path: Path) -> Element:
    try:
        return ElementTree.parse(path).getroot()
    except ElementTree.ParseError as problem:
        raise DataError(path, f"is not XML: {problem}", remedy="Export the cameras again.") from problem
    except OSError as problem:
        raise DataError(path, f"cannot be read: {problem.strerror or problem}") from problem


def _place(camera: Element) -> str:
    return f"camera {camera.get('label', camera.get('id', '?'))}"


def _of(path: Path, element: Element, name: str) -> str:
    value = element.get(name)
    if value is None:
        raise error(path, element.tag, f"has no {name}")
    return value


def _numbers(path: Path, place: str, text: str | None, shape: tuple[int, ...]) -> Matrix:
    words = (text or "").split()
    if len(words) != np.prod(shape):
        raise error(path, place, f"must have {np.prod(shape)} numbers, has {len(words)}")
    return np.array([number_of(path, place, word) for word in words]).reshape(shape)


def _lens(path: Path, sensor: Element) -> Lens:
    place = f"sensor {sensor.get('label', sensor.get('id'))}"
    kind = sensor.get("type", "frame")
    # The adjusted calibration comes after the initial one, where both are there.
    calibration = next(iter(reversed(sensor.findall("calibration"))), None)
    size = sensor.find("resolution")
    if size is None:
        raise error(path, place, "has no resolution")
    width, height = (int(number_of(path, place, size.get(side))) for side in ("width", "height"))
    if kind == "spherical":
        lens = Lens(
            EQUIRECTANGULAR, width, height,
            (width / (2 * np.pi), height / np.pi), (width / 2, height / 2), (),
        )  # fmt: skip
    elif calibration is None:
        raise error(path, place, "has no calibration: its cameras were not aligned")
    elif kind in ("frame", "fisheye"):
        lens = _calibrated(path, place, kind, calibration, width, height)
    else:
        raise error(path, place, f"the type {kind[:40]!r} is not supported; frame, fisheye and spherical are")
    if problem := lens_problem(lens):
        raise error(path, place, problem)
    return lens


def _calibrated(path: Path, place: str, kind: str, calibration: Element, width: int, height: int) -> Lens:
    def value(name: str) -> float:
        found = calibration.find(name)
        return 0.0 if found is None else number_of(path, f"{place}, {name}", found.text)

    f, b1, b2 = value("f"), value("b1"), value("b2")
    if b2:
        raise error(path, f"{place}, b2", f"pixels are skewed ({b2:g}), which no camera here has")
    radial, p1, p2 = [value(f"k{i}") for i in range(1, 5)], value("p2"), value("p1")
    focal, center = (f + b1, f), (width / 2 + value("cx"), height / 2 + value("cy"))
    if kind == "fisheye":
        if p1 or p2:
            raise error(path, f"{place}, p1, p2", "a fisheye lens with decentering is not supported")
        return Lens(LENS_MODEL_BY_NAME["OPENCV_FISHEYE"], width, height, focal, center, tuple(radial))
    if any((*radial, p1, p2)):
        return Lens(BROWN, width, height, focal, center, (*radial, p1, p2))
    return Lens(LENS_MODEL_BY_NAME["PINHOLE"], width, height, focal, center, ())


def _shot(path: Path, chunk: Element, camera: Element, lens: Lens) -> Shot:
    place, name = _place(camera), _of(path, camera, "label").replace("\\", "/")
    if problem := impossible_name(name):
        raise error(path, place, problem)
    transform = camera.find("transform")
    assert transform is not None
    pose = _numbers(path, f"{place}, transform", transform.text, (4, 4))
    rotation, translation, scale = _world(path, chunk, camera)
    pose[:3, 3] = scale * rotation @ pose[:3, 3] + translation
    pose[:3, :3] = rotation @ pose[:3, :3]
    return Shot(name, lens, viewmat(path, f"{place}, transform", pose.tolist(), OPENCV))


def _world(path: Path, chunk: Element, camera: Element) -> tuple[Matrix, Matrix, float]:
    """Rotation, translation and scale from where a camera's matrix leads to the project's coordinates."""
    component = camera.get("component_id")
    components = chunk.findall("components/component")
    found = next((part for part in components if part.get("id") == component), chunk)
    transform = found.find("transform")
    if transform is None:
        return np.eye(3), np.zeros(3), 1.0
    place = f"{found.tag} {found.get('id', '')}, transform"
    parts = {part.tag: part.text for part in transform}
    rotation = _numbers(path, place, parts["rotation"], (3, 3)) if "rotation" in parts else np.eye(3)
    translation = _numbers(path, place, parts["translation"], (3,)) if "translation" in parts else np.zeros(3)
    scale = number_of(path, place, parts["scale"]) if "scale" in parts else 1.0
    if scale <= 0:
        raise error(path, place, f"the scale must be positive, not {scale:g}")
    return rotation, translation, scale
