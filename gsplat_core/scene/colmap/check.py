"""Leaves out the cameras, images and points of a model that cannot be used, and says why."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np

from gsplat_core.errors import DataError
from gsplat_core.scene.colmap.model import RegisteredImage, SparseModel
from gsplat_core.scene.lens import Lens
from gsplat_core.scene.origin import LARGEST_COORDINATE, left_out_points, usable_points

# Wider than any sensor or stitched panorama; a larger number comes from a damaged file.
LARGEST_SIDE = 1_000_000
# Focal lengths and centres in pixels: no telescope has more.
_LARGEST_FOCAL = 1e9
# Of distortion, in units of the focal length: those of telescopes have six digits at most.
_LARGEST_COEFFICIENT = 1e9
# What Linux file systems hold: bytes of a part of a path, and of all of it with room for the folder before.
_LONGEST_PART = 255
_LONGEST_NAME = 2048
# Reasons that a warning lists before it only counts.
_LISTED = 5


def without_unusable(model: SparseModel, strict: bool = False) -> SparseModel:
    """The model without cameras, images and points that make no sense.

    Raises:
        DataError: fewer than two images are left, an image's name leaves the image folder, or `strict` and
            anything would be left out.
    """
    warnings = list(model.warnings)
    bad_lenses = {number: reason for number, lens in model.lenses.items() if (reason := lens_problem(lens))}
    for number, reason in bad_lenses.items():
        warnings.append(f"{model.folder}: camera {number} is left out: {reason}.")

    images: list[RegisteredImage] = []
    reasons: list[str] = []
    names: set[str] = set()
    for image in model.images:
        check_name(model, image.name)
        reason = _image_problem(image, model.lenses, bad_lenses)
        if not reason and image.name in names:
            reason = "another image has the same name"
        if reason:
            reasons.append(f"{printable(image.name)[:_LONGEST_PART]!r} is left out: {reason}")
        else:
            names.add(image.name)
            images.append(image)
    listing = "; ".join(reasons[:_LISTED]) + (
        f"; and {len(reasons) - _LISTED} more" if len(reasons) > _LISTED else ""
    )
    if len(images) < 2:
        raise DataError(
            model.folder,
            f"{len(images)} usable images of {len(model.images)}, at least 2 are needed"
            + (f" ({listing})" if listing else ""),
            remedy="Run COLMAP again on more photos that overlap, or repair the model.",
        )
    if reasons:
        warnings.append(f"{model.folder}: {len(reasons)} of {len(model.images)} images: {listing}.")

    points = model.points
    usable = usable_points(points.xyz)
    if not usable.all():
        warnings.append(f"{model.folder}: {left_out_points(usable)}")
        points = points.subset(usable)
    if strict and len(warnings) > len(model.warnings):
        raise DataError(model.folder, warnings[len(model.warnings)].removeprefix(f"{model.folder}: ")[:-1])
    lenses = {number: lens for number, lens in model.lenses.items() if number not in bad_lenses}
    return replace(model, lenses=lenses, images=images, points=points, warnings=warnings)


def lens_problem(lens: Lens) -> str:
    """Why these intrinsics cannot be used; empty when they can."""
    if not (0 < lens.width <= LARGEST_SIDE and 0 < lens.height <= LARGEST_SIDE):
        return f"its images are {lens.width:.12g} x {lens.height:.12g} pixels"
    if not np.isfinite([*lens.focal, *lens.center, *lens.coefficients]).all():
        return f"{lens.model.name} with parameters that are not finite numbers"
    if not 0 < min(lens.focal) <= max(lens.focal) <= _LARGEST_FOCAL:
        return f"its focal length is {lens.focal[0]:g} x {lens.focal[1]:g} pixels"
    if max(map(abs, lens.coefficients), default=0) > _LARGEST_COEFFICIENT:
        return f"{lens.model.name} with coefficients up to {max(map(abs, lens.coefficients)):g}"
    if max(map(abs, lens.center)) > _LARGEST_FOCAL:
        return f"its principal point is at ({lens.center[0]:g}, {lens.center[1]:g})"
    return ""


def _image_problem(image: RegisteredImage, lenses: dict[int, Lens], bad_lenses: dict[int, str]) -> str:
    if image.camera_id in bad_lenses:
        return f"its camera {image.camera_id} is unusable, {bad_lenses[image.camera_id]}"
    if image.camera_id not in lenses:
        return f"camera {image.camera_id} is not in the model"
    if not (np.isfinite(image.quaternion).all() and np.isfinite(image.translation).all()):
        return "its pose has numbers that are not finite"
    with np.errstate(over="ignore", under="ignore"):
        length = np.linalg.norm(image.quaternion)
    if not (1e-100 < length < 1e100):
        return f"its rotation quaternion has length {length:g}"
    if np.abs(image.translation).max() > LARGEST_COORDINATE:
        return f"its position is farther than {LARGEST_COORDINATE:g} from the origin"
    return impossible_name(image.name)


def impossible_name(name: str) -> str:
    """Why no file can have this name; empty when one can."""
    try:
        data = os.fsencode(name.replace("\\", "/"))
    except UnicodeEncodeError:
        return "its name has characters that no file's name can have"
    if len(data) >= _LONGEST_NAME or max(map(len, data.split(b"/"))) > _LONGEST_PART:
        return f"its name has {len(data)} bytes, more than a file's name can have"
    return ""


def check_name(model: SparseModel, name: str) -> None:
    """Refuses names that would reach outside the image folder.

    Raises:
        DataError: as path_leaves_folder says.
    """
    if path_leaves_folder(name):
        raise DataError(
            model.folder,
            f"the image name {printable(name)!r} is not a path inside the image folder",
            remedy="Names must be relative to the image folder; correct the model.",
        )


def path_leaves_folder(name: str) -> bool:
    """Whether a name is empty, absolute, has a drive letter or a zero byte, or climbs out with ".."."""
    path = PurePosixPath(name.replace("\\", "/"))
    depth = 0
    leaves = False
    for part in path.parts:
        depth += -1 if part == ".." else 1
        leaves |= depth < 0
    return (
        path.is_absolute() or re.match(r"[A-Za-z]:", name) is not None or "\0" in name or leaves or depth <= 0
    )


def printable(name: str) -> str:
    """The name with bytes that are not UTF-8 replaced, safe to print."""
    return name.encode("utf-8", "replace").decode("utf-8")
