"""What the responses cost beside the Gaussian: python tools/bench_responses.py [--gaussians N] [--isa avx2].

Composites one scene with each and prints the processor time per pair of a pixel and a splat that contributes
to it, on one thread, and the ratio to the Gaussian's. All take turns in one process.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import tyro
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from interleaved import median_seconds

from gsplat_core.ops.variants import NO_CARRIERS, NO_RAYS
from gsplat_core.reference import RESPONSES
from gsplat_core.render.settings import USUAL
from gsplat_core.render.variants import EVERY_RESPONSE
from trainers.benchmark.splats import Splats, random_splats

ops = torch.ops.gsplat_core


def main(
    gaussians: int = 100_000, width: int = 960, height: int = 540, rounds: int = 9, isa: str = ""
) -> None:
    """Compare the responses.

    Args:
        gaussians: of the synthetic scene.
        width, height: of its image.
        rounds: of which the median counts.
        isa: the instruction set; without it the best one.
    """
    torch.set_num_threads(1)
    if isa:
        ops.set_isa(isa)
    contenders, pairs = {}, {}
    for name in EVERY_RESPONSE:
        ranges = RESPONSES[name].extras if name in RESPONSES else ()
        middle = torch.tensor([(low + high) / 2 for low, high in ranges])
        extras = middle.expand(1, gaussians, -1).contiguous() if ranges else None
        work = _Work(name, extras, gaussians, width, height)
        pairs[name] = work.pairs
        work.backward()
        contenders |= {f"{name} forward": work.forward, f"{name} backward": work.backward}
    seconds = median_seconds(contenders, rounds, threads=1)
    print(f"{gaussians:,} Gaussians, {width}x{height}, {ops.isa()}: ns per pair (times the Gaussian's)")
    per_pair = {
        name: [seconds[f"{name} {pass_}"] / pairs[name] for pass_ in ("forward", "backward")]
        for name in pairs
    }
    for name, (forward, backward) in per_pair.items():
        both = (forward + backward) / sum(per_pair["gaussian"])
        first, second = (a / b for a, b in zip((forward, backward), per_pair["gaussian"], strict=True))
        print(
            f"{name:12} forward {1e9 * forward:6.2f} ({first:.2f}), backward {1e9 * backward:6.2f} "
            f"({second:.2f}), both {both:.2f}"
        )


class _Work:
    """The compositing of one response, forth and back."""

    def __init__(self, name: str, extras: Tensor | None, gaussians: int, width: int, height: int) -> None:
        s = random_splats(gaussians, width, height)
        drawing = (width, height, USUAL.for_response(name).numbers())
        levels = ops.response_levels(s.opacities, extras, name)
        splats = (s.means2d, s.shapes, s.depths, s.opacities, s.radii)
        lists = ops.bin_splats(*splats, *drawing, levels)
        rays = NO_RAYS
        if EVERY_RESPONSE[name].along_rays:
            rays = (_surfels(s) if EVERY_RESPONSE[name].flat else _canonical(s), _rays(s))
        along = (*lists, *drawing, extras, name, *rays)
        self._arguments = (s.means2d, s.shapes, s.opacities, s.colors, None, *along)
        counted = ops.contributions(s.means2d, s.shapes, s.opacities, *along)
        self.pairs = counted[..., 1].double().sum().item()
        generator = torch.Generator().manual_seed(0)
        self._gradients = (
            torch.rand(1, height, width, 3, generator=generator), torch.zeros(1, height, width, 1),
        )  # fmt: skip
        self._image = self.forward()

    def forward(self) -> list[Tensor]:
        return list(ops.composite(*self._arguments, *NO_CARRIERS))[:2]

    def backward(self) -> object:
        return ops.composite_backward(*self._arguments, *self._image, *self._gradients)


def _slopes(s: Splats) -> Tensor:
    return (s.means2d - torch.tensor([s.width / 2, s.height / 2])) / s.width


def _canonical(s: Splats) -> Tensor:
    """Gaussians that appear as the splats do to a pinhole camera."""
    focal, z, slopes = float(s.width), s.depths, _slopes(s)
    l11, l21, l22 = (s.shapes * focal / z[..., None]).unbind(-1)
    zero = torch.zeros_like(z)
    # Rows that are perpendicular to the ray of the mean, and one that is not.
    rows = [l11, l21, -(slopes * torch.stack([l11, l21], -1)).sum(-1), zero, l22, -l22 * slopes[..., 1]]
    frames = torch.stack([*rows, zero, zero, l11], dim=-1)
    means = torch.cat([slopes, torch.ones_like(z)[..., None]], dim=-1) * z[..., None]
    centres = -(frames.unflatten(-1, (3, 3)) @ means[..., None])[..., 0]
    return torch.cat([frames, centres], dim=-1)


def _surfels(s: Splats) -> Tensor:
    """Discs parallel to the image that appear as the splats do."""
    size = s.depths / s.width
    l11, l21, l22 = s.shapes.unbind(-1)
    zero, one = torch.zeros_like(size), torch.ones_like(size)
    first = torch.stack([size / l11, zero, zero], dim=-1)
    second = torch.stack([-size * l21 / (l11 * l22), size / l22, zero], dim=-1)
    means = torch.cat([_slopes(s), one[..., None]], dim=-1) * s.depths[..., None]
    return torch.cat([first, second, means, torch.stack([zero, zero, 0.01 * one], dim=-1)], dim=-1)


def _rays(s: Splats) -> Tensor:
    """Those of the camera."""
    x, y = torch.meshgrid(torch.arange(s.width) + 0.5, torch.arange(s.height) + 0.5, indexing="xy")
    directions = [(x - s.width / 2) / s.width, (y - s.height / 2) / s.width, torch.ones_like(x)]
    return torch.stack(directions, dim=-1)[None]


if __name__ == "__main__":
    tyro.cli(main)
