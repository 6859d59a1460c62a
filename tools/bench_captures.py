"""Times reading a COLMAP text model: seconds of one core, and the memory that it takes at most.

    python tools/bench_captures.py [--images 1000] [--keypoints 5000] [--points 2000000]

The model is made up, with numbers of as many digits as COLMAP writes. For a ratio, run it with another
checkout's folder in PYTHONPATH as well.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tyro

from gsplat_core.scene.capture import capture_from_colmap
from gsplat_core.scene.colmap import read_model


def main(images: int = 1000, keypoints: int = 5000, points: int = 2_000_000) -> None:
    """Time the reader of text models.

    Args:
        images: of the model.
        keypoints: of each image; all of them see points.
        points: of the model.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_text_model(Path(folder), images, keypoints, points)
        before, start = peak_bytes(), time.process_time()
        model = read_model(folder)
        read, memory = time.process_time(), peak_bytes()
        capture_from_colmap(model)
        found = time.process_time()
        print(f"read in {read - start:.2f} s, with {(memory - before) / 1e6:.0f} MB besides the program")
        print(f"which points photographs see, found in {found - read:.2f} s")


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def write_text_model(folder: Path, images: int, keypoints: int, points: int) -> None:
    """Points are seen in turns; everything else is random."""
    rng = np.random.default_rng(0)
    (folder / "cameras.txt").write_text("1 PINHOLE 4000 3000 3000 3000 2000 1500\n")
    with (folder / "images.txt").open("w") as file:
        for image in range(images):
            pose = " ".join(map(repr, rng.normal(size=7).tolist()))
            file.write(f"{image + 1} {pose} 1 {image:06d}.jpg\n")
            xy = rng.uniform(0, 3000, (keypoints, 2)).astype(np.float32).tolist()
            seen = (np.arange(image * keypoints, (image + 1) * keypoints) % points + 1).tolist()
            file.write(" ".join(f"{x!r} {y!r} {n}" for (x, y), n in zip(xy, seen, strict=True)) + "\n")
    with (folder / "points3D.txt").open("w") as file:
        for point in range(points):
            x, y, z, error = rng.normal(size=4).tolist()
            track = (divmod(row, keypoints) for row in range(point, images * keypoints, points))
            sightings = " ".join(f"{image + 1} {row}" for image, row in track)
            file.write(f"{point + 1} {x!r} {y!r} {z!r} 10 20 30 {abs(error)!r} {sightings}\n")


if __name__ == "__main__":
    tyro.cli(main)
