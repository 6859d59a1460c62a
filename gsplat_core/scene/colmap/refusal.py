"""The message for a camera model that cannot be used, shared by both file formats."""

from __future__ import annotations

from pathlib import Path

from gsplat_core.errors import DataError
from gsplat_core.scene.lens import LENS_MODELS, REFUSED_LENS_MODELS


class UnsupportedModelError(DataError):
    """A camera model that exists but that this program does not know how to use."""


def unsupported_model(path: Path, place: str, model: int | str) -> DataError:
    """For a model number or name that is not in LENS_MODELS."""
    name = REFUSED_LENS_MODELS.get(model) if isinstance(model, int) else model
    if name in REFUSED_LENS_MODELS.values():
        problem = f"camera model {name} is not supported"
    elif name is not None:
        problem = f"unknown camera model {name!r}"
    else:
        problem = f"unknown camera model number {model}"
    supported = ", ".join(row.name for row in LENS_MODELS)
    kind = UnsupportedModelError if name in REFUSED_LENS_MODELS.values() else DataError
    return kind(
        path,
        problem,
        place,
        f"Supported are {supported}. `colmap image_undistorter` turns any model into PINHOLE; "
        "an unknown number may also mean that the file is damaged.",
    )
