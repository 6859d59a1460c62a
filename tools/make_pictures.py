"""The pictures of the README and of the documentation's gallery, from a finished run of the sample scene.

    make demo
    python tools/make_pictures.py runs/demo

It writes docs/pictures: a still and a short orbit, and what else one call of the rasterizer can return. All
are renderings from where no photograph was taken, and nothing is done to them but the encoding.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gsplat_core.render.drawing import Outputs, Rendered
from gsplat_core.render.scene import render
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians
from trainers.camera_paths import Orbit, orbit_of_cameras
from trainers.messages import warn
from trainers.sources import load_photographs, load_scene, run_config

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "pictures"
QUALITY, ORBIT_QUALITY = 72, 50  # of WebP
ORBIT_WIDTH, ORBIT_FRAMES, ORBIT_SECONDS = 400, 60, 5.0
STILL_TURN = 0.35  # of the circle, where the still and the gallery look from
THIN, ROUND = 0.5, 0.95  # of the opacities and sizes of Gaussians that are shown as things


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, help="a finished run of data/")
    arguments = parser.parse_args()
    scene = load_scene(arguments.run, warn).detached()
    cameras = [view.camera for view in load_photographs(run_config(arguments.run), decode=False).train]
    orbit = orbit_of_cameras(cameras)
    FOLDER.mkdir(parents=True, exist_ok=True)
    frames = [picture(scene, camera) for camera in along(orbit, cameras[0], ORBIT_FRAMES, ORBIT_WIDTH)]
    pause = round(1000 * ORBIT_SECONDS / ORBIT_FRAMES)
    options = {"append_images": frames[1:], "loop": 0, "duration": pause, "quality": ORBIT_QUALITY}
    frames[0].save(FOLDER / "orbit.webp", save_all=True, method=6, **options)
    stills = along(orbit, cameras[0], 100, 2 * cameras[0].width)
    camera = stills[round(100 * STILL_TURN)]
    shown = {"still": picture(scene, camera)}
    camera = resized(camera, cameras[0].width)
    asked = Outputs(depth="expected", further=("normals", "counts"))
    drawn = render(scene, camera, outputs=asked)
    shown["depth"] = depth_picture(drawn)
    shown["normals"] = from_tensor(0.5 - 0.5 * drawn.meta["normals"][0])
    shown["counts"] = count_picture(drawn)
    shown["gaussians"] = picture(as_things(scene), camera)
    for name, image in shown.items():
        image.save(FOLDER / f"{name}.webp", quality=QUALITY, method=6)
    for path in sorted(FOLDER.iterdir()):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


def along(orbit: Orbit, like: Camera, count: int, width: int) -> list[Camera]:
    """The cameras of an orbit with the lens of `like` and another size."""
    return [resized(camera, width) for camera in orbit.cameras(count, like)]


def resized(camera: Camera, width: int) -> Camera:
    """The camera with as much in view on images of another width."""
    factor = width / camera.width
    K = camera.K * np.array([[factor], [factor], [1.0]])
    return replace(camera, K=K, width=width, height=round(camera.height * factor))


def picture(scene: Gaussians, camera: Camera) -> Image.Image:
    return from_tensor(render(scene, camera).colors[0])


def from_tensor(image: Tensor) -> Image.Image:
    """Of colours [H, W, 3] from 0 to 1."""
    return Image.fromarray((image.clamp(0, 1) * 255).round().byte().cpu().numpy())


def depth_picture(drawn: Rendered) -> Image.Image:
    """Near is bright; the ends of the scale leave out a hundredth on either side."""
    inverse = drawn.depths[0].clamp(min=1e-6).reciprocal()
    inverse = torch.where(drawn.alphas[0, ..., 0] > THIN, inverse, 0.0)
    low, high = torch.quantile(inverse, torch.tensor([0.01, 0.99]))
    return coloured((inverse - low) / (high - low), "magma")


def count_picture(drawn: Rendered) -> Image.Image:
    """How many Gaussians each pixel blends."""
    counts = drawn.meta["counts"][0].float()
    return coloured(counts / torch.quantile(counts, 0.995), "viridis")


def coloured(values: Tensor, scale: str) -> Image.Image:
    colors = matplotlib.colormaps[scale](values.clamp(0, 1).cpu().numpy())[..., :3]
    return from_tensor(torch.from_numpy(colors))


def as_things(scene: Gaussians) -> Gaussians:
    """The scene with Gaussians that end where they have half of their standard deviation, and hide what is
    behind them: one sees what it is made of."""
    opaque = scene.opacities.sigmoid() > THIN
    kept = scene.subset(opaque)
    return replace(
        kept,
        scales=kept.scales + float(np.log(THIN)),
        opacities=torch.full_like(kept.opacities, float(torch.tensor(ROUND).logit())),
    )


if __name__ == "__main__":
    main()
