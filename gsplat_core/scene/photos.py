"""Finds the image files that a capture names, and tells what is wrong with those that it cannot use."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gsplat_core.errors import DataError
from gsplat_core.scene.capture import Shot
from gsplat_core.scene.images import (
    IMAGE_ENDINGS,
    AlphaRule,
    ImageHeader,
    Pixels,
    decode,
    read_header,
    same_aspect,
    shrink,
)
from gsplat_core.scene.masks import MASK_FOLDERS, Kept, read_mask

# Where photographs are looked for below the scene's folder, in this order.
IMAGE_FOLDERS = ["images", "input", "image", "rgb", "."]


@dataclass(frozen=True, eq=False)
class Photo:
    """A shot whose file was found and looks sound. The shot's lens has the size that decoding will give.

    ``mask`` is the file of its mask, if it has one; with ``opaque_only`` the pixels that are more transparent
    than not are masked out, too.
    """

    shot: Shot
    path: Path
    exif_rotate: bool
    mask: Path | None = None
    opaque_only: bool = False

    @property
    def is_masked(self) -> bool:
        """Whether `kept` says anything; without reading it."""
        return self.mask is not None or self.opaque_only

    def decode(self, alpha: AlphaRule, size: tuple[int, int] | None = None) -> Pixels:
        """[H, W, 3] uint8 RGB of the lens's size; [H, W, 4] as `images.decode` says. Zero where masked out.

        Args:
            size: width and height to shrink it to; without a mask, that takes less memory than doing it
                afterwards.

        Raises:
            DataError: the file changed since it was inspected, or is damaged inside.
        """
        full = self.shot.lens.width, self.shot.lens.height
        if (kept := self.kept()) is None:
            return decode(self.path, alpha, self.exif_rotate, size, full)
        pixels = decode(self.path, alpha, self.exif_rotate, None, full) * kept[..., None]
        return pixels if size is None else shrink(pixels, *size)

    def kept(self) -> Kept | None:
        """[H, W] the mask, of the lens's size.

        Raises:
            DataError: it cannot be read.
        """
        lens, kept = self.shot.lens, None
        if self.mask is not None:
            kept = read_mask(self.mask, lens.width, lens.height, self.path if self.exif_rotate else None)
        if not self.opaque_only:
            return kept
        pixels = decode(self.path, "keep", self.exif_rotate, None, (lens.width, lens.height))
        opaque: Kept = pixels[..., 3] >= 128 if pixels.shape[2] == 4 else np.ones(pixels.shape[:2], bool)
        return opaque if kept is None else kept & opaque


def image_folder(scene: Path, shots: list[Shot], chosen: str | os.PathLike[str] | None) -> Path:
    """The folder below which the shots' names are paths: the one asked for, or the first that has any.

    Raises:
        DataError: the folder asked for does not exist, or none has any of the images.
    """
    if chosen is not None:
        for folder in (scene / chosen, Path(chosen)):
            if folder.is_dir():
                return folder
        raise DataError(
            scene / chosen, "the image folder does not exist", remedy="Name another with --images FOLDER."
        )
    for name in IMAGE_FOLDERS:
        folder = scene / name
        if any((folder / shot.name).is_file() for shot in shots):
            return folder
    if (scene / "images").is_dir():
        return scene / "images"  # perhaps all have another ending; locate() finds out
    for folder in (scene / name for name in IMAGE_FOLDERS):
        files = _Files(folder)
        if any(files.same_stem(shot.name) for shot in shots):
            return folder
    raise DataError(
        scene,
        f"none of the {len(shots)} images of the model was found, such as {shots[0].name!r}; "
        f"looked in {', '.join(IMAGE_FOLDERS)}",
        remedy="Put the photographs into images/ or name their folder (--images FOLDER).",
    )


def named_below(folder: Path, shots: list[Shot]) -> list[Shot]:
    """The shots with names that fit a folder which stands for the one that all names start with.

    A transforms.json calls its photographs `images/a.png`; with `images_4` chosen, they are `images_4/a.png`.
    """
    files = _Files(folder)
    if any((folder / shot.name).is_file() or files.same_stem(shot.name) for shot in shots):
        return shots
    first = {shot.name.partition("/")[0] for shot in shots if "/" in shot.name}
    if len(first) != 1 or not all("/" in shot.name for shot in shots):
        return shots
    return [replace(shot, name=shot.name.partition("/")[2]) for shot in shots]


def locate(folder: Path, shots: list[Shot], warnings: list[str]) -> list[tuple[Shot, Path]]:
    """The file of each shot that has one. A file of the same name with another ending counts.

    Raises:
        DataError: more than half of the files are missing.
    """
    found: list[tuple[Shot, Path]] = []
    missing: list[Shot] = []
    files = _Files(folder)
    endings: Counter[str] = Counter()
    for shot in shots:
        path = folder / shot.name
        if path.is_file():
            found.append((shot, path))
        elif (other := files.same_stem(shot.name)) is not None:
            ending = _ending(Path(shot.name))  # names without one, as in transforms.json, leave it open
            if ending and ending != _ending(other):
                endings[f"{ending} -> {_ending(other) or 'none'}"] += 1
            found.append((shot, other))
        else:
            missing.append(shot)
    for change, count in endings.items():
        warnings.append(f"{folder}: {count} images were found with another ending ({change}).")
    if missing:
        table = "; ".join(files.describe_missing(shot.name) for shot in missing[:8])
        more = f"; and {len(missing) - 8} more" if len(missing) > 8 else ""
        problem = f"{len(missing)} of {len(shots)} images of the model are missing: {table}{more}"
        if 2 * len(missing) > len(shots):
            raise DataError(folder, problem, remedy="Name the folder that holds them (--images FOLDER).")
        warnings.append(f"{folder}: {problem}. They are left out.")
    return found


class _Files:
    """The image folder's files by name without ending; read only when something is missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._by_stem: dict[str, list[Path]] | None = None

    def _index(self) -> dict[str, list[Path]]:
        if self._by_stem is None:
            self._by_stem = {}
            for path in walk(self.folder):
                self._by_stem.setdefault(without_ending(path.relative_to(self.folder)), []).append(path)
        return self._by_stem

    def same_stem(self, name: str) -> Path | None:
        matches = self._index().get(without_ending(Path(name.replace("\\", "/"))), [])
        return matches[0] if len(matches) == 1 else None

    def describe_missing(self, name: str) -> str:
        near = difflib.get_close_matches(without_ending(Path(name)), list(self._index())[:10_000], n=1)
        if not near:
            return repr(name)
        return f"{name!r} (nearest: {os.fspath(self._index()[near[0]][0].relative_to(self.folder))!r})"


def walk(folder: Path) -> Iterator[Path]:
    """The files below a folder in order, but hidden ones; none where there is no folder."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(root, name) for name in sorted(names) if not name.startswith("."))


def without_ending(path: Path) -> str:
    """The path in small letters without the ending of an image.

    Other endings stay: they belong to the name (`frame.0001`), or to what cameras and programs put beside a
    photograph (`.xmp`, `.json`), which so is never taken for it.
    """
    return os.fspath(path.with_suffix("") if _ending(path) else path).replace(os.sep, "/").lower()


def _ending(path: Path) -> str:
    return path.suffix if path.suffix.lower() in IMAGE_ENDINGS else ""


def count_unused(
    folder: Path, scene: Path, located: Iterable[tuple[Shot, Path]], warnings: list[str]
) -> None:
    """Tells how many photographs of the image folder the model does not know.

    Where that is the whole capture's folder, only those beside photographs that are known count.
    """
    known = {Path(os.path.normpath(path)) for _, path in located}
    places = {path.parent for path in known}
    whole = Path(os.path.normpath(folder))
    found = [
        path
        for path in walk(whole)
        if _ending(path) and (path.parent in places or not folder.samefile(scene))
        if path.relative_to(whole).parts[0] not in MASK_FOLDERS or path in known
    ]
    if unused := [path for path in found if path not in known]:
        warnings.append(
            f"{folder}: {len(unused)} of {len(found)} photographs are not in the model and not used, such "
            f"as {os.path.relpath(unused[0], folder)!r}."
        )


def inspect(
    located: Iterable[tuple[Shot, Path]], exif_rotate: bool, strict: bool, warnings: list[str]
) -> list[Photo]:
    """Reads the headers, in parallel, and fits each lens to the size of the file.

    Raises:
        DataError: with ``strict``, the first file that cannot be decoded; always, a file whose aspect ratio
            is not its camera's.
    """
    located = list(located)
    with ThreadPoolExecutor(min(16, 2 * (os.cpu_count() or 1))) as pool:
        headers = list(pool.map(_header_or_error, [path for _, path in located]))
    photos = []
    resized: Counter[str] = Counter()
    as_stored = 0
    for (shot, path), header in zip(located, headers, strict=True):
        if isinstance(header, DataError):
            if strict:
                raise header
            warnings.append(f"{header} The image is left out.")
            continue
        photo = _fitted(shot, path, header, exif_rotate)
        if photo.shot is not shot:
            resized[
                f"{shot.lens.width}x{shot.lens.height} -> {photo.shot.lens.width}x{photo.shot.lens.height}"
            ] += 1
        as_stored += header.turned and not photo.exif_rotate and _turned_fits(header, shot)
        photos.append(photo)
    if as_stored:
        warnings.append(
            f"The EXIF data of {as_stored} images ask for a turn that leaves their size as it is. They are "
            "taken as they are stored; if COLMAP saw them turned, load with exif_rotate (--exif-rotate)."
        )
    for change, count in resized.items():
        warnings.append(f"{count} images differ in size from their camera, intrinsics were scaled: {change}.")
    return photos


def _header_or_error(path: Path) -> ImageHeader | DataError:
    try:
        return read_header(path)
    except DataError as error:
        return error


def _fitted(shot: Shot, path: Path, header: ImageHeader, exif_rotate: bool) -> Photo:
    lens = shot.lens
    width, height = header.width, header.height
    if exif_rotate and header.turned and _turned_fits(header, shot):
        upright = (height, width) if header.sideways else (width, height)
        return Photo(_of_size(shot, *upright), path, exif_rotate=True, mask=shot.mask)
    if same_aspect(width, height, lens.width, lens.height):
        return Photo(_of_size(shot, width, height), path, exif_rotate=False, mask=shot.mask)
    problem = f"is {width} x {height} pixels, but its camera is {lens.width} x {lens.height}"
    if not same_aspect(height, width, lens.width, lens.height):
        raise DataError(
            path,
            problem,
            remedy="It was cropped or belongs to another camera; use the photographs that COLMAP was run on.",
        )
    if not header.sideways:
        raise DataError(path, f"{problem}: it seems to be rotated", remedy="Rotate it back.")
    raise DataError(
        path,
        f"{problem}: its EXIF data ask for a rotation by 90 degrees, which was applied before COLMAP ran",
        remedy="Load with exif_rotate (--exif-rotate).",
    )


def _turned_fits(header: ImageHeader, shot: Shot) -> bool:
    """Whether the image would have its camera's shape if it were turned as its EXIF data ask for."""
    width, height = (header.height, header.width) if header.sideways else (header.width, header.height)
    return same_aspect(width, height, shot.lens.width, shot.lens.height)


def _of_size(shot: Shot, width: int, height: int) -> Shot:
    if (width, height) == (shot.lens.width, shot.lens.height):
        return shot
    return replace(shot, lens=shot.lens.resized(width, height))
