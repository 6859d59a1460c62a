"""A very small capture, written in COLMAP's formats by code that shares nothing with the readers."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

MODEL_NUMBERS = {
    "SIMPLE_PINHOLE": 0,
    "PINHOLE": 1,
    "OPENCV": 4,
    "FULL_OPENCV": 6,
    "RAD_TAN_THIN_PRISM_FISHEYE": 11,
}


@dataclass
class TinyScene:
    """Two cameras, three images, four points; every field may be changed before writing."""

    cameras: list[tuple] = field(
        default_factory=lambda: [
            (1, "PINHOLE", 32, 24, (30.0, 31.0, 16.0, 12.0)),
            (7, "SIMPLE_PINHOLE", 16, 20, (25.0, 8.0, 10.0)),
        ]
    )
    # id, quaternion, translation, camera, name, keypoints (x, y, point id)
    images: list[tuple] = field(
        default_factory=lambda: [
            (1, (1.0, 0, 0, 0), (0.0, 0, 4), 1, "b.png", [(3.5, 4.5, 10), (5.25, 6.0, -1), (7.0, 1.0, 12)]),
            (2, (0.8, 0, 0.6, 0), (0.5, 0, 4), 1, "sub/a.png", [(1.0, 2.0, 10)]),
            (5, (2.0, 0, 0, 0), (-1.0, 0, 4), 7, "c.png", []),
        ]
    )
    # id, xyz, rgb, error, track (image, keypoint)
    points: list[tuple] = field(
        default_factory=lambda: [
            (10, (0.0, 0.25, 0), (255, 0, 51), 0.5, [(1, 0), (2, 0)]),
            (11, (1.0, 0, 0), (1, 2, 3), 1.0, []),
            (12, (0.0, 0, 1), (4, 5, 6), 0.25, [(1, 2)]),
            (13, (0.0, 1, 0.5), (7, 8, 9), 2.0, []),
        ]
    )

    def cameras_bin(self) -> bytes:
        data = struct.pack("<Q", len(self.cameras))
        for number, model, width, height, params in self.cameras:
            model_number = MODEL_NUMBERS.get(model, model)
            data += struct.pack(f"<iiQQ{len(params)}d", number, model_number, width, height, *params)
        return data

    def images_bin(self) -> bytes:
        data = struct.pack("<Q", len(self.images))
        for number, quaternion, translation, camera, name, keypoints in self.images:
            name_bytes = name if isinstance(name, bytes) else name.encode()
            data += struct.pack("<i7di", number, *quaternion, *translation, camera) + name_bytes + b"\0"
            data += struct.pack("<Q", len(keypoints)) + b"".join(
                struct.pack("<ddq", *row) for row in keypoints
            )
        return data

    def points_bin(self) -> bytes:
        data = struct.pack("<Q", len(self.points))
        for number, xyz, rgb, error, track in self.points:
            data += struct.pack("<Q3d3BdQ", number, *xyz, *rgb, error, len(track))
            data += b"".join(struct.pack("<ii", *row) for row in track)
        return data

    def cameras_txt(self) -> bytes:
        lines = [f"# Number of cameras: {len(self.cameras)}"]
        for number, model, width, height, params in self.cameras:
            lines.append(
                " ".join(map(repr, [number])) + f" {model} {width} {height} " + " ".join(map(repr, params))
            )
        return ("\n".join(lines) + "\n").encode()

    def images_txt(self) -> bytes:
        lines = [f"# Number of images: {len(self.images)}, mean observations per image: 1"]
        for number, quaternion, translation, camera, name, keypoints in self.images:
            pose = " ".join(repr(float(value)) for value in (*quaternion, *translation))
            lines.append(f"{number} {pose} {camera} {name}")
            lines.append(" ".join(f"{x!r} {y!r} {point}" for x, y, point in keypoints))
        return ("\n".join(lines) + "\n").encode()

    def points_txt(self) -> bytes:
        lines = [f"# Number of points: {len(self.points)}, mean track length: 1"]
        for number, xyz, rgb, error, track in self.points:
            values = [number, *map(float, xyz), *rgb, error, *(value for row in track for value in row)]
            lines.append(" ".join(map(repr, values)))
        return ("\n".join(lines) + "\n").encode()

    def files(self, ending: str) -> dict[str, bytes]:
        if ending == "bin":
            parts = [self.cameras_bin(), self.images_bin(), self.points_bin()]
        else:
            parts = [self.cameras_txt(), self.images_txt(), self.points_txt()]
        return dict(
            zip([f"{name}.{ending}" for name in ("cameras", "images", "points3D")], parts, strict=True)
        )

    def write_model(self, folder: Path, ending: str = "bin") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in self.files(ending).items():
            (folder / name).write_bytes(data)
        return folder

    def write_images(self, folder: Path) -> None:
        """One PNG per image with pixel (x, y) of colour (x, y, image id)."""
        sizes = {camera[0]: camera[2:4] for camera in self.cameras}
        for number, _, _, camera, name, _ in self.images:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(coordinate_pixels(*sizes[camera], number)).save(path)

    def write(self, scene: Path, ending: str = "bin") -> Path:
        self.write_model(scene / "sparse" / "0", ending)
        self.write_images(scene / "images")
        return scene


def coordinate_pixels(width: int, height: int, blue: int) -> np.ndarray:
    pixels = np.full((height, width, 3), blue, np.uint8)
    pixels[..., 0] = np.arange(width)
    pixels[..., 1] = np.arange(height)[:, None]
    return pixels
