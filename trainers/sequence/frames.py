"""The folder of a sequence: one folder of photographs for each frame, and what the cameras are.

    FRAMES/
      sparse/0/ or transforms.json    of all frames; or else in the first frame's folder
      frame_000/                      photographs, or images/ with them; perhaps masks/
      frame_001/                      photographs of the same names

Frames come in the order of their names, where 9 comes before 10. Every frame has the same cameras: a
photograph is found by its name in the model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gsplat_core.errors import DataError
from gsplat_core.scene.colmap import find_models
from gsplat_core.scene.images import IMAGE_ENDINGS
from gsplat_core.scene.imports.registry import find_import
from gsplat_core.scene.masks import MASK_FOLDERS
from gsplat_core.scene.transforms import find_transforms

IMAGES = "images"


@dataclass(frozen=True)
class Frames:
    """Args:
    data: the folder with the model of the cameras.
    folders: of the frames' photographs, by the frames' names, in their order.
    """

    data: Path
    folders: dict[str, Path]

    @classmethod
    def find(cls, folder: Path) -> Frames:
        """
        Raises:
            DataError: there are not two frames, or no model.
        """
        found = {name.name: images for name in _below(folder) if (images := _photographs(name)) is not None}
        if len(found) < 2:
            raise DataError(
                folder, f"{len(found)} folders of photographs are there, and a sequence has at least 2",
                remedy="Put the photographs of each frame into a folder of its own.",
            )  # fmt: skip
        names = sorted(found, key=counting)
        for data in (folder, folder / names[0]):
            if find_models(data) or find_transforms(data) or find_import(data):
                return cls(data, {name: found[name] for name in names})
        raise DataError(
            folder, f"there is neither sparse/ nor transforms.json here or in {names[0]!r}",
            remedy="Put a COLMAP model of one frame, or a transforms.json, beside the frames.",
        )  # fmt: skip


def counting(name: str) -> list[tuple[int, str]]:
    """A name in parts, digits as numbers."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def _below(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(folder, f"cannot be read: {error.strerror or error}") from error
    skipped = {IMAGES, "sparse", *MASK_FOLDERS}
    return [
        path for path in entries if path.is_dir() and path.name not in skipped and path.name[:1] not in "._"
    ]


def _photographs(frame: Path) -> Path | None:
    """The folder of a frame's photographs; None where it has none."""
    for folder in (frame / IMAGES, frame):
        if folder.is_dir() and any(path.suffix.lower() in IMAGE_ENDINGS for path in folder.iterdir()):
            return folder
    return None
