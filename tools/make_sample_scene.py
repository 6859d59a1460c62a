"""Makes the sample scene in data/: path-traced photographs of a still life and a COLMAP model of them.

data/README.md says how to run it. Shapes and textures are formulas with fixed seeds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import mitsuba as mi
import numpy as np
from colmap_model import colmap_files
from colmap_model.tracks import features
from PIL import Image

mi.set_variant("llvm_ad_rgb")

from sample_scene import cameras, photograph, room, tracks  # noqa: E402  (they need the variant)

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the sample scene.")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "data", help="the folder that gets images/ and sparse/0/"
    )
    parser.add_argument("--samples", type=int, default=20, help="light paths for each pixel")
    parser.add_argument("--points-per-view", type=int, default=150)
    parser.add_argument("--keep-images", action="store_true", help="remake only the COLMAP model")
    options = parser.parse_args()

    views = cameras.views()
    scene = room.build()
    folder = options.out / "images"
    folder.mkdir(parents=True, exist_ok=True)
    if not options.keep_images:
        for number, view in enumerate(views):
            radiance = photograph.render(scene, view, options.samples, seed=number)
            Image.fromarray(photograph.develop(radiance)).save(
                folder / view.name, quality=92, subsampling=0, optimize=True, progressive=True
            )
            print(f"{view.name}  {number + 1}/{len(views)}", flush=True)

    photographs = [np.asarray(Image.open(folder / view.name)) for view in views]
    found = tracks.find(scene, views, photographs, options.points_per_view, seed=11)
    rng = np.random.default_rng(12)
    unmatched = [features(photo, 40, rng) for photo in photographs]
    colmap_files.write(options.out / "sparse" / "0", cameras.CAMERA, views, found, unmatched)


if __name__ == "__main__":
    main()
