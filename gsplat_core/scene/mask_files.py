"""Finds the masks that lie beside photographs; those that cannot be used are refused rather than ignored."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from gsplat_core.errors import DataError
from gsplat_core.scene.images import IMAGE_ENDINGS
from gsplat_core.scene.masks import IGNORE_MASKS, MASK_FOLDERS, NO_MASKS
from gsplat_core.scene.photos import Photo, walk, without_ending


def with_masks(
    photos: list[Photo],
    scene: Path,
    images: Path,
    chosen: str | os.PathLike[str] | None,
    warnings: list[str],
) -> list[Photo]:
    """The photographs with their masks' files; those that are masked out everywhere are left out.

    Args:
        scene: the capture's folder.
        images: the folder of the photographs.
        chosen: the folder of the masks, relative to `scene` or not; "none" for no masks; None for those that
            the capture names and, where it names none, of a folder that is called like one.

    Raises:
        DataError: a mask cannot be read or has another shape than its photograph; the folder asked for does
            not exist; a folder of masks has none for any photograph.
    """
    if chosen == NO_MASKS:
        return [replace(photo, mask=None) for photo in photos]
    folder = _folder(scene, images, chosen)
    if folder is not None:
        index = MaskIndex(folder, images)
        photos = [
            photo if chosen is None and photo.mask else replace(photo, mask=index.find(photo.path))
            for photo in photos
        ]
        if not any(photo.mask for photo in photos):
            raise index.fits_nothing(photos[0].path, f" {IGNORE_MASKS}")
    masked = [photo for photo in photos if photo.mask]
    if not masked:
        return photos
    with ThreadPoolExecutor(min(16, 2 * (os.cpu_count() or 1))) as pool:
        shares = dict(zip(masked, pool.map(_share_kept, masked), strict=True))
    place = folder or masked[0].mask.parent  # type: ignore[union-attr]
    _tell(place, [photo for photo in photos if not photo.mask], len(masked), warnings)
    if black := [photo for photo in masked if shares[photo] == 0]:
        warnings.append(
            f"{place}: {len(black)} masks are black everywhere, such as {black[0].mask.name!r}; "  # type: ignore[union-attr]
            "their photographs are left out."
        )
    if len(photos) - len(black) < 2 <= len(photos):
        raise DataError(
            place,
            f"{len(black)} of {len(photos)} photographs have masks that are black everywhere",
            remedy=f"White (at least 128 of 255) is what is kept: are they inverted? {IGNORE_MASKS}",
        )
    # A white mask is no mask: nothing has to be looked up in it.
    kept = [photo for photo in photos if shares.get(photo, 1) > 0]
    return [replace(photo, mask=None) if shares.get(photo) == 1 else photo for photo in kept]


def _share_kept(photo: Photo) -> float:
    kept = photo.kept()
    return 1.0 if kept is None else float(kept.mean())


def _folder(scene: Path, images: Path, chosen: str | os.PathLike[str] | None) -> Path | None:
    if chosen is not None:
        for folder in (scene / chosen, Path(chosen)):
            if folder.is_dir():
                return folder
        raise DataError(scene / chosen, "the folder of masks does not exist")
    for base in dict.fromkeys((scene, images.parent, images)):
        for name in MASK_FOLDERS:
            if any(True for _ in walk(base / name)):
                return base / name
    return None


def _tell(place: Path, without: list[Photo], masked: int, warnings: list[str]) -> None:
    rest = f"; {len(without)} have none and are used whole" if without else ""
    warnings.append(
        f"{place}: {masked} photographs have masks{rest}. What is black in them is ignored, in training "
        "and in measurements (--masks none uses all photographs whole)."
    )


class MaskIndex:
    """A folder's masks by name without ending, in small letters."""

    def __init__(self, folder: Path, images: Path) -> None:
        self.folder = folder
        self.images = images
        self._masks: dict[str, Path] = {}
        # PNG wins over others of the same name.
        for path in sorted(walk(folder), key=lambda path: (path.suffix.lower() != ".png", path)):
            if path.suffix.lower() in IMAGE_ENDINGS:
                self._masks.setdefault(without_ending(path.relative_to(folder)), path)

    def find(self, photograph: Path) -> Path | None:
        """For `a.jpg`: `a.jpg.png` as COLMAP has it, `a.png`, `a_mask.png` or `a.mask.png`."""
        for name in self._names(photograph):
            stem = without_ending(name)
            for key in (name.as_posix().lower(), stem, f"{stem}_mask", f"{stem}.mask"):
                if key in self._masks:
                    return self._masks[key]
        return None

    def _names(self, photograph: Path) -> Iterator[Path]:
        """The photograph's path below the image folder; and below the folder that lies beside the masks', of
        which captures without an image folder of their own (transforms.json) have several."""
        yield photograph.relative_to(self.images)
        if photograph.is_relative_to(self.folder.parent):
            below = photograph.relative_to(self.folder.parent)
            if len(below.parts) > 1:
                yield Path(*below.parts[1:])

    def fits_nothing(self, photograph: Path, otherwise: str = "") -> DataError:
        """
        Args:
            otherwise: what else can be done about it, with a space before.
        """
        found = next(walk(self.folder), None)
        holds = "is empty" if found is None else f"holds {os.fspath(found.relative_to(self.folder))!r}"
        return DataError(
            self.folder,
            f"this folder of masks has none for any photograph: it {holds}, a photograph is called "
            f"{photograph.name!r}",
            remedy=f"Call a mask {photograph.name + '.png'!r} or {photograph.stem + '.png'!r}.{otherwise}",
        )
