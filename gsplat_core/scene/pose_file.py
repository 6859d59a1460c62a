"""Poses in files of their own: frames of a transforms.json, in nerfstudio's convention (camera to world, x
right, y up, looking along -z), with what else is known of them.

A file holds one frame,

    {"file_path": "a.jpg", "transform_matrix": [[...], [...], [...], [...]], ...}

or several as the list "frames" of a transforms.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gsplat_core.errors import DataError
from gsplat_core.scene.cameras import Camera, Matrix
from gsplat_core.scene.capture_values import read_object, viewmat

_OPENGL_TO_COLMAP = np.diag([1.0, -1.0, -1.0, 1.0])


def frame_of(camera: Camera) -> dict[str, Any]:
    """The frame of a pinhole camera that is called as its photograph."""
    K = camera.K
    return {
        "file_path": camera.name,
        "w": camera.width, "h": camera.height,
        "fl_x": K[0, 0], "fl_y": K[1, 1], "cx": K[0, 2], "cy": K[1, 2],
        "transform_matrix": (np.linalg.inv(camera.viewmat) @ _OPENGL_TO_COLMAP).tolist(),
    }  # fmt: skip


def read_pose(path: Path, name: str) -> Matrix:
    """[4, 4] world to camera, of the photograph called `name`, or of the only one in the file.

    Raises:
        DataError: the file holds no pose, none for this photograph, or one that no camera can have.
    """
    root = read_object(path)
    if "transform_matrix" in root:
        return viewmat(path, "transform_matrix", root["transform_matrix"])
    frames = root.get("frames")
    if not isinstance(frames, list) or not frames:
        raise DataError(
            path, "there is no pose in it",
            remedy='Write {"transform_matrix": [...]}, camera to world, or a transforms.json.',
        )  # fmt: skip
    named = [i for i, frame in enumerate(frames) if _stem(frame) == Path(name).stem]
    if not named and len(frames) == 1:
        named = [0]
    if len(named) != 1:
        raise DataError(
            path, f"{len(named) or 'none'} of its {len(frames)} frames are of a photograph {name!r}",
            remedy="Leave the frame of this photograph alone in the file.",
        )  # fmt: skip
    frame = frames[named[0]]
    matrix = frame.get("transform_matrix") if isinstance(frame, dict) else None
    return viewmat(path, f"frames[{named[0]}].transform_matrix", matrix)


def _stem(frame: Any) -> str | None:
    name = frame.get("file_path") if isinstance(frame, dict) else None
    return Path(name).stem if isinstance(name, str) else None
