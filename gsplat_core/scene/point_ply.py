"""Sparse points from a PLY file, as other programs leave them beside a model (`points3D.ply`).

Taken are the vertices of any legal PLY, text or binary: x, y, z as any type of number, and red, green, blue
as bytes, 16 bits or numbers in [0, 1]; everything else in the file is skipped.
"""

from __future__ import annotations

import warnings as python_warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gsplat_core.errors import DataError
from gsplat_core.io.format import DataWarning
from gsplat_core.io.ply_body import check_size, read_columns
from gsplat_core.io.ply_header import PlyElement, read_header
from gsplat_core.io.source import open_regular
from gsplat_core.scene.origin import left_out_points, usable_points

# What a point without a colour gets.
_GREY = 128
# Usual names of such files, in small letters.
_NAMES = ["points3d.ply", "sparse.ply", "sparse_pc.ply"]
_COLORS = [
    ("red", "green", "blue"),
    ("r", "g", "b"),
    ("diffuse_red", "diffuse_green", "diffuse_blue"),
]


def find_point_ply(folders: list[Path]) -> Path | None:
    """The first file by one of the usual names."""
    for folder in folders:
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        for name in _NAMES:
            for file in files:
                if file.name.lower() == name and file.is_file():
                    return file
    return None


def read_point_ply(
    path: Path, warnings: list[str], strict: bool = False
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    """[P, 3] coordinates and [P, 3] colours. Points that cannot be are left out.

    Raises:
        DataError: the file cannot be opened, is damaged, or has no vertices with coordinates; or `strict` and
            a point cannot be.
    """
    with open_regular(path) as file:
        header = read_header(file, path)
        vertex = header.element("vertex")
        if vertex is None or not {"x", "y", "z"} <= vertex.scalars.keys():
            raise DataError(path, "has no vertices with x, y and z", remedy="Export the points again.")
        if vertex.lists:
            raise DataError(
                path, f"the vertices have a list property {min(vertex.lists)[:40]!r}", f"line {vertex.line}"
            )
        with python_warnings.catch_warnings(record=True) as seen:
            python_warnings.simplefilter("always", DataWarning)
            check_size(file, header, vertex, path, "points")
            names = _color_names(vertex)
            columns = {name: np.empty(vertex.count) for name in ("x", "y", "z", *names)}
            read_columns(file, header, vertex, columns, path, "points")
    warnings += [str(warning.message) for warning in seen]
    xyz = np.stack([columns[name] for name in "xyz"], axis=1)
    if names:
        rgb = _bytes(
            np.stack([columns[name] for name in names], axis=1), [vertex.scalars[name] for name in names]
        )
    else:
        rgb = np.full((vertex.count, 3), _GREY, np.uint8)
        warnings.append(f"{path}: its points have no colours; they begin grey.")
    usable = usable_points(xyz)
    if not usable.all():
        sentence = left_out_points(usable)
        if strict:
            raise DataError(path, sentence.removesuffix("."))
        warnings.append(f"{path}: {sentence}")
    if not usable.any():
        warnings.append(f"{path} has no usable points.")
    return xyz[usable], rgb[usable]


def _color_names(vertex: PlyElement) -> tuple[str, ...]:
    return next((names for names in _COLORS if set(names) <= vertex.scalars.keys()), ())


def _bytes(colors: npt.NDArray[np.float64], codes: list[str]) -> npt.NDArray[np.uint8]:
    """Colours [P, 3] of PLY types as bytes. Floats are parts of 1, unless one is larger."""
    colors = np.nan_to_num(colors, nan=0, posinf=255, neginf=0)
    if codes[0] in ("f4", "f8") and (not len(colors) or colors.max() <= 1):
        colors = 255 * colors
    elif codes[0] == "u2" and len(colors) and colors.max() > 255:
        colors = colors / 257
    return np.round(colors).clip(0, 255).astype(np.uint8)
