"""Raw data of Polycam (export "Raw data" in developer mode): `keyframes`, with a .json for each photograph.

    keyframes/images/NAME.jpg              keyframes/cameras/NAME.json
    keyframes/corrected_images/NAME.jpg    keyframes/corrected_cameras/NAME.json, after bundle adjustment

A .json has the intrinsics fx, fy, cx, cy for width x height, and the camera-to-world matrix row by row, t_00
to t_23, in ARKit's axes: of the camera x right, y up and z backward, of the world y up. The corrected folders
are taken where they are there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gsplat_core.errors import DataError
from gsplat_core.scene.capture import Capture, Shot
from gsplat_core.scene.capture_values import error, number, read_object, viewmat
from gsplat_core.scene.colmap.check import lens_problem
from gsplat_core.scene.images import IMAGE_ENDINGS
from gsplat_core.scene.lens import LENS_MODEL_BY_NAME, Lens
from gsplat_core.scene.rejects import Rejects

_FOLDERS = [("corrected_images", "corrected_cameras"), ("images", "cameras")]


def find(folder: Path) -> Path | None:
    """The folder `keyframes`, which may be the one that was named."""
    for place in (folder / "keyframes", folder):
        if _folders(place) is not None:
            return place
    return None


def _folders(keyframes: Path) -> tuple[Path, Path] | None:
    for images, cameras in _FOLDERS:
        if (keyframes / images).is_dir() and any((keyframes / cameras).glob("*.json")):
            return keyframes / images, keyframes / cameras
    return None


def read(keyframes: Path, strict: bool) -> Capture:
    """
    Raises:
        DataError: a file cannot be used, and strict, or most cannot.
    """
    folders = _folders(keyframes)
    assert folders is not None
    images, cameras = folders
    warnings: list[str] = []
    shots: list[Shot] = []
    rejects = Rejects(cameras, "cameras", strict, least=2)
    photographs = {path.stem: path.name for path in sorted(images.iterdir()) if _is_image(path)}
    for file in sorted(cameras.glob("*.json")):
        try:
            shots.append(_shot(file, photographs.get(file.stem, f"{file.stem}.jpg")))
        except DataError as problem:
            rejects.add(problem)
    rejects.finish(len(shots), warnings)
    return Capture(cameras, shots, warnings=warnings, image_root=images)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_ENDINGS


def _shot(file: Path, name: str) -> Shot:
    values = read_object(file)
    fx, fy, cx, cy = (number(file, key, values.get(key)) for key in ("fx", "fy", "cx", "cy"))
    width, height = (round(number(file, key, values.get(key))) for key in ("width", "height"))
    lens = Lens(LENS_MODEL_BY_NAME["PINHOLE"], width, height, (fx, fy), (cx, cy), ())
    if problem := lens_problem(lens):
        raise error(file, "fx, fy, cx, cy, width, height", problem)
    rows: list[list[Any]] = [[values.get(f"t_{i}{j}") for j in range(4)] for i in range(3)]
    return Shot(name, lens, viewmat(file, "t_00 to t_23", rows))
