"""What the order of each pixel's own costs: python tools/bench_orders.py [--run RUN] [--isa avx2].

Composites one scene in both orders and prints the processor time per pair of a pixel and a splat that
contributes to it, on one thread, and the ratio to the global order's. Both take turns in one process.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch
import tyro
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from interleaved import median_seconds

from gsplat_core.ops.variants import NO_CARRIERS
from gsplat_core.reference import RESPONSES
from gsplat_core.render import stages
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.rays import canonical_frames, pixel_rays
from gsplat_core.render.settings import ORDERS, USUAL
from trainers.messages import warn
from trainers.sources import load_scene, photographs_of

ops = torch.ops.gsplat_core


def main(
    run: Path | None = None,
    gaussians: int = 100_000,
    width: int = 960,
    height: int = 540,
    rounds: int = 9,
    response: str = "gaussian",
    isa: str = "",
) -> None:
    """Compare the orders.

    Args:
        run: a training run, seen by its first camera; without it there are random Gaussians.
        gaussians: of the random scene.
        width, height: of their image.
        rounds: of which the median counts.
        response: of the Gaussians.
        isa: the instruction set; without it the best one.
    """
    torch.set_num_threads(1)
    if isa:
        ops.set_isa(isa)
    given, (width, height) = _random(gaussians, width, height) if run is None else _of_run(run)
    work = {order: _Work(given, response, order, width, height) for order in ORDERS}
    contenders = {f"{name} forward": each.forward for name, each in work.items()}
    contenders |= {f"{name} backward": each.backward for name, each in work.items()}
    for run in contenders.values():
        run()
    seconds = median_seconds(contenders, rounds, threads=1)
    print(f"{len(given[0]):,} Gaussians, {width}x{height}, {response}, {ops.isa()}: ns per pair (ratio)")
    both = {name: [seconds[f"{name} {part}"] / work[name].pairs for part in _PARTS] for name in ORDERS}
    for name, parts in both.items():
        ratios = [part / usual for part, usual in zip(parts, both["global"], strict=True)]
        print(
            f"{name:7} {work[name].pairs / 1e6:7.1f} M pairs, "
            + ", ".join(
                f"{part} {1e9 * cost:6.2f} ({ratio:.2f})"
                for part, cost, ratio in zip(_PARTS, parts, ratios, strict=True)
            )
            + f", both {sum(parts) / sum(both['global']):.2f}"
        )


_PARTS = ("forward", "backward")


def _random(count: int, width: int, height: int) -> tuple[tuple[Tensor, ...], tuple[int, int]]:
    """Means, quaternions, scales and opacities in a box in front of a camera, its pose and intrinsics."""
    g = torch.Generator().manual_seed(0)
    means = (torch.rand(count, 3, generator=g) - 0.5) * torch.tensor([8.0, 5.0, 6.0])
    scales = 0.03 * torch.exp(0.8 * torch.randn(count, 3, generator=g))
    K = torch.tensor([[0.7 * width, 0, width / 2], [0, 0.7 * width, height / 2], [0, 0, 1.0]])
    gaussians = (
        means + torch.tensor([0.0, 0.0, 6.0]), torch.randn(count, 4, generator=g), scales,
        torch.rand(count, generator=g), torch.eye(4), K,
    )  # fmt: skip
    return gaussians, (width, height)


def _of_run(path: Path) -> tuple[tuple[Tensor, ...], tuple[int, int]]:
    scene = load_scene(path, warn).detached()
    dataset, _ = photographs_of(path, None)
    assert dataset is not None
    camera = Cameras.of(dataset.train[0].camera, scene.means.device)
    gaussians = (
        scene.means, scene.quats, scene.scales.exp(), scene.opacities.sigmoid(), camera.viewmats[0],
        camera.Ks[0],
    )  # fmt: skip
    return gaussians, (camera.width, camera.height)


class _Work:
    """The compositing in one order, forth and back."""

    def __init__(
        self, gaussians: tuple[Tensor, ...], response: str, order: str, width: int, height: int
    ) -> None:
        means, quats, scales, opacities = (tensor[None].contiguous() for tensor in gaussians[:4])
        viewmats, Ks = (tensor[None, None] for tensor in gaussians[4:])
        settings = replace(USUAL, order=order).for_response(response)
        extras = None
        if ranges := RESPONSES[response].extras:
            middle = torch.tensor([(low + high) / 2 for low, high in ranges])
            extras = middle.expand(1, means.shape[1], -1).contiguous()
        splats = stages.project(
            means, quats, scales, None, opacities, viewmats, Ks, width, height, settings,
            levels=stages.levels(opacities, response, extras),
        )  # fmt: skip
        of_splats = stages.extras_of_splats(extras, splats)
        lists = stages.bin_splats(splats, width, height, settings, response=response, extras=of_splats)
        g = torch.Generator().manual_seed(0)
        colors = torch.rand(1, means.shape[1], 3, generator=g)
        rays: tuple[Tensor | None, Tensor | None] = (None, None)
        if order == "pixel":
            frames = canonical_frames(means, quats, scales, None, viewmats)
            rays = (frames[0], pixel_rays("pinhole", viewmats, Ks, None, width, height)[0])
        flat = (splats.means2d[0], splats.shapes[0], splats.opacities[0])
        where = (*lists, width, height, settings.numbers())
        how = (None if of_splats is None else of_splats[0].contiguous(), response, *rays)
        self._arguments = (*flat, colors, None, *where, *how)
        self.pairs = ops.contributions(*flat, *where, *how)[..., 1].double().sum().item()
        self._gradients = (
            torch.rand(1, height, width, 3, generator=g), torch.zeros(1, height, width, 1)
        )  # fmt: skip
        self._image = self.forward()

    def forward(self) -> list[Tensor]:
        return list(ops.composite(*self._arguments, *NO_CARRIERS))[:2]

    def backward(self) -> object:
        return ops.composite_backward(*self._arguments, *self._image, *self._gradients)


if __name__ == "__main__":
    tyro.cli(main)
