"""Measures trained sequences of the moving sphere: how far their surfaces are from the true one, and how much
they flicker where nothing moves.

    python tools/compare_sequences.py FRAMES FOLDER ... [--picture FILE.png]

FRAMES is what `tools/make_sequence.py` made; each FOLDER has runs called as the frames: what `gsplat-core
stream` writes, or runs that were trained one by one, perhaps not of all frames. Printed for each folder, of
the frames that all of them have:

- the Chamfer distance, in hundredths of the sphere's radius: the mean distance of the points that the depths
  of all cameras show from the surface, and of points of the surface from these, averaged; mean over frames;
- the temporal variance of the curvature that pixels show (`gsplat_core/sequence/curvature.py`) where all
  frames show what never moves, from the second frame on; mean over the pixels of all cameras, times 1,000;
- PSNR of the photographs, mean over the frames.

--picture puts the curvatures of the first camera beside each other: a row for each folder, a column for each
frame.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from moving_sphere import shape
from moving_sphere.shape import Array
from PIL import Image
from scipy.spatial import KDTree

from gsplat_core.io import load
from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import render
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.sequence.curvature import curvature, eroded
from trainers.evaluation import evaluate, mean

COVERED = 0.5
SAMPLES = 20_000
BORDER = 9
"""Pixels around an outline that do not count."""


def pixel_rays(camera: Camera) -> Array:
    """[H, W, 3] in the camera's axes, with z = 1."""
    y, x = np.mgrid[: camera.height, : camera.width] + 0.5
    K = camera.K
    return np.stack([(x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1], np.ones_like(x)], axis=-1)


def points_of(scene: Gaussians, camera: Camera) -> Array:
    """[P, 3] in the world: where the pixels that show the object see it."""
    rendered = render(scene, camera, outputs=Outputs(colors=False, depth="expected"))
    depths = rendered.depths[0].numpy()
    shown = (rendered.alphas[0, ..., 0].numpy() > COVERED) & (depths > 0)
    points = (pixel_rays(camera) * depths[..., None])[shown]
    return (points - camera.viewmat[:3, 3]) @ camera.viewmat[:3, :3]


def chamfer(points: Array, swollen: float) -> float:
    """Of points [P, 3] and the surface."""
    surface = shape.sampled(swollen, SAMPLES)
    there, back = KDTree(surface).query(points)[0], KDTree(points).query(surface)[0]
    return float((there.mean() + back.mean()) / 2)


def never_moving(camera: Camera, frames: int) -> Array:
    """[H, W] bool: whether the pixel shows what stays, in every frame, and lies not near an outline."""
    still = np.ones((camera.height, camera.width), bool)
    centre = -camera.viewmat[:3, :3].T @ camera.viewmat[:3, 3]
    rays = pixel_rays(camera).reshape(-1, 3) @ camera.viewmat[:3, :3]
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    for frame in range(frames):
        distance = shape.met(centre, rays, shape.amount(frame, frames))
        there = np.isfinite(distance)
        places = centre + np.where(there, distance, 1.0)[:, None] * rays
        cosines = places @ shape.AXIS / np.linalg.norm(places, axis=1)
        still &= (there & (cosines < shape.EDGE)).reshape(still.shape)
    return eroded(torch.from_numpy(still), BORDER).numpy()


def measured(frames: Path, runs: Path, finished: set[str]) -> tuple[float, float, float, Array]:
    """Chamfer distance, variance, PSNR, and curvatures [F, H, W] of the first camera, of these frames."""
    names = sorted(path.name for path in frames.glob("frame_*"))
    distances, quality, curvatures = [], [], []
    for number, name in enumerate(names):
        if name not in finished:
            continue
        views = Dataset.load(frames, images=frames / name, test_every=0, alpha="black").train
        scene = load(runs / name / "point_cloud.ply")
        points = np.concatenate([points_of(scene, view.camera) for view in views])
        distances.append(chamfer(points, shape.amount(number, len(names))))
        quality.append(mean(scored.psnr for scored in evaluate(scene, views)))
        normals = [
            render(scene, view.camera, outputs=Outputs(colors=False, further=("normals",))).meta["normals"][0]
            for view in views
        ]
        curvatures.append(np.stack([curvature(normal).numpy() for normal in normals]))
    still = np.stack([never_moving(view.camera, len(names)) for view in views])
    variance = np.var(np.stack(curvatures[1:]), axis=0)[still].mean()
    return float(np.mean(distances)), float(variance), float(np.mean(quality)), np.stack(curvatures)[:, 0]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("frames", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    rows = []
    of_each = [
        {path.parent.name for path in folder.glob("frame_*/point_cloud.ply")} for folder in given.folders
    ]
    finished = set.intersection(*of_each)
    print(f"{'':24} {'Chamfer / 100':>14} {'variance x 1000':>16} {'PSNR':>7}")
    with torch.no_grad():
        for folder in given.folders:
            distance, variance, psnr, curvatures = measured(given.frames, folder, finished)
            print(f"{folder.name:24} {100 * distance:14.3f} {1000 * variance:16.3f} {psnr:7.2f}", flush=True)
            rows.append(np.concatenate(list(curvatures), axis=1))
    if given.picture is not None:
        pixels = (255 * np.concatenate(rows).clip(0, 1)).astype(np.uint8)
        Image.fromarray(255 - pixels).save(given.picture)


if __name__ == "__main__":
    main()
