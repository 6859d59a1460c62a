"""Draws a mesh as a run's camera sees it, in its colours and as grey clay, beside what the run renders there.

    python tools/draw_mesh.py RUN mesh.ply picture.jpg [--view 0] [--width 360]

Needs `pip install 'gsplat-core[mesh]'`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gsplat_core.mesh import Mesh, load_mesh
from gsplat_core.mesh.distances import surface_samples
from gsplat_core.scene.cameras import Camera
from trainers.coordinates import share_coordinates
from trainers.evaluation import render
from trainers.media import to_uint8
from trainers.messages import warn
from trainers.sources import load_scene, photographs_of

SAMPLES_PER_PIXEL = 12
CLAY = np.array([200.0, 195.0, 188.0])


def drawn(mesh: Mesh, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """[H, W, 3] uint8 in the mesh's colours, and as clay lit from beside the camera; white where it is not.

    By points spread evenly over the projected faces, of which each pixel shows the nearest.
    """
    a, b, c = mesh.vertices[mesh.faces].astype(np.float64).transpose(1, 0, 2)
    normals = np.cross(b - a, c - a)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    light = camera.viewmat[:3, :3].T @ (np.array([-0.5, -0.6, -1.0]) / np.linalg.norm([0.5, 0.6, 1.0]))
    shade = 0.25 + 0.75 * np.clip(normals @ light, 0, 1)
    colors = mesh.colors[mesh.faces].mean(axis=1)
    seen = mesh.vertices @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    depths = np.maximum(seen[:, 2], camera.near)
    # The inverse depth is linear over the image of a triangle.
    u, v = (seen @ camera.K.T)[:, :2].T / depths
    inside = (seen[:, 2] > camera.near) & (u >= 0) & (v >= 0) & (u < camera.width) & (v < camera.height)
    shown_faces = np.flatnonzero(inside[mesh.faces].all(axis=1))
    places = np.stack([u, v, 1 / depths], axis=1).astype(np.float32)
    projected = Mesh(places, mesh.faces[shown_faces], mesh.colors)
    points, rows = surface_samples(projected, round(SAMPLES_PER_PIXEL * projected.areas().sum()))
    faces = shown_faces[rows]
    pixel = points[:, 1].astype(int) * camera.width + points[:, 0].astype(int)
    order = np.lexsort((-points[:, 2], pixel))
    shown, first = np.unique(pixel[order], return_index=True)
    face = faces[order][first]
    images = np.full((2, camera.height * camera.width, 3), 255, np.uint8)
    images[0, shown] = colors[face]
    images[1, shown] = CLAY * shade[face, None]
    return tuple(images.reshape(2, camera.height, camera.width, 3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("mesh", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--view", type=int, default=0, help="number of the training view")
    parser.add_argument("--width", type=int, default=360, help="of each of the three images")
    arguments = parser.parse_args()
    scene = load_scene(arguments.run, warn).detached()
    dataset, _ = photographs_of(arguments.run, None)
    share_coordinates(dataset, scene)
    camera = dataset.train[arguments.view].camera
    camera = camera.resized(arguments.width, round(arguments.width * camera.height / camera.width))
    colored, clay = drawn(load_mesh(arguments.mesh), camera)
    together = np.concatenate([to_uint8(render(scene, camera)), colored, clay], axis=1)
    Image.fromarray(together).save(arguments.picture, quality=85)


if __name__ == "__main__":
    main()
