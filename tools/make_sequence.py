"""Makes a moving scene, photographed by the same cameras in each frame.

    python tools/make_sequence.py -o FOLDER [--scene sphere] [--frames 10] [--cameras 6] [--size 96] [--flow]

    sphere    a part of it swells (`tools/moving_sphere/shape.py`); cameras all around; photographs with
              transparency, which are the object's masks. --flow adds the optical flow between each frame and
              the one before it, as `gsplat-core stream --temporal-normals FOLDER/flow` reads it.
    balls     seven in a room, of which two move (`tools/moving_balls/scene.py`), about a fifth of what is to
              be seen; cameras on one side, the first one between the others, for testing.

Becomes a folder with frame_000/, frame_001/ and so on, and a COLMAP model beside them, with a few points of
the first frame. All of it is a formula: nothing is estimated, and the same options make the same files.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from colmap_model.cameras import Pinhole, View, look_at
from moving_balls import scene
from moving_sphere import shape
from moving_sphere.shape import Array
from PIL import Image

from gsplat_core.quaternions import quaternions_of

DISTANCE = 4.0
RAYS = 3
"""Per pixel, along each of its sides."""
POINTS = 600
POINTS_OF_ROOM = 3000
NOISE = 0.02
"""Of the points, scene units."""


def cameras_around(count: int) -> list[View]:
    """Looking at the middle from all sides; of six, one along each half of three axes."""
    if count == 6:
        turn = np.linalg.qr(np.array([[1.0, 0.3, 0.2], [-0.2, 1.0, 0.4], [0.1, -0.3, 1.0]]))[0]
        places = np.concatenate([turn, -turn])
    else:
        z = 1 - 2 * (np.arange(count) + 0.5) / count
        angles = np.arange(count) * math.pi * (3 - math.sqrt(5))
        flat = np.sqrt(1 - z**2)
        places = np.stack([flat * np.cos(angles), flat * np.sin(angles), z], axis=1)
    return [look_at(f"camera_{i}.png", DISTANCE * place, np.zeros(3)) for i, place in enumerate(places)]


def cameras_before(count: int) -> list[View]:
    """On one side of the room, to the left and to the right of the first, alternately lower and higher."""
    views = []
    for i in range(count):
        turn = math.radians((1 if i % 2 else -1) * 100 * ((i + 1) // 2) / max(count - 1, 1))
        place = 2.7 * np.array([math.sin(turn), -math.cos(turn), 0.0]) + [0, 0, 1.1 + 0.35 * (i % 3)]
        views.append(look_at(f"camera_{i}.png", place, scene.MIDDLE))
    return views


def photograph_of_room(lens: Pinhole, view: View, time: float) -> Array:
    """[H, W, 3] uint8."""
    y, x = np.mgrid[: lens.height, : lens.width]
    total = np.zeros((lens.height * lens.width, 3))
    for i in range(RAYS**2):
        offset = (np.array([i % RAYS, i // RAYS]) + 0.5) / RAYS
        rays = lens.rays(np.stack([x.ravel(), y.ravel()], axis=1) + offset) @ view.rotation
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        total += scene.colours(*scene.met(view.centre, rays, time), time)
    return np.rint(255 * total / RAYS**2).astype(np.uint8).reshape(lens.height, lens.width, 3)


def photograph(lens: Pinhole, view: View, swollen: float) -> Array:
    """[H, W, 4] uint8."""
    colours, opacity = np.zeros((lens.height * lens.width, 3)), np.zeros(lens.height * lens.width)
    for i in range(RAYS**2):
        offset = (np.array([i % RAYS, i // RAYS]) + 0.5) / RAYS
        directions, there = seen(lens, view, swollen, offset)
        colours[there] += shape.colour(directions[there])
        opacity += there
    colours /= opacity.clip(min=1)[:, None]
    pixels = np.concatenate([colours, opacity[:, None] / RAYS**2], axis=1)
    return np.rint(255 * pixels).astype(np.uint8).reshape(lens.height, lens.width, 4)


def seen(lens: Pinhole, view: View, swollen: float, offset: Array) -> tuple[Array, Array]:
    """Of each pixel, at this offset from its corner: the direction from the origin of what it shows [P, 3],
    and whether it shows the object [P]."""
    y, x = np.mgrid[: lens.height, : lens.width]
    rays = lens.rays(np.stack([x.ravel(), y.ravel()], axis=1) + offset) @ view.rotation
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    distance = shape.met(view.centre, rays, swollen)
    there = np.isfinite(distance)
    places = view.centre + np.where(there, distance, 0.0)[:, None] * rays
    return places / np.linalg.norm(places, axis=1, keepdims=True), there


def flow(lens: Pinhole, view: View, now: float, other: float) -> Array:
    """[H, W, 2] float32: by how many pixels what a pixel shows moves to another state; zero beside it."""
    directions, there = seen(lens, view, now, np.array([0.5, 0.5]))
    pixels = [
        lens.project(view.to_camera(directions * shape.radius(directions, swollen)[:, None]))
        for swollen in (now, other)
    ]
    moved = np.where(there[:, None], pixels[1] - pixels[0], 0.0)
    return moved.reshape(lens.height, lens.width, 2).astype(np.float32)


def write_model(folder: Path, lens: Pinhole, views: list[View], places: Array, colours: Array) -> None:
    """A COLMAP model as text, with points at about these places [P, 3] of these colours [P, 3] in [0, 1]."""
    folder.mkdir(parents=True)
    middle = (lens.width / 2, lens.height / 2)
    numbers = " ".join(map(str, (lens.focal, lens.focal, *middle)))
    (folder / "cameras.txt").write_text(f"1 PINHOLE {lens.width} {lens.height} {numbers}\n")
    lines = []
    for number, view in enumerate(views, 1):
        quat = quaternions_of(torch.from_numpy(view.rotation)).tolist()
        pose = " ".join(f"{value:.12g}" for value in (*quat, *view.translation))
        lines += [f"{number} {pose} 1 {view.name}", ""]
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    random = np.random.default_rng(0)
    colours = np.rint(255 * colours)
    noisy = places + NOISE * random.standard_normal(places.shape)
    points = [
        f"{i + 1} {' '.join(f'{v:.6g}' for v in xyz)} {' '.join(str(int(v)) for v in rgb)} 0.5 1 0 2 0"
        for i, (xyz, rgb) in enumerate(zip(noisy, colours, strict=True))
    ]
    (folder / "points3D.txt").write_text("\n".join(points) + "\n")


def make(folder: Path, frames: int, cameras: int, size: int, flows: bool) -> None:
    """Writes the sequence of the sphere."""
    lens, views = Pinhole(size, size, 1.25 * size), cameras_around(cameras)
    places = shape.sampled(0.0, POINTS)
    colours = shape.colour(places / np.linalg.norm(places, axis=1, keepdims=True))
    write_model(folder / "sparse" / "0", lens, views, places, colours)
    for frame in range(frames):
        name, swollen = f"frame_{frame:03d}", shape.amount(frame, frames)
        (folder / name).mkdir()
        for view in views:
            Image.fromarray(photograph(lens, view, swollen)).save(folder / name / view.name)
        if flows and frame:
            before = shape.amount(frame - 1, frames)
            (folder / "flow" / name).mkdir(parents=True)
            for view in views:
                stem = folder / "flow" / name / Path(view.name).stem
                np.save(f"{stem}.backward.npy", flow(lens, view, swollen, before))
                np.save(f"{stem}.forward.npy", flow(lens, view, before, swollen))


def time_of(frame: int, frames: int) -> float:
    """Of a frame of the room."""
    return frame / max(frames - 1, 1)


def make_room(folder: Path, frames: int, cameras: int, size: int) -> None:
    """Writes the sequence of the room."""
    lens, views = Pinhole(size, size, 1.15 * size), cameras_before(cameras)
    random = np.random.default_rng(1)
    seen = []
    for view in views:
        pixels = random.uniform(0, size, (POINTS_OF_ROOM // len(views), 2))
        rays = lens.rays(pixels) @ view.rotation
        seen.append(scene.met(view.centre, rays / np.linalg.norm(rays, axis=1, keepdims=True), 0.0))
    places, which = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    write_model(folder / "sparse" / "0", lens, views, places, scene.colours(places, which, 0.0))
    for frame in range(frames):
        name = f"frame_{frame:03d}"
        (folder / name).mkdir()
        for view in views:
            image = photograph_of_room(lens, view, time_of(frame, frames))
            Image.fromarray(image).save(folder / name / view.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--scene", choices=("sphere", "balls"), default="sphere")
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--cameras", type=int, default=6)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--flow", action="store_true")
    given = parser.parse_args()
    if given.scene == "balls":
        make_room(given.output, given.frames, given.cameras, given.size)
    else:
        make(given.output, given.frames, given.cameras, given.size, given.flow)


if __name__ == "__main__":
    main()
