"""Finds the maps of depths or normals that belong to photographs: one file for each, called like it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from gsplat_core.errors import DataError
from gsplat_core.scene.photos import walk, without_ending

ENDINGS = (".npy", ".tif", ".tiff", ".png", ".geometric.bin", ".photometric.bin", ".exr")
"""Of files that are maps; of two for one photograph, the one that comes first here is taken."""


def find_maps(folder: Path, names: Sequence[str], kind: str) -> dict[str, Path]:
    """The maps' files by the names of their photographs, of those that have one.

    The map of `a.jpg` is `a.npy`, `a_KIND.npy` or `a.jpg.npy`, or has another of `ENDINGS`; that of
    `images/a.jpg` may also lie in the folder itself, if no two photographs are called alike then.

    Args:
        names: of the photographs, below their folder.
        kind: what the maps are of, in the singular: "depth" or "normal".

    Raises:
        DataError: the folder does not exist, has no map for any photograph, or one for several of them.
    """
    if not folder.is_dir():
        raise DataError(folder, f"the folder of {kind} maps does not exist", remedy="Check the path.")
    files = _by_name(folder)
    found: dict[str, Path] = {}
    owners: dict[Path, str] = {}
    for name in names:
        path = next((files[key] for key in _keys(name, kind) if key in files), None)
        if path is None:
            continue
        if path in owners:
            raise DataError(
                path,
                f"this {kind} map fits two photographs, {owners[path]!r} and {name!r}",
                remedy="Put maps into folders like those of the photographs.",
            )
        found[name], owners[path] = path, name
    if not found:
        there = next(walk(folder), None)
        holds = "is empty" if there is None else f"holds {os.fspath(there.relative_to(folder))!r}"
        stem = Path(names[0]).stem
        raise DataError(
            folder,
            f"this folder has no {kind} map for any photograph: it {holds}, a photograph is called "
            f"{names[0]!r}",
            remedy=f"Call its map {stem + '.npy'!r}, {stem + '.png'!r} or {stem + '.tif'!r}.",
        )
    return found


def _by_name(folder: Path) -> dict[str, Path]:
    """Files that are maps by their paths in the folder, in small letters and without ending."""
    ranked = []
    for path in walk(folder):
        name = path.relative_to(folder).as_posix().lower()
        rank = next((rank for rank, ending in enumerate(ENDINGS) if name.endswith(ending)), None)
        if rank is not None:
            ranked.append((rank, name.removesuffix(ENDINGS[rank]), path))
    return {name: path for _, name, path in sorted(ranked, reverse=True)}


def _keys(name: str, kind: str) -> list[str]:
    """What the map of a photograph may be called, the best first."""
    whole = Path(name.replace("\\", "/"))
    places = [whole, *(whole.relative_to(folder) for folder in reversed(whole.parents[:-1]))]
    keys = []
    for place in dict.fromkeys(places):
        stem = without_ending(place)
        keys += [stem, f"{stem}_{kind}", place.as_posix().lower()]
    return keys
