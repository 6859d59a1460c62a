"""A scene whose Gaussians have known labels: two objects before a backdrop, cameras before them on an arc."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gsplat_core.labels import LABEL, label_image, labelled
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians
from trainers.camera_paths import look_at
from trainers.evaluation import render
from trainers.media import save_png

WIDTH, HEIGHT = 96, 72
SHIFT = (4, 3)


def labelled_scene(of_each: int = 250, seed: int = 0) -> Gaussians:
    """Labels 0 (the backdrop), 1 and 2; everything within about a unit ball."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g)

    directions = torch.nn.functional.normalize(normal(2, of_each, 3), dim=2)
    axes = torch.tensor([[0.28, 0.42, 0.28], [0.34, 0.24, 0.34]])[:, None]
    centres = torch.tensor([[-0.42, 0.0, 0.1], [0.4, 0.12, -0.15]])[:, None]
    objects = (centres + axes * directions).flatten(0, 1)
    wall = torch.cat(
        [torch.rand(3 * of_each, 2, generator=g) * 3.4 - 1.7, torch.full((3 * of_each, 1), 0.9)], 1
    )
    means = torch.cat([wall, objects])
    num = len(means)
    scales = torch.full((num, 3), 0.05).log() + 0.2 * normal(num, 3)
    scales[: len(wall)] += 0.5
    scene = Gaussians(
        means, normal(num, 4), scales, 1.5 + normal(num), normal(num, 1, 3), torch.zeros(num, 0, 3)
    )
    return labelled(scene, torch.tensor([0, 1, 2]).repeat_interleave(torch.tensor([3, 1, 1]) * of_each))


def arc(count: int) -> list[Camera]:
    """Cameras that look at the middle, from -50 to 50 degrees."""
    K = np.array([[1.2 * WIDTH, 0, WIDTH / 2], [0, 1.2 * WIDTH, HEIGHT / 2], [0, 0, 1]])
    cameras = []
    for i, angle in enumerate(np.radians(np.linspace(-50, 50, count))):
        eye = 3.2 * np.array([np.sin(angle), -0.2 + 0.1 * (i % 3), -np.cos(angle)])
        cameras.append(
            Camera(look_at(eye, np.zeros(3), np.array([0.0, -1, 0])), K, WIDTH, HEIGHT, f"{i:03d}.png")
        )
    return cameras


def noisy_masks(scene: Gaussians, cameras: list[Camera], seed: int = 1) -> list[Tensor]:
    """The rendered labels, of which a tenth of the pixels are random and every eighth image is shifted."""
    g = torch.Generator().manual_seed(seed)
    masks, labels = [], 1 + int(scene.extras[LABEL].max())
    for i, camera in enumerate(cameras):
        mask = label_image(scene, camera)
        if i % 8 == 1:
            mask = mask.roll(SHIFT, dims=(1, 0))
        wrong = torch.rand(mask.shape, generator=g) < 0.1
        masks.append(torch.where(wrong, torch.randint(0, labels, mask.shape, generator=g), mask))
    return masks


def write_capture(folder: Path, scene: Gaussians, cameras: list[Camera]) -> None:
    """Photographs of the scene with a transforms.json."""
    frames = []
    for camera in cameras:
        save_png(folder / "images" / camera.name, render(scene, camera), below=folder)
        pose = np.linalg.inv(camera.viewmat) @ np.diag([1.0, -1, -1, 1])
        frames.append({"file_path": f"images/{camera.name}", "transform_matrix": pose.tolist()})
    K = cameras[0].K
    intrinsics = {"w": WIDTH, "h": HEIGHT, "fl_x": K[0, 0], "fl_y": K[1, 1], "cx": K[0, 2], "cy": K[1, 2]}
    (folder / "transforms.json").write_text(json.dumps({**intrinsics, "frames": frames}))
