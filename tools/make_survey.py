"""Makes an area seen from above, of any number of Gaussians, with photographs of it: a capture whose scene is
larger than memory (docs/mapping.md).

    .venv/bin/python tools/make_survey.py OUT --gaussians 3000000 --photographs 64

OUT has a transforms.json with photographs in a grid that look straight down, sparse points, and `start.ply`:
the scene that was photographed with all its colours half gone, for `train OUT --start OUT/start.ply`.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gsplat_core.io import export_pieces
from gsplat_core.io.arrays import blocks
from gsplat_core.io.pieces import PIECE, Pieces
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import sh0_of
from gsplat_core.store.active import ActiveSet
from gsplat_core.store.filling import store_of

SPACING = 0.5  # of photographs, which see an area of 1 by their proportions
ALTITUDE = 1.0
POINTS = 5000
LEFT = 0.5  # of the colours of the scene to start with


def area(num: int, photographs: int, seed: int, sh_degree: int = 3, contrast: float = 1.0) -> Pieces:
    """Hills with a pattern of colours of all sizes, from those of the hills to those of Gaussians."""
    side = SPACING * (math.isqrt(photographs) - 1) + 1.0
    columns = math.isqrt(num)
    size = side / columns

    def rows(part: slice) -> Gaussians:
        random = torch.Generator().manual_seed(seed * 1_000_003 + part.start)
        index = torch.arange(part.start, part.stop)
        count = len(index)
        place = torch.stack([index % columns, index // columns], dim=1)
        xy = (place + torch.rand(count, 2, generator=random)) * size - side / 2
        x, y = xy.unbind(dim=1)
        waves = [(2.0 * math.pi * 3.0**k, 0.5 / 1.5**k) for k in range(4)]
        pattern = sum(a * (f * x + k).sin() * (f * 0.8 * y - k).cos() for k, (f, a) in enumerate(waves))
        assert isinstance(pattern, torch.Tensor)
        hues = torch.stack([pattern, pattern.roll(7), (3 * x).sin() * (2 * y).cos()], dim=1)
        colors = (0.5 + contrast * (0.35 * hues + 0.05 * torch.randn(count, 3, generator=random))).clamp(0, 1)
        return Gaussians(
            means=torch.cat([xy, 0.05 * ((4 * x).sin() * (3 * y).cos())[:, None]], dim=1),
            quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(count, 1),
            scales=torch.tensor([0.6, 0.6, 0.2]).mul(size).log().repeat(count, 1),
            opacities=torch.full((count,), 2.0),
            sh0=sh0_of(colors)[:, None],
            shN=torch.zeros(count, (sh_degree + 1) ** 2 - 1, 3),
        )

    def pieces() -> Iterator[Gaussians]:
        return map(rows, blocks(num, PIECE))

    return Pieces(rows(slice(0, 0)), num, pieces)


def camera(number: int, photographs: int, width: int, height: int) -> Camera:
    columns = math.isqrt(photographs)
    x, y = (SPACING * (k - (columns - 1) / 2) for k in (number % columns, number // columns))
    viewmat = np.diag([1.0, -1.0, -1.0, 1.0])
    viewmat[:3, 3] = -viewmat[:3, :3] @ [x, y, ALTITUDE]
    K = np.array([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1.0]])
    return Camera(viewmat, K, width, height, f"{number:05d}.png")


def make_survey(
    output: Path, num: int, photographs: int, width: int, height: int, seed: int = 0, sh_degree: int = 3
) -> None:
    """
    Args:
        output: folder to write.
        num, photographs: how many Gaussians and photographs; the next lower square number of each.
    """
    num, photographs = math.isqrt(num) ** 2, math.isqrt(photographs) ** 2
    (output / "images").mkdir(parents=True, exist_ok=True)
    truth, frames = area(num, photographs, seed, sh_degree), []
    with tempfile.TemporaryDirectory(dir=output) as folder, store_of(folder, truth) as store:
        active = ActiveSet(store)
        for number in range(photographs):
            view = camera(number, photographs, width, height)
            with torch.no_grad():
                image = active.render(view).colors[0]
            pixels = (image.clamp(0, 1) * 255).round().byte().numpy()
            Image.fromarray(pixels).save(output / "images" / view.name)
            to_world = np.eye(4)
            to_world[:3, 3] = view.center
            frames.append({"file_path": f"images/{view.name}", "transform_matrix": to_world.tolist()})
    intrinsics = {"w": width, "h": height, "fl_x": width, "fl_y": width, "cx": width / 2, "cy": height / 2}
    capture = {**intrinsics, "ply_file_path": "points.ply", "frames": frames}
    (output / "transforms.json").write_text(json.dumps(capture, indent=1))
    _write_points(output / "points.ply", truth)
    export_pieces(output / "start.ply", area(num, photographs, seed, sh_degree, LEFT))


def _write_points(path: Path, truth: Pieces) -> None:
    every = max(1, truth.most // POINTS)
    places = torch.cat([piece.means[::every] for piece in truth.open()]).tolist()
    header = ["ply", "format ascii 1.0", f"element vertex {len(places)}"]
    header += [f"property float {axis}" for axis in "xyz"] + ["end_header"]
    path.write_text("\n".join([*header, *(f"{x} {y} {z}" for x, y, z in places)]) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--gaussians", type=int, default=3_000_000)
    parser.add_argument("--photographs", type=int, default=64)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    make_survey(given.output, given.gaussians, given.photographs, given.width, given.height, given.seed)
    print(f"wrote {given.output}")


if __name__ == "__main__":
    main()
