"""Makes three scenes unlike the sample scene, on which presets and density controls are judged as well.

    python tools/make_scene_kinds.py -o FOLDER [--only outdoor] [--size 400x300] [--seed 1] [--units 1]
        [--outlier]

outdoor: a statue between columns and bushes from all sides, hills and trees far behind, a bright sky;
forward: a carved wall with things before it and a yard behind, from nearly one place;
aerial:  a village from above; the reconstruction has no points in the wood and none on lamp posts.

Each becomes a COLMAP folder FOLDER/NAME with images/ and sparse/0/, in a minute or two on one core. Shapes
and textures are formulas: nothing is downloaded. The same seed gives the same scene.
"""

from __future__ import annotations

import argparse
import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from colmap_model import colmap_files
from colmap_model.cameras import View
from colmap_model.tracks import Tracks
from PIL import Image
from scene_kinds import points
from scene_kinds.capture import Studio

KINDS = ("outdoor", "forward", "aerial")
OUTLIER = 5  # the number of the view with a wrong pose; not a multiple of 8, so that it is trained on
OUTLIER_DISTANCE = 30_000.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--only", action="append", choices=KINDS)
    parser.add_argument("--size", default="400x300", help="WIDTHxHEIGHT of the photographs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--units", type=float, default=1.0, help="factor to the model's unit of length")
    parser.add_argument("--outlier", action="store_true", help="one camera has a wrong pose far away")
    args = parser.parse_args()
    try:
        width, height = (int(side) for side in args.size.split("x"))
    except ValueError:
        parser.error(f"--size {args.size}: must be two numbers, such as 400x300")
    for kind in args.only or KINDS:
        make(args.output / kind, kind, width, height, args.seed, args.units, args.outlier)


def make(
    folder: Path, kind: str, width: int, height: int, seed: int, units: float = 1.0, outlier: bool = False
) -> None:
    """Writes one scene into a folder."""
    module = importlib.import_module(f"scene_kinds.{kind}")
    studio = Studio(module.build(seed), seed + 1)
    camera, views = module.camera(width, height), module.views(seed + 2)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    photographs = []
    for view in views:
        photographs.append(studio.photograph(camera, view))
        path = folder / "images" / view.name
        Image.fromarray(photographs[-1].picture).save(path, quality=94, subsampling=0)
    # A model has as many points as there are pixels to find features in.
    count = round(module.POINTS * width * height / (400 * 300))
    tracks, unmatched = points.find(camera, views, photographs, count, module.SMALLEST_ANGLE, seed + 3)
    if outlier:
        tracks, views = _with_outlier(tracks, views)
    views = [replace(view, translation=units * view.translation) for view in views]
    tracks = replace(tracks, points=units * tracks.points)
    colmap_files.write(folder / "sparse" / "0", camera, views, tracks, unmatched)
    print(f"{folder}: {len(views)} photographs, {len(tracks.points)} points", flush=True)


def _with_outlier(tracks: Tracks, views: list[View]) -> tuple[Tracks, list[View]]:
    """One view far away, as a matcher misled leaves it, whose photograph sees none of the points."""
    seen = tracks.seen.copy()
    seen[:, OUTLIER] = False
    kept = seen.sum(axis=1) >= 2
    far = replace(views[OUTLIER], translation=views[OUTLIER].translation + np.array([0, 0, OUTLIER_DISTANCE]))
    tracks = Tracks(
        seen[kept], tracks.observed[kept], tracks.points[kept], tracks.colours[kept], tracks.errors[kept]
    )
    return tracks, [*views[:OUTLIER], far, *views[OUTLIER + 1 :]]


if __name__ == "__main__":
    main()
