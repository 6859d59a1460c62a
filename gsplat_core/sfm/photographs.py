"""Finds the photographs of a folder, which is not changed, and lays them out for COLMAP."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from gsplat_core.errors import DataError, UsageError
from gsplat_core.io.atomic import atomic_path
from gsplat_core.io.links import make_folder
from gsplat_core.scene.colmap import find_models
from gsplat_core.scene.images import IMAGE_ENDINGS, decode, read_exif, read_header
from gsplat_core.scene.imports.registry import find_import
from gsplat_core.scene.mask_files import MaskIndex
from gsplat_core.scene.masks import MASK_FOLDERS, read_mask
from gsplat_core.scene.photos import IMAGE_FOLDERS, walk
from gsplat_core.scene.transforms import find_transforms
from gsplat_core.sfm.settings import SingleCamera

# What COLMAP's reader opens; others are converted.
_AS_THEY_ARE = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".ppm"}
# Files that are photographs to people, for the message.
_UNREAD_ENDINGS = {".heic", ".heif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".jxl"}
_BESIDE = {*MASK_FOLDERS, "depth", "depths", "normals"}
# A folder with one of these is meant to be a capture with poses, whatever is wrong with it.
_POSES = ("sparse", "colmap", "database.db")
_EARTH = 6_371_000.0  # metres
_GPS, _EXIF = 0x8825, 0x8769
_MAKER, _MODEL, _FOCAL, _FOCAL_35 = 0x010F, 0x0110, 0x920A, 0xA405


@dataclass(frozen=True)
class Photograph:
    """A photograph that can be read.

    Attributes:
        path: where it is.
        name: of its file where it is laid out; what COLMAP's lists cannot hold, such as spaces, is _.
        width, height: in pixels, as stored.
        lens: maker, model and focal length from its EXIF data, empty where they do not say.
        place: latitude and longitude in degrees and altitude in metres; NaN where unknown.
        mask: the file of its mask, if there is one.
    """

    path: Path
    name: str
    width: int
    height: int
    lens: str = ""
    place: tuple[float, float, float] = (np.nan, np.nan, np.nan)
    mask: Path | None = None

    @property
    def version(self) -> list[int]:
        """Changes when its file or that of its mask does."""
        files = [path.stat() for path in (self.path, self.mask) if path is not None]
        return [number for status in files for number in (status.st_size, status.st_mtime_ns)]


def find_photographs(folder: Path, warnings: list[str]) -> list[Photograph]:
    """Those of the first of the usual folders that has any, in the order of their names.

    Raises:
        DataError: there are fewer than two.
    """
    root = _image_root(folder) or folder
    paths = list(_image_files(root))
    unread = list(_unread(folder))
    if unread:
        warnings.append(
            f"{folder}: {len(unread)} files such as {unread[0].name!r} are of a kind that is not read; they "
            "are left out. Convert them to JPEG."
        )
    masks = next((MaskIndex(place, root) for place in _mask_places(folder, root)), None)
    with ThreadPoolExecutor(min(16, 2 * (os.cpu_count() or 1))) as pool:
        looked = list(pool.map(lambda path: _looked_at(path, masks), paths))
    names = _names([path.relative_to(root) for path in paths])
    found = []
    for made, name in zip(looked, names, strict=True):
        if isinstance(made, DataError):
            warnings.append(f"{made} The photograph is left out.")
        else:
            found.append(made(name))
    if len(found) < 2:
        raise DataError(
            folder,
            "there is one photograph in it" if found else "there are no photographs in it",
            remedy="Poses are found from at least two, better 30 or more, that overlap"
            + (f"; convert the {len(unread)} of a kind that is not read to JPEG." if unread else "."),
        )
    return sorted(found, key=lambda photograph: photograph.name)


def lack_poses(folder: Path) -> bool:
    """Whether a folder has photographs, and nothing that might say where they were taken from."""
    if any((folder / name).exists() for name in _POSES):
        return False
    if find_models(folder) or find_transforms(folder) or find_import(folder):
        return False
    return _image_root(folder) is not None or any(True for _ in _unread(folder))


def _image_root(folder: Path) -> Path | None:
    """The first of the usual folders that has photographs."""
    return next(
        (folder / name for name in IMAGE_FOLDERS if any(True for _ in _image_files(folder / name))), None
    )


def _image_files(root: Path) -> Iterator[Path]:
    for path in walk(root):
        if path.suffix.lower() in IMAGE_ENDINGS and path.relative_to(root).parts[0].lower() not in _BESIDE:
            yield path


def _unread(folder: Path) -> Iterator[Path]:
    """Photographs of a kind that is not read."""
    return (path for path in walk(folder) if path.suffix.lower() in _UNREAD_ENDINGS)


def _mask_places(folder: Path, root: Path) -> Iterator[Path]:
    for base in dict.fromkeys((folder, root.parent, root)):
        yield from (base / name for name in MASK_FOLDERS if any(True for _ in walk(base / name)))


def _looked_at(path: Path, masks: MaskIndex | None) -> Callable[[str], Photograph] | DataError:
    try:
        header = read_header(path)
    except DataError as error:
        return error
    exif = Image.Exif()
    with suppress(DataError):  # damaged EXIF data say nothing, and the photograph is still one
        exif = read_exif(path)
    lens, place = _lens(exif), _place(exif)
    mask = None if masks is None else masks.find(path)
    return lambda name: Photograph(path, name, header.width, header.height, lens, place, mask)


def _names(paths: list[Path]) -> list[str]:
    """One for each, which is told apart also where capital letters are no others."""
    taken: set[str] = set()
    names = []
    for path in paths:
        ending = path.suffix if path.suffix.lower() in _AS_THEY_ARE else ".png"
        stem = re.sub(r"[^\w./-]|\.\.", "_", path.with_suffix("").as_posix(), flags=re.ASCII)
        name, number = stem + ending, 1
        while name.lower() in taken:
            number += 1
            name = f"{stem}_{number}{ending}"
        taken.add(name.lower())
        names.append(name)
    return names


def _lens(exif: Image.Exif) -> str:
    with suppress(Exception):  # EXIF data hold whatever somebody wrote
        inner = exif.get_ifd(_EXIF)
        parts = [exif.get(_MAKER), exif.get(_MODEL), inner.get(_FOCAL), inner.get(_FOCAL_35)]
        return "|".join(str(part or "").strip() for part in parts).strip("|")
    return ""


def _place(exif: Image.Exif) -> tuple[float, float, float]:
    with suppress(Exception):
        gps = exif.get_ifd(_GPS)
        latitude, longitude = _degrees(gps[2], gps[1], "S"), _degrees(gps[4], gps[3], "W")
        altitude = float(gps.get(6, 0.0))
        if abs(latitude) <= 90 and abs(longitude) <= 180 and abs(altitude) < 1e5:
            return latitude, longitude, altitude
    return (np.nan, np.nan, np.nan)


def _degrees(parts: Any, side: Any, negative: str) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    value = degrees + minutes / 60 + seconds / 3600
    return -value if str(side).upper().startswith(negative) else value


def positions(photographs: list[Photograph]) -> npt.NDArray[np.float64] | None:
    """[N, 3] metres to the east, to the north and up, NaN where unknown; None where none is known."""
    places = np.array([photograph.place for photograph in photographs])
    known = np.isfinite(places).all(axis=1)
    if not known.any():
        return None
    middle = places[known].mean(axis=0)
    angles = np.radians(places[:, :2] - middle[:2])
    east = _EARTH * np.cos(np.radians(middle[0])) * angles[:, 1]
    return np.stack([east, _EARTH * angles[:, 0], places[:, 2] - middle[2]], axis=1)


def cameras_of(photographs: list[Photograph], shared: SingleCamera) -> list[list[str]]:
    """The names of photographs that one camera took, by camera.

    Raises:
        UsageError: all shall have one, and are of different sizes.
    """
    sizes = Counter((photograph.width, photograph.height) for photograph in photographs)
    if shared == "yes" and len(sizes) > 1:
        listing = ", ".join(f"{count} of {w} x {h}" for (w, h), count in sizes.most_common(4))
        raise UsageError(
            f"--single-camera yes: the photographs have different sizes ({listing}). Leave it out: those of "
            "one size share a camera."
        )
    groups: dict[tuple[object, ...], list[str]] = {}
    for photograph in photographs:
        size = photograph.width, photograph.height
        key: tuple[object, ...] = {
            "yes": (),
            "no": (photograph.name,),
            "folder": (*size, os.path.dirname(photograph.name)),
            "auto": (*size, photograph.lens),
        }[shared]
        groups.setdefault(key, []).append(photograph.name)
    return list(groups.values())


def lay_out(photographs: list[Photograph], images: Path, masks: Path) -> None:
    """Makes folders of the photographs and their masks: hard links where that is possible, or else copies.

    What COLMAP does not read is converted to PNG; so are masks, white where they keep.

    Raises:
        DataError: a photograph that is converted, or a mask, cannot be read.
        ResourceError: a file cannot be written.
    """
    for photograph in photographs:
        target = images / photograph.name
        if not target.exists():
            make_folder(target.parent, images)
            if photograph.path.suffix.lower() in _AS_THEY_ARE:
                _linked(photograph.path, target)
            else:
                _written(decode(photograph.path, "keep"), target)
        if photograph.mask is not None:
            kept = read_mask(photograph.mask, photograph.width, photograph.height)
            target = masks / f"{photograph.name}.png"
            make_folder(target.parent, masks)
            _written(kept.astype(np.uint8) * 255, target)


def _written(pixels: npt.NDArray[np.uint8], target: Path) -> None:
    with atomic_path(target) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG", compress_level=3)


def _linked(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another disk, a file system without links, or a file of somebody else
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
