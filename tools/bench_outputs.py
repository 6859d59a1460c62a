"""What each output of a rendering costs, against the colours alone: `python tools/bench_outputs.py`.

Forward and backward on the CPU, on one thread, in turns. A "colour channel" is a third of a rendering with
three.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import tyro
from interleaved import median_seconds
from torch import Tensor

from gsplat_core import rasterization
from gsplat_core.render.flow import Flow

DIFFERENTIABLE = ("normals", "inverse_depth", "median_depth", "flow")


def main(num: int = 50_000, width: int = 640, height: int = 480, rounds: int = 11) -> None:
    """Print a table.

    Args:
        num: Gaussians, of a few pixels each.
        width, height: of the image.
        rounds: how often each is measured.
    """
    torch.set_num_threads(1)
    g = torch.Generator().manual_seed(0)
    scene = {
        "means": torch.randn(num, 3, generator=g) + torch.tensor([0.0, 0.0, 5.0]),
        "quats": torch.randn(num, 4, generator=g),
        "scales": 0.004 + 0.03 * torch.rand(num, 3, generator=g) ** 2,
        "opacities": torch.rand(num, generator=g),
        "colors": torch.rand(num, 3, generator=g),
    }
    K = torch.tensor([[0.8 * width, 0.0, width / 2], [0.0, 0.8 * width, height / 2], [0.0, 0.0, 1.0]])
    camera = {"viewmats": torch.eye(4)[None], "Ks": K[None], "width": width, "height": height}
    labels = torch.arange(width).expand(1, height, width) * 8 // width
    moved = scene["means"] + 0.02

    def step(asked: Callable[[], dict[str, Any]]) -> Callable[[], None]:
        def work() -> None:
            leaves = {name: tensor.clone().requires_grad_() for name, tensor in scene.items()}
            colors, _, meta = rasterization(**leaves, **camera, **asked())
            images: list[Tensor] = [colors, *(meta[name] for name in DIFFERENTIABLE if name in meta)]
            images += meta.get("features", {}).values()
            torch.autograd.backward(images, [torch.ones_like(image) for image in images])

        return work

    def flow(detached: bool) -> dict[str, Any]:
        return {"flow": Flow(means=moved.clone().requires_grad_(), detached=detached)}

    ids = ["first_ids", "median_ids", "strongest_ids", "counts"]
    asked: dict[str, tuple[int, Callable[[], dict[str, Any]]]] = {
        "colours alone": (0, dict),
        "expected depth": (1, lambda: {"render_mode": "RGB+ED"}),
        "distance": (1, lambda: {"render_mode": "RGB-Ed"}),
        "inverse depth": (1, lambda: {"outputs": ["inverse_depth"]}),
        "normals": (3, lambda: {"outputs": ["normals"]}),
        "features": (16, lambda: {"features": {"a": torch.zeros(num, 16, requires_grad=True)}}),
        "flow, all gradients": (6, lambda: flow(detached=False)),
        "flow, detached": (6, lambda: flow(detached=True)),
        "median depth": (1, lambda: {"outputs": ["median_depth"]}),
        "all ids and counts": (4, lambda: {"outputs": ids}),
        "the 4 heaviest": (8, lambda: {"top": 4}),
        "8 labels": (8, lambda: {"labels": (labels, 8)}),
    }
    times = median_seconds({name: step(make) for name, (_, make) in asked.items()}, rounds, threads=1)
    alone = times["colours alone"]
    print(f"colours alone: {1e3 * alone:.1f} ms of processor time for {num:,} Gaussians, {width} x {height}")
    print(
        "| besides colours | time of colours alone | each of its numbers, in colour channels |\n|---|---|---|"
    )
    for name, (numbers, _) in asked.items():
        if numbers:
            ratio = times[name] / alone
            print(f"| {name} | {ratio:.2f} | {3 * (ratio - 1) / numbers:.2f} |")
    along: dict[str, Callable[[], dict[str, Any]]] = {
        "colours": lambda: {"response": "ray"},
        "with distance": lambda: {"response": "ray", "render_mode": "RGB-Ed"},
    }
    times = median_seconds({name: step(make) for name, make in along.items()}, max(rounds // 4, 1), threads=1)
    ratio = times["with distance"] / times["colours"]
    print(f"\nalong rays: colours with distances take {ratio:.1f} times as long as colours alone")


if __name__ == "__main__":
    tyro.cli(main)
