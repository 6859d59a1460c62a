"""Makes a scene whose look depends on where one stands: polished and faceted balls among coloured lamps.

    python tools/make_glossy_scene.py -o FOLDER [--size 100x75] [--train 96] [--test 16] [--seed 1]
        [--fisheye]

The balls reflect soft lamps that are far away, each in its narrow range of directions, which harmonics of
degree 3 cannot follow; the facets of most, unlike a curved mirror, show nothing that could as well lie behind
the surface. They stand on a matt, patterned floor. Everything is a formula, traced with one reflection
and nine rays per pixel: nothing is downloaded, and the same seed gives the same scene.

--fisheye takes the photographs through an equidistant lens of 134 degrees from corner to corner, from nearer.
Becomes a folder with transforms_train.json, transforms_test.json, images and sparse points.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

Array = np.ndarray

FIELD_OF_VIEW = 0.7
"""Of the width of an image, in radians."""
CORNER = math.radians(67)
"""The angle from the axis at the corners of a fisheye's image."""
RAYS = 3
"""Per pixel, along each of its sides."""
LAMPS = 14
LAMP_WIDTH = 0.22
"""The standard deviation of a lamp's brightness, in radians."""
ROUND = (1, 4)
"""Which of the five smaller balls have no facets."""
FLOOR = np.array([0.45, 0.4, 0.34])


@dataclass(frozen=True)
class Ball:
    centre: Array
    """[3] scene units; z is up, and the floor is z = 0"""
    radius: float
    colour: Array
    """[3] of its matt part"""
    facets: Array | None = None
    """[F, 3] unit normals of its facets; None where it is round"""


@dataclass(frozen=True)
class Scene:
    balls: list[Ball]
    lamps: Array
    """[L, 3] unit directions to them"""
    lights: Array
    """[L, 3] their colours"""

    def light_from(self, directions: Array) -> Array:
        """[..., 3] what comes from far away, from unit directions [..., 3]."""
        angles = np.arccos((directions @ self.lamps.T).clip(-1, 1))
        glow = np.exp(-0.5 * (angles / LAMP_WIDTH) ** 2) @ self.lights
        up = directions[..., 2:]
        return np.where(up > 0, glow + 0.05 * up, glow + 0.25 * FLOOR)

    def seen_along(self, origins: Array, directions: Array) -> Array:
        """[R, 3] colours of rays [R, 3] with unit directions."""
        nearest = np.where(directions[:, 2] < 0, -origins[:, 2] / directions[:, 2].clip(max=-1e-9), np.inf)
        colours = floor(origins + np.where(np.isfinite(nearest), nearest, 0)[:, None] * directions)
        for ball in self.balls:  # each casts a soft shadow right below
            places = origins + np.where(np.isfinite(nearest), nearest, 0)[:, None] * directions
            distance = np.linalg.norm(places[:, :2] - ball.centre[:2], axis=1) / ball.radius
            colours *= 1 - 0.6 * np.exp(-0.5 * (distance[:, None] / 0.7) ** 2)
        colours[~np.isfinite(nearest)] = 0
        for ball in self.balls:
            to_centre = ball.centre - origins
            along = (to_centre * directions).sum(axis=1)
            inside = ball.radius**2 - (to_centre**2).sum(axis=1) + along**2
            distance = along - np.sqrt(inside.clip(min=0))
            hit = (inside > 0) & (distance > 0) & (distance < nearest)
            places = origins[hit] + distance[hit, None] * directions[hit]
            colours[hit] = self._reflected(ball, (places - ball.centre) / ball.radius, directions[hit])
            nearest[hit] = distance[hit]
        return colours.clip(0, 1)

    def _reflected(self, ball: Ball, normals: Array, directions: Array) -> Array:
        matt = 0.3 * ball.colour * (0.6 + 0.4 * normals[:, 2:])
        if ball.facets is not None:
            normals = ball.facets[(normals @ ball.facets.T).argmax(axis=1)]
        mirrored = directions - 2 * (normals * directions).sum(axis=1, keepdims=True) * normals
        return matt + 0.8 * self.light_from(mirrored)


def floor(places: Array) -> Array:
    """[R, 3] its colours at places [R, 3]: a pattern of soft tiles."""
    x, y = places[:, 0], places[:, 1]
    tiles = np.tanh(3 * np.sin(2.5 * x) * np.sin(2.5 * y))
    nearby = np.exp(-0.5 * ((x**2 + y**2) / 9) ** 2)
    return FLOOR * (1 + 0.35 * nearby * tiles)[:, None]


def spread(count: int, lowest: float, highest: float, turn: float = 0.0) -> Array:
    """[count, 3] unit vectors, evenly spread between two values of z."""
    z = lowest + (highest - lowest) * (np.arange(count) + 0.5) / count
    angles = turn + np.arange(count) * math.pi * (3 - math.sqrt(5))
    flat = np.sqrt(1 - z**2)
    return np.stack([flat * np.cos(angles), flat * np.sin(angles), z], axis=1)


def build(seed: int) -> Scene:
    random = np.random.default_rng(seed)
    balls = [Ball(np.array([0.0, 0.0, 0.85]), 0.85, np.array([0.5, 0.5, 0.55]), spread(48, -1, 1))]
    for number, radius in enumerate([0.6, 0.5, 0.55, 0.45, 0.6]):
        angle = 2 * math.pi * (number + 0.3 * random.random()) / 5
        place = 1.5 * np.array([math.cos(angle), math.sin(angle)])
        facets = None if number in ROUND else spread(24, -1, 1, turn=random.random())
        balls.append(Ball(np.array([*place, radius]), radius, 0.2 + 0.8 * random.random(3), facets))
    lamps = spread(LAMPS, 0.05, 0.95, turn=2 * math.pi * random.random())
    lights = 0.35 + 0.65 * random.random((LAMPS, 3))
    lights[np.arange(LAMPS), random.integers(3, size=LAMPS)] *= 0.2
    return Scene(balls, lamps, lights)


def poses(count: int, turn: float, distance: float = 5.0) -> list[Array]:
    """Camera-to-world matrices [4, 4], in OpenGL's axes, of cameras all around that look at the middle."""
    found = []
    for direction in spread(count, 0.45, 0.92, turn):
        forward = -direction
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, 0], pose[:3, 1], pose[:3, 2] = right, np.cross(right, forward), direction
        pose[:3, 3] = distance * direction + [0.0, 0.0, 0.4]
        found.append(pose)
    return found


def focal_length(width: int, height: int, fisheye: bool) -> float:
    """In pixels, per radian for the fisheye."""
    return math.hypot(width, height) / 2 / CORNER if fisheye else width / 2 / math.tan(FIELD_OF_VIEW / 2)


def photograph(scene: Scene, pose: Array, width: int, height: int, fisheye: bool = False) -> Array:
    """[height, width, 3] uint8."""
    focal = focal_length(width, height, fisheye)
    x = ((np.arange(width * RAYS) + 0.5) / RAYS - width / 2) / focal
    y = ((np.arange(height * RAYS) + 0.5) / RAYS - height / 2) / focal
    rays = np.stack(np.broadcast_arrays(x[None, :], -y[:, None], -1.0), axis=-1)
    if fisheye:
        angle = np.linalg.norm(rays[..., :2], axis=-1, keepdims=True)
        aside = np.sinc(angle / np.pi) * rays[..., :2]
        rays = np.concatenate([aside, -np.cos(angle)], axis=-1)
    directions = (rays / np.linalg.norm(rays, axis=-1, keepdims=True)).reshape(-1, 3) @ pose[:3, :3].T
    colours = scene.seen_along(np.broadcast_to(pose[:3, 3], directions.shape), directions)
    image = colours.reshape(height, RAYS, width, RAYS, 3).mean(axis=(1, 3))
    return (255 * image).round().astype(np.uint8)


def sparse_points(scene: Scene, count: int, random: np.random.Generator) -> tuple[Array, Array]:
    """Places [count, 3] on the surfaces and their matt colours [count, 3] in [0, 1]."""
    on_floor = count // 4
    places = np.concatenate([random.uniform(-3.5, 3.5, (on_floor, 2)), np.zeros((on_floor, 1))], axis=1)
    all_places, all_colours = [places], [floor(places)]
    areas = np.array([ball.radius**2 for ball in scene.balls])
    for ball, share in zip(scene.balls, areas / areas.sum(), strict=True):
        normals = random.normal(size=(round(share * (count - on_floor)), 3))
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        all_places.append(ball.centre + ball.radius * normals)
        all_colours.append(np.broadcast_to(0.1 + 0.3 * ball.colour, normals.shape))
    return np.concatenate(all_places), np.concatenate(all_colours).clip(0, 1)


def make(
    folder: Path, width: int, height: int, train: int, test: int, seed: int, fisheye: bool = False
) -> None:
    """Writes the scene into a folder."""
    scene, random = build(seed), np.random.default_rng(seed + 1)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    places, colours = sparse_points(scene, 4000, random)
    _write_points(folder / "points.ply", places, colours)
    for split, count, turn in (("train", train, 0.0), ("test", test, 1.0)):
        frames = []
        for number, pose in enumerate(poses(count, turn, 3.2 if fisheye else 5.0)):
            name = f"images/{split}_{number:03}.png"
            Image.fromarray(photograph(scene, pose, width, height, fisheye)).save(folder / name)
            frames.append({"file_path": name, "transform_matrix": pose.tolist()})
        values = {"w": width, "h": height, "ply_file_path": "points.ply", "frames": frames}
        if fisheye:
            values |= {"camera_model": "OPENCV_FISHEYE", "fl_x": focal_length(width, height, True)}
        else:
            values["camera_angle_x"] = FIELD_OF_VIEW
        (folder / f"transforms_{split}.json").write_text(json.dumps(values, indent=1) + "\n")


def _write_points(path: Path, places: Array, colours: Array) -> None:
    lines = ["ply", "format ascii 1.0", f"element vertex {len(places)}"]
    lines += [f"property float {axis}" for axis in "xyz"]
    lines += [f"property uchar {channel}" for channel in ("red", "green", "blue")]
    rows = zip(places, (255 * colours).round().astype(int), strict=True)
    lines += ["end_header", *(f"{x:.6f} {y:.6f} {z:.6f} {r} {g} {b}" for (x, y, z), (r, g, b) in rows)]
    path.write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--size", default="100x75", help="WIDTHxHEIGHT of the photographs")
    parser.add_argument("--train", type=int, default=96, help="photographs for training")
    parser.add_argument("--test", type=int, default=16, help="photographs for testing")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fisheye", action="store_true", help="photographs through a fisheye lens")
    args = parser.parse_args()
    try:
        width, height = (int(side) for side in args.size.split("x"))
    except ValueError:
        parser.error(f"--size {args.size}: must be two numbers, such as 100x75")
    make(args.output, width, height, args.train, args.test, args.seed, args.fisheye)
    print(f"{args.output}: {args.train} photographs for training, {args.test} for testing")


if __name__ == "__main__":
    main()
