"""Draws a mesh as a run's camera sees it, in its colours and as grey clay, beside what the run renders there.

    python tools/draw_mesh.py RUN mesh.ply picture.jpg [--view 0] [--width 360]

Prints how alike mesh and rendering are, where there is a mesh, in all held-out views (PSNR of all pixels).

Needs `pip install 'gsplat-core[mesh]'`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gsplat_core.mesh import Mesh
from gsplat_core.mesh.covered import covered
from gsplat_core.mesh.files import load_textured
from gsplat_core.mesh.texture import Texture
from gsplat_core.scene.cameras import Camera
from trainers.coordinates import share_coordinates
from trainers.evaluation import render
from trainers.media import to_uint8
from trainers.messages import warn
from trainers.sources import load_scene, photographs_of

CLAY = np.array([200.0, 195.0, 188.0])
SIDE = 2  # each pixel is the mean of so many by so many


class Drawn(NamedTuple):
    """Images [H, W, 3] uint8 of a mesh in its colours, and as clay lit from beside the camera, white where it
    is not; and where it is in all of a pixel, [H, W] bool."""

    colored: np.ndarray
    clay: np.ndarray
    there: np.ndarray


def drawn(mesh: Mesh, texture: Texture | None, camera: Camera) -> Drawn:
    """Of each point of a pixel the nearest face counts. Faces that reach behind the camera are left out."""
    fine = camera.resized(camera.width * SIDE, camera.height * SIDE)
    a, b, c = mesh.vertices[mesh.faces].astype(np.float64).transpose(1, 0, 2)
    normals = np.cross(b - a, c - a)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    light = fine.viewmat[:3, :3].T @ (np.array([-0.5, -0.6, -1.0]) / np.linalg.norm([0.5, 0.6, 1.0]))
    shade = 0.25 + 0.75 * np.clip(normals @ light, 0, 1)
    seen = mesh.vertices @ fine.viewmat[:3, :3].T + fine.viewmat[:3, 3]
    places = (seen @ fine.K.T)[:, :2] / np.maximum(seen[:, 2:], fine.near)
    before = (seen[:, 2] > fine.near)[mesh.faces].all(axis=1)
    ahead, shade = mesh.faces[before], shade[before]
    pixels = fine.height * fine.width
    # The inverse depth is linear over the image of a triangle, as is what is divided by the depth.
    nearness = np.zeros(pixels)
    images = np.full((2, pixels, 3), 255.0)
    for found in covered(places[ahead], fine.width, fine.height):
        shares = found.weights / seen[ahead[found.faces], 2]
        near, pixel = shares.sum(axis=1), found.y * fine.width + found.x
        order = np.lexsort((near, pixel))
        order = order[np.diff(pixel[order], append=pixels) > 0]
        order = order[near[order] > nearness[pixel[order]]]
        pixel, rows = pixel[order], ahead[found.faces[order]]
        nearness[pixel] = near[order]
        shares = (shares / near[:, None])[order, :, None]
        if texture is None:
            images[0, pixel] = (shares * mesh.colors[rows]).sum(axis=1)
        else:
            images[0, pixel] = interpolated(texture.image, (shares * texture.places()[rows]).sum(axis=1))
        images[1, pixel] = CLAY * shade[found.faces[order], None]
    split = (camera.height, SIDE, camera.width, SIDE)
    colored, clay = images.reshape(2, *split, 3).mean(axis=(2, 4)).round().astype(np.uint8)
    return Drawn(colored, clay, (nearness > 0).reshape(split).all(axis=(1, 3)))


def interpolated(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """[P, 3] colours between the four texels around places [P, 2]."""
    height, width = image.shape[:2]
    corner = np.floor(places - 0.5).astype(int)
    parts = places - 0.5 - corner
    found = np.zeros((len(places), 3))
    for dx in (0, 1):
        for dy in (0, 1):
            share = np.abs(1 - dx - parts[:, 0]) * np.abs(1 - dy - parts[:, 1])
            x, y = (corner[:, 0] + dx).clip(0, width - 1), (corner[:, 1] + dy).clip(0, height - 1)
            found += share[:, None] * image[y, x]
    return found


def squared_error(image: np.ndarray, truth: np.ndarray, there: np.ndarray) -> np.ndarray:
    """[3] the sum over the pixels that are there, with 1 for white."""
    return ((image[there].astype(np.float64) - truth[there]) ** 2).sum(axis=0) / 255**2


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
    mesh, texture = load_textured(arguments.mesh)
    picture = drawn(mesh, texture, camera)
    together = np.concatenate([to_uint8(render(scene, camera)), picture.colored, picture.clay], axis=1)
    Image.fromarray(together).save(arguments.picture, quality=85)
    errors, pixels = np.zeros(3), 0
    for view in dataset.test:
        picture = drawn(mesh, texture, view.camera)
        truth = to_uint8(render(scene, view.camera))
        errors += squared_error(picture.colored, truth, picture.there)
        pixels += int(picture.there.sum())
    if pixels:
        print(f"{-10 * np.log10(errors.mean() / pixels):.2f} dB in {len(dataset.test)} held-out views")


if __name__ == "__main__":
    main()
