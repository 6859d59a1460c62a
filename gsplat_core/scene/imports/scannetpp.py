"""Scenes of ScanNet++ (Yeshwanth et al. 2023): the photographs of the DSLR, with their fisheye lens.

dslr/resized_images/*.JPG           or dslr/original_images
dslr/colmap/{cameras,images,points3D}.txt
dslr/resized_anon_masks/*.png       white is kept
dslr/train_test_lists.json          {"train": [names], "test": [names], ...}
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gsplat_core.errors import DataError
from gsplat_core.scene.capture import Capture, capture_from_colmap
from gsplat_core.scene.capture_values import error, read_object
from gsplat_core.scene.colmap import read_model

_IMAGES = ["resized_images", "original_images"]
_MASKS = {"resized_images": "resized_anon_masks", "original_images": "original_anon_masks"}
_LISTS = "train_test_lists.json"


def find(folder: Path) -> Path | None:
    """The folder `dslr`, which may be the one that was named."""
    for place in (folder / "dslr", folder):
        if (place / "colmap" / "images.txt").is_file() and _image_root(place) is not None:
            return place
    return None


def _image_root(dslr: Path) -> Path | None:
    return next((dslr / name for name in _IMAGES if (dslr / name).is_dir()), None)


def read(dslr: Path, strict: bool) -> Capture:
    """
    Raises:
        DataError: a file of the model, or the lists, cannot be used.
    """
    capture = capture_from_colmap(read_model(dslr / "colmap", strict=strict))
    root = _image_root(dslr)
    assert root is not None
    masks = dslr / _MASKS[root.name]
    tested = _tested(dslr / _LISTS)
    for number, shot in enumerate(capture.shots):
        mask = masks / Path(shot.name).with_suffix(".png")
        capture.shots[number] = replace(
            shot,
            mask=mask if mask.is_file() else None,
            is_test=None if tested is None else shot.name in tested,
        )
    capture.image_root = root
    return capture


def _tested(lists: Path) -> set[str] | None:
    """The photographs that are held out; None where the scene does not say."""
    if not lists.is_file():
        return None
    names = read_object(lists).get("test")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise error(lists, "test", "must be a list of images' names")
    if not names:
        raise DataError(lists, "its list of images to test is empty", "test", "Remove the file.")
    return set(names)
