"""Leaves out the cameras, images and points of a model that cannot be used, and says why."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np

from gsplat_core.errors import DataError
from gsplat_core.scene.colmap.model import RegisteredImage, SparseModel
from gsplat_core.scene.lens import Lens

# Wider than any sensor or stitched panorama; a larger number comes from a damaged file.
LARGEST_SIDE = 1_000_000


def without_unusable(model: SparseModel) -> SparseModel:
    """The model without cameras and images that make no sense.

    Raises:
        DataError: fewer than two images are left, or an image's name leaves the image folder.
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
            reasons.append(f"{printable(image.name)!r} is left out: {reason}")
        else:
            names.add(image.name)
            images.append(image)
    warnings += [f"{model.folder}: image {reason}." for reason in reasons]
    if len(images) < 2:
        listing = "; ".join(reasons[:5]) + (f"; and {len(reasons) - 5} more" if len(reasons) > 5 else "")
        raise DataError(
            model.folder,
            f"{len(images)} usable images of {len(model.images)}, at least 2 are needed"
            + (f" ({listing})" if listing else ""),
            remedy="Run COLMAP again on more photos that overlap, or repair the model.",
        )

    points = model.points
    finite = np.asarray(np.isfinite(points.xyz).all(axis=1))
    if not finite.all():
        warnings.append(
            f"{model.folder}: {np.sum(~finite)} 3D points without finite coordinates are left out."
        )
        points = points.subset(finite)
    lenses = {number: lens for number, lens in model.lenses.items() if number not in bad_lenses}
    return replace(model, lenses=lenses, images=images, points=points, warnings=warnings)


def lens_problem(lens: Lens) -> str:
    """Why these intrinsics cannot be used; empty when they can."""
    if not (0 < lens.width <= LARGEST_SIDE and 0 < lens.height <= LARGEST_SIDE):
        return f"its images are {lens.width} x {lens.height} pixels"
    if not np.isfinite([*lens.focal, *lens.center, *lens.coefficients]).all():
        return f"{lens.model.name} with parameters that are not finite numbers"
    if min(lens.focal) <= 0:
        return f"its focal length is {lens.focal[0]:g} x {lens.focal[1]:g} pixels"
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
