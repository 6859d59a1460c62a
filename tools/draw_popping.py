"""A picture of what pops when a camera goes around few large Gaussians, drawn as splats and as a density.

    python tools/draw_popping.py [-o docs/raygauss_popping.jpg]

Seven Gaussians of different colours lie in each other. Between two frames the camera goes a twentieth of a
degree. Above are splats, below the same Gaussians as a density: two frames, and what differs between them, 8
times as bright. It is the pair of frames between which splats change most.
"""

from __future__ import annotations

import math
import sys
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from PIL import Image
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.scene import render
from gsplat_core.scene.gaussians import Gaussians

SIZE, DISTANCE, DEGREES, BRIGHTER = 320, 5.0, 0.05, 8.0


def main(
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("popping.jpg"), frames: int = 400
) -> None:
    """Draw it.

    Args:
        output: the picture.
        frames: of the path.
    """
    plain = scene()
    dense = plain.with_primitive("raygauss").with_metadata(ray_step=0.01)
    angles = [DEGREES * i for i in range(frames)]
    splats = [frame(plain, angle) for angle in angles]
    changes = [(a - b).abs().mean() for a, b in pairwise(splats)]
    at = int(torch.stack(changes).argmax())
    rows = []
    for kind, given in (("splats", plain), ("density", dense)):
        pair = [frame(given, angle) for angle in angles[at : at + 2]]
        change = (pair[0] - pair[1]).abs()
        print(f"{kind:8} mean change {255 * change.mean():.3f}/255, largest {255 * change.max():.1f}/255")
        rows.append(torch.cat([*pair, BRIGHTER * change], dim=1))
    print(
        f"at {angles[at]:.2f} degrees; median change of splats {255 * torch.stack(changes).median():.3f}/255"
    )
    picture = (255 * torch.cat(rows).clamp(0, 1)).round().byte()
    Image.fromarray(np.asarray(picture)).save(output, quality=92)


def scene() -> Gaussians:
    random = torch.Generator().manual_seed(4)
    hues = torch.arange(7) / 7 * 2 * math.pi
    colors = 0.5 + 0.5 * torch.stack([torch.cos(hues - shift) for shift in (0.0, 2.1, 4.2)], dim=1)
    return Gaussians(
        means=0.35 * torch.randn(7, 3, generator=random),
        quats=torch.randn(7, 4, generator=random),
        scales=torch.log(0.25 + 0.5 * torch.rand(7, 3, generator=random)),
        opacities=torch.full((7,), 2.0),
        sh0=((colors - 0.5) / 0.28209479177387814)[:, None],
        shN=torch.zeros(7, 0, 3),
    )


@torch.no_grad()
def frame(given: Gaussians, degrees: float) -> Tensor:
    """[H, W, 3] from a place on a circle around the origin."""
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    viewmat = torch.tensor([[cos, 0, -sin, 0], [0, 1, 0, 0], [sin, 0, cos, DISTANCE], [0, 0, 0, 1]])
    K = torch.tensor([[1.2 * SIZE, 0, SIZE / 2], [0, 1.2 * SIZE, SIZE / 2], [0, 0, 1]])
    image: Tensor = render(given, Cameras(viewmat[None], K[None], SIZE, SIZE)).colors[0]
    return image


if __name__ == "__main__":
    tyro.cli(main)
