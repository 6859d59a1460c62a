"""The programs whose exports are read. To add one: write its file, and its line here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gsplat_core.scene.capture import Capture
from gsplat_core.scene.imports import metashape, polycam, realitycapture, scannetpp
from gsplat_core.scene.point_ply import find_point_ply, read_point_ply


class Import(NamedTuple):
    """
    Args:
        program: what a person calls it.
        find: the file or folder inside a capture's folder that says how the photographs were taken, or None.
        read: the capture of that; with `strict`, the first record that cannot be used is an error.
    """

    program: str
    find: Callable[[Path], Path | None]
    read: Callable[[Path, bool], Capture]


# In the order in which they are looked for.
IMPORTS = [
    Import("ScanNet++", scannetpp.find, scannetpp.read),
    Import("Polycam", polycam.find, polycam.read),
    Import("Metashape", metashape.find, metashape.read),
    Import("RealityCapture", realitycapture.find, realitycapture.read),
]


def find_import(folder: Path) -> tuple[Import, Path] | None:
    """Which program exported a folder, and what of it is to be read; None where none of them did."""
    for program in IMPORTS:
        if folder.is_dir() and (found := program.find(folder)) is not None:
            return program, found
    return None


def with_points(capture: Capture, folder: Path, strict: bool) -> Capture:
    """The capture with the points of a .ply of a usual name, where it has none of its own.

    Raises:
        DataError: the file cannot be used.
    """
    if len(capture.xyz):
        return capture
    file = find_point_ply([capture.source if capture.source.is_dir() else capture.source.parent, folder])
    if file is None:
        capture.warnings.append(f"{capture.source} has no 3D points: training starts from random ones.")
        return capture
    capture.xyz, capture.rgb = read_point_ply(file, capture.warnings, strict)
    capture.warnings.append(f"Points are those of {file}.")
    return capture
