"""Small transforms.json files with their photographs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from PIL import Image

# A camera at (1, 2, 3) that looks along -z with y up, as OpenGL cameras do unrotated.
POSE = [[1.0, 0, 0, 1], [0, 1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]]


def document(count: int = 3, **top: Any) -> dict[str, Any]:
    """A file's content for `count` photographs of 32 x 24 pixels."""
    frames = [
        {"file_path": f"./images/{i}.png", "transform_matrix": [row[:] for row in POSE]} for i in range(count)
    ]
    for i, frame in enumerate(frames):
        frame["transform_matrix"][0][3] = 1.0 + i
    return {"fl_x": 40.0, "fl_y": 41.0, "cx": 15.0, "cy": 11.0, "w": 32, "h": 24, "frames": frames, **top}


def write(folder: Path, content: dict[str, Any]) -> Path:
    """The file, with a photograph for every frame."""
    (folder / "images").mkdir(exist_ok=True)
    for i in range(len(content.get("frames", []))):
        Image.new("RGB", (32, 24), (i, 0, 0)).save(folder / f"images/{i}.png")
    path = folder / "transforms.json"
    path.write_text(json.dumps(content))
    return path


def synthetic(folder: Path, **counts: int) -> Path:
    """A scene as NeRF's synthetic ones: a file for each split, names without ending, transparent images."""
    for split, count in counts.items():
        (folder / split).mkdir(parents=True)
        frames = []
        for i in range(count):
            Image.new("RGBA", (20, 20), (i, 0, 0, 255)).save(folder / split / f"r_{i}.png")
            Image.new("L", (20, 20)).save(folder / split / f"r_{i}_depth_0001.png")
            pose = [row[:] for row in POSE]
            pose[0][3] = float(i)
            frames.append({"file_path": f"./{split}/r_{i}", "rotation": 0.1, "transform_matrix": pose})
        content = {"camera_angle_x": 2 * math.atan(0.5), "frames": frames}
        (folder / f"transforms_{split}.json").write_text(json.dumps(content))
    return folder
