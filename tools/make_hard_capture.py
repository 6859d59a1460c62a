"""Makes a capture harder: photographs as people really take them, of one that was taken well.

    python tools/make_hard_capture.py CAPTURE -o FOLDER [--exposure] [--rectangles] [--poses 1 1]
        [--test-every 8] [--seed 0]

CAPTURE is a folder with images/ and a COLMAP model; what becomes of it is another such folder.

--exposure     every training photograph c becomes gain c^gamma, both between 0.6 and 1.6 (evenly in their
               logarithms), cut off at white
--rectangles   half of the training photographs have an opaque rectangle of one colour, a tenth of their area
--poses D P    every training camera is turned by D degrees about a random axis and moved by P percent of the
               scene's extent (that of 3DGS) in a random direction; the 3D points stay

Test photographs, every 8th of the order of names as in training, and their cameras stay as they are. What was
done to which photograph stands in hard_capture.json. The same seed gives the same capture, and what one
option does to it does not depend on the others.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from colmap_model.reposed import write_poses
from numpy.typing import NDArray
from PIL import Image

from gsplat_core.quaternions import rotation_matrix
from gsplat_core.scene.colmap import RegisteredImage, read_model
from gsplat_core.scene.scale import published_extent

LEAST, MOST = 0.6, 1.6
"""Of gains and gammas."""
AREA = 0.1
"""Of a rectangle, as a share of its photograph."""
NARROWEST, WIDEST = 0.5, 2.0
"""A rectangle's width, as a multiple of its height."""

Array = NDArray[Any]
Random = np.random.Generator


def exposures(random: Random, count: int) -> list[dict[str, float]]:
    """Gain and gamma of each photograph."""
    values = np.exp(random.uniform(math.log(LEAST), math.log(MOST), (count, 2)))
    return [{"gain": gain, "gamma": gamma} for gain, gamma in values.tolist()]


def rectangles(random: Random, sizes: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """For photographs of these sizes: x, y, width, height in pixels, and a colour; {} for half of them."""
    chosen = set(random.permutation(len(sizes))[: len(sizes) // 2].tolist())
    made = []
    for number, (width, height) in enumerate(sizes):
        aspect = math.exp(random.uniform(math.log(NARROWEST), math.log(WIDEST)))
        wide = min(round(math.sqrt(AREA * width * height * aspect)), width)
        high = min(round(AREA * width * height / wide), height)
        place = random.uniform(0, 1, 2)
        rectangle = {
            "x": round(place[0] * (width - wide)), "y": round(place[1] * (height - high)),
            "width": wide, "height": high, "colour": random.integers(0, 256, 3).tolist(),
        }  # fmt: skip
        made.append(rectangle if number in chosen else {})
    return made


def moved(
    random: Random, images: list[RegisteredImage], extent: float, degrees: float, percent: float
) -> dict[int, tuple[Array, Array]]:
    """Rotation and translation of each image, by its id, after it was turned about its centre and moved."""
    poses = {}
    for image in images:
        axis, way = (v / np.linalg.norm(v) for v in random.normal(size=(2, 3)))
        rotation = rotation_matrix(image.quaternion)
        centre = -rotation.T @ image.translation + percent / 100 * extent * way
        half = math.radians(degrees) / 2
        turned = rotation_matrix([math.cos(half), *(math.sin(half) * axis)]) @ rotation
        poses[image.id] = turned, -turned @ centre
    return poses


def exposed(pixels: Array, gain: float, gamma: float) -> Array:
    """A photograph [H, W, 3] uint8 exposed otherwise."""
    return np.rint(255 * (gain * (pixels / 255) ** gamma).clip(0, 1)).astype(np.uint8)


def covered(pixels: Array, rectangle: dict[str, Any]) -> Array:
    """A photograph [H, W, 3] uint8 with something in front of it."""
    x, y = rectangle["x"], rectangle["y"]
    pixels = pixels.copy()
    pixels[y : y + rectangle["height"], x : x + rectangle["width"]] = rectangle["colour"]
    return pixels


def make(
    capture: Path,
    folder: Path,
    exposure: bool = False,
    hidden: bool = False,
    poses: tuple[float, float] | None = None,
    test_every: int = 8,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Writes the harder capture into a new folder.

    Args:
        hidden: whether rectangles hide parts of photographs.
        poses: degrees, and percent of the extent.

    Returns:
        what was done to each training photograph, by name.
    """
    model = read_model(capture)
    images = sorted(model.images, key=lambda image: image.name)
    train = [image for number, image in enumerate(images) if not test_every or number % test_every]
    done: dict[str, dict[str, Any]] = {image.name: {} for image in train}
    shutil.copytree(capture / "images", folder / "images")
    model_folder = folder / model.folder.relative_to(capture)
    model_folder.mkdir(parents=True)
    for path in model.folder.iterdir():
        if path.stem in ("cameras", "images", "points3D"):
            shutil.copy(path, model_folder / path.name)

    # Numbers of their own for each option, so that they can be compared with and without it.
    random = [np.random.default_rng([seed, number]) for number in range(3)]
    if exposure:
        for name, values in zip(done, exposures(random[0], len(train)), strict=True):
            done[name] |= values
    if hidden:
        sizes = [(lens.width, lens.height) for lens in (model.lenses[image.camera_id] for image in train)]
        for name, rectangle in zip(done, rectangles(random[1], sizes), strict=True):
            done[name] |= {"rectangle": rectangle} if rectangle else {}
    for name, what in done.items():
        if what:
            change(folder / "images" / name, what)
    if poses is not None:
        centres = np.stack([-rotation_matrix(i.quaternion).T @ i.translation for i in train])
        changed = moved(random[2], train, published_extent(centres), *poses)
        write_poses(model_folder, changed)
        for image in train:
            done[image.name] |= {"degrees": poses[0], "percent": poses[1]}
    (folder / "hard_capture.json").write_text(json.dumps(done, indent=1) + "\n")
    return done


def change(path: Path, what: dict[str, Any]) -> None:
    """Writes a photograph with another exposure, another thing in front of it, or both."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    if "gain" in what:
        pixels = exposed(pixels, what["gain"], what["gamma"])
    if "rectangle" in what:
        pixels = covered(pixels, what["rectangle"])
    jpeg = {"quality": 95, "subsampling": 0} if path.suffix.lower() in (".jpg", ".jpeg") else {}
    Image.fromarray(pixels).save(path, **jpeg)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("capture", type=Path, metavar="CAPTURE")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="a new folder")
    parser.add_argument("--exposure", action="store_true", help="other gains and gammas")
    parser.add_argument("--rectangles", action="store_true", help="something in front of half of them")
    parser.add_argument(
        "--poses", type=float, nargs=2, metavar=("D", "P"), help="cameras off by D degrees, P percent"
    )
    parser.add_argument("--test-every", type=int, default=8, help="0: there are no test photographs")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.output.exists():
        parser.error(f"{args.output} exists already; name a new folder")
    poses = None if args.poses is None else tuple(args.poses)
    done = make(args.capture, args.output, args.exposure, args.rectangles, poses, args.test_every, args.seed)
    print(f"{args.output}: {len(done)} training photographs, {sum(map(bool, done.values()))} made harder")


if __name__ == "__main__":
    main()
