"""How well the modes of flow follow motions that are known.

    python tools/flow_errors.py

Gaussians lie on a plane before a camera, many small ones or few large ones, and the plane moves. What a pixel
shows then moves as the point of the plane behind it: the table has the mean distance to that in pixels
(end-point error) of the flow divided by alpha, over the pixels that the Gaussians cover, and the length of
the true flow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
import tyro
from torch import Tensor

from gsplat_core import rasterization
from gsplat_core.quaternions import multiply
from gsplat_core.render.flow import Flow

SIDE, FOCAL, DISTANCE = 64, 90.0, 4.0
MODES: tuple[Literal["translation", "roots", "material"], ...] = ("translation", "roots", "material")
DEGREES = 15.0


def turn(axis: int) -> tuple[Tensor, Tensor]:
    """A rotation about an axis as a quaternion and as a matrix."""
    angle = math.radians(DEGREES)
    quaternion, matrix = torch.zeros(4), torch.eye(3)
    quaternion[0], quaternion[1 + axis] = math.cos(angle / 2), math.sin(angle / 2)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[i, i] = matrix[j, j] = math.cos(angle)
    matrix[i, j], matrix[j, i] = -math.sin(angle), math.sin(angle)
    return quaternion, matrix


NOT_TURNED = torch.tensor([1.0, 0.0, 0.0, 0.0])
STRETCH = torch.tensor([1.2, 0.85, 1.0])
# How the plane moves around its centre, as a rotation and as a matrix, how it is shifted, and how the
# Gaussians are stretched.
MOTIONS: dict[str, tuple[Tensor, Tensor, Tensor, Tensor]] = {
    "translation": (NOT_TURNED, torch.eye(3), torch.tensor([0.12, 0.08, 0.0]), torch.ones(3)),
    "rotation in the image": (*turn(2), torch.zeros(3), torch.ones(3)),
    "rotation about y": (*turn(1), torch.zeros(3), torch.ones(3)),
    "stretch 1.2 x 0.85": (NOT_TURNED, torch.diag(STRETCH), torch.zeros(3), STRETCH),
}


def plane(num: int, size: float, upright: bool) -> dict[str, Tensor]:
    """Gaussians without thickness, of about this size, turned in the plane unless upright."""
    g = torch.Generator().manual_seed(num)
    angles = torch.zeros(num) if upright else math.pi * torch.rand(num, generator=g)
    zero = torch.zeros(num)
    return {
        "means": torch.stack([*(torch.rand(2, num, generator=g) * 2.4 - 1.2), zero + DISTANCE], -1),
        "quats": torch.stack([(angles / 2).cos(), zero, zero, (angles / 2).sin()], -1),
        "scales": torch.cat([size * (0.6 + 0.8 * torch.rand(num, 2, generator=g)), zero[:, None] + 1e-3], -1),
        "opacities": torch.full((num,), 0.95),
    }


def errors(num: int, size: float, motion: str) -> list[float]:
    """The length of the true flow, and the errors of `MODES`."""
    quaternion, matrix, shift, stretch = MOTIONS[motion]
    first = plane(num, size, upright=bool((stretch != 1).any()))
    centre = torch.tensor([0.0, 0.0, DISTANCE])

    def moved(points: Tensor) -> Tensor:
        return (points - centre) @ matrix.mT + centre + shift

    half = SIDE / 2
    y, x = torch.meshgrid(torch.arange(SIDE) + 0.5 - half, torch.arange(SIDE) + 0.5 - half, indexing="ij")
    there = moved(torch.stack([x, y, torch.full_like(x, FOCAL)], -1) * (DISTANCE / FOCAL))
    true = FOCAL * there[..., :2] / there[..., 2:] - torch.stack([x, y], -1)
    second = {
        "means": moved(first["means"]),
        "quats": multiply(quaternion.expand(num, 4), first["quats"]),
        "scales": first["scales"] * stretch,
    }
    K = torch.tensor([[FOCAL, 0, half], [0, FOCAL, half], [0, 0, 1]])
    measure: Callable[[Tensor], float] = lambda error: error.norm(dim=-1)[solid].mean().item()  # noqa: E731
    found = []
    for mode in MODES:
        _, alphas, meta = rasterization(
            **first, colors=None, viewmats=torch.eye(4)[None], Ks=K[None], width=SIDE, height=SIDE,
            render_mode="D", flow=Flow(**second, mode=mode),
        )  # fmt: skip
        solid = alphas[0, ..., 0] > 0.5
        found.append(measure(meta["flow"][0] / alphas[0].clamp(min=1e-6) - true))
    return [measure(true), *found]


def main() -> None:
    """Print the table."""
    print("| end-point error, pixels | true flow | " + " | ".join(MODES) + " |")
    print("|---|" + "---|" * (1 + len(MODES)))
    for motion in MOTIONS:
        for num, size in ((150, 0.12), (12, 0.5)):
            numbers = " | ".join(f"{error:.3f}" for error in errors(num, size, motion))
            print(f"| {motion}, {num} Gaussians | {numbers} |")


if __name__ == "__main__":
    tyro.cli(main)
