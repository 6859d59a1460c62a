"""How much pops when a camera turns, in the global order and in the order of each pixel's own.

    python tools/popping.py RUN_OR_FILE [--data PHOTOS] [-o FOLDER]

A camera turns about its centre in small steps. Nothing that it sees changes but where it appears, so each
frame should be the one before it, moved (a homography). What remains when it is moved is what splats on the
screen are not quite right about, resampling, which finer images and a blur make small, and splats that
swapped. Along a path that goes sideways, a tenth of a pixel at a time, the second difference of frames is
measured: steady changes leave nothing, pops do. Frames are saved, and a picture of where it popped most.
"""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import torch
import tyro
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.scene import render
from gsplat_core.render.settings import ORDERS, USUAL
from gsplat_core.scene.gaussians import Gaussians
from trainers import media
from trainers.messages import warn
from trainers.sources import load_scene, photographs_of


def main(
    source: tyro.conf.Positional[Path],
    data: Path | None = None,
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None,
    view: int = 0,
    degrees: tuple[float, ...] = (0.1, 2.0, 8.0),
    frames: int = 6,
    finer: int = 1,
) -> None:
    """Measure the popping of a scene.

    Args:
        source: a run, or a splat file with `data`.
        data: photographs whose cameras are used.
        output: folder for the frames.
        view: which photograph's camera.
        degrees: by which the camera turns between two frames.
        frames: of each path.
        finer: how many times as wide and high as the photographs frames are rendered.
    """
    scene = load_scene(source, warn).detached().with_metadata(pixel_order=False)
    dataset, _ = photographs_of(source, data, None)
    if dataset is None:
        raise SystemExit("Name photographs: --data FOLDER.")
    camera = Cameras.of((dataset.train + dataset.test)[view].camera, scene.means.device)
    print(
        f"{scene.num:,} Gaussians, {camera.width}x{camera.height}, {frames} frames, {degrees} degrees apart"
    )
    for angle in (*degrees, 0.0):
        path = f"turn by {angle:g}" if angle else "walk"
        for order in ORDERS:
            images = _frames(scene, camera, order, frames, angle)
            differences = _differences(images, camera, angle)
            pixels = torch.cat([d.flatten() for d in differences])
            worst = max(range(len(differences)), key=lambda i: differences[i].mean().item())
            print(
                f"{path:12} {order:7} mean {255 * pixels.mean():.3f}/255, "
                f"99.9 percent below {255 * pixels.quantile(0.999):.2f}/255, "
                f"above 2/255: {100 * (pixels > 2 / 255).double().mean():.3f} %"
            )
            name = path.replace(" ", "_")
            if output is not None:
                for i, image in enumerate(images):
                    media.save_png(output / f"{name}_{order}_{i:03}.png", image, below=output)
                shown = (20 * differences[worst]).clamp(max=1)[..., None].expand(-1, -1, 3)
                media.save_png(output / f"{name}_{order}_popped_x20_{worst:03}.png", shown, below=output)


def _frames(scene: Gaussians, camera: Cameras, order: str, frames: int, degrees: float) -> list[Tensor]:
    images = []
    depths = scene.means @ camera.viewmats[0, 2, :3] + camera.viewmats[0, 2, 3]
    depth = depths[depths > 0].median()
    for i in range(frames):
        pose = camera.viewmats[0].clone()
        if not degrees:
            pose[0, 3] += 0.1 * i * depth / camera.Ks[0, 0, 0]
        else:
            pose = _turn(i * math.radians(degrees)).to(pose) @ pose
        settings = replace(USUAL, order=order)
        with torch.no_grad():
            seen = render(scene, replace(camera, viewmats=pose[None]), settings)
        images.append(seen.colors[0].clamp(0, 1))
    return images


def _turn(angle: float) -> Tensor:
    """About the vertical axis of the camera."""
    turn = torch.eye(4)
    turn[0, 0] = turn[2, 2] = math.cos(angle)
    turn[0, 2], turn[2, 0] = math.sin(angle), -math.sin(angle)
    return turn


def _differences(images: list[Tensor], camera: Cameras, degrees: float) -> list[Tensor]:
    """[H, W] between neighbouring frames, of blurred images."""
    blurred = [_blurred(image) for image in images]
    if degrees:
        pairs = [
            (image, *_moved(before, camera, math.radians(degrees))) for before, image in pairwise(blurred)
        ]
        return [((a - b).abs().amax(-1) * inside) for a, b, inside in pairs]
    triples = zip(blurred, blurred[1:], blurred[2:], strict=False)
    return [(a - 2 * b + c).abs().amax(-1) for a, b, c in triples]


def _blurred(image: Tensor) -> Tensor:
    x = torch.arange(-4.0, 5)
    kernel = torch.exp(-x.square() / 2)
    kernel = (kernel / kernel.sum()).to(image)
    planes = image.permute(2, 0, 1)[:, None]
    planes = torch.nn.functional.conv2d(planes, kernel[None, None, :, None], padding=(4, 0))
    return torch.nn.functional.conv2d(planes, kernel[None, None, None], padding=(0, 4))[:, 0].permute(1, 2, 0)


def _moved(image: Tensor, camera: Cameras, angle: float) -> tuple[Tensor, Tensor]:
    """What a camera sees that is turned by the angle, and where that was inside the image."""
    height, width = image.shape[:2]
    K = camera.Ks[0]
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    pixels = torch.stack([x, y, torch.ones_like(x)], dim=-1).to(image)
    rays = pixels @ torch.linalg.inv(K).T @ _turn(angle)[:3, :3].to(image)  # back into the camera before
    before = rays @ K.T
    place = before[..., :2] / before[..., 2:]
    grid = 2 * place / torch.tensor([width, height]).to(image) - 1
    moved = torch.nn.functional.grid_sample(
        image.permute(2, 0, 1)[None], grid[None], mode="bicubic", align_corners=False
    )[0].permute(1, 2, 0)
    inside = (grid.abs() < 1 - 12 / min(width, height)).all(-1)
    return moved, inside


if __name__ == "__main__":
    tyro.cli(main)
