"""What radiative fields cost: `python tools/bench_radiative.py`.

On one thread, in turns: sums of splats beside the blending of the same ones in one channel, where both
kernels meet the same pairs; then whole projections and volumes, forward and backward.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import tyro
from interleaved import median_seconds
from torch import Tensor

from gsplat_core.ops.variants import NO_CARRIERS
from gsplat_core.radiative import project, voxelize
from gsplat_core.render import stages
from gsplat_core.render.settings import RenderSettings

WIDTH = HEIGHT = 512
SETTINGS = RenderSettings(eps2d=0.0)


def main(num: int = 50_000, rounds: int = 9) -> None:
    """Print two tables.

    Args:
        num: Gaussians in the field.
        rounds: how often each is measured.
    """
    torch.set_num_threads(1)
    print(f"processor time on {torch.ops.gsplat_core.isa()}, {num:,} Gaussians")
    print("| standard deviation, pixels | sum / blending | gradients of both |\n|---|---|---|")
    for deviation in (0.008, 0.02, 0.04):
        forward, backward = _beside_blending(_field(num, deviation), rounds)
        print(f"| {deviation * _focal() / 5:.1f} | {forward:.2f} | {backward:.2f} |")
    print("\n| standard deviation of a box of 2 | what | value, ms | with gradients, ms |\n|---|---|---|---|")
    for deviation in (0.01, 0.02, 0.03):
        times = median_seconds(_whole(_field(num, deviation)), rounds, threads=1)
        for what in ("512 x 512 pixels", "128^3 voxels", "a part of 32^3"):
            value, both = (1e3 * times[f"{what}{end}"] for end in ("", ", gradients"))
            print(f"| {deviation} | {what} | {value:.0f} | {both:.0f} |")


def _field(num: int, deviation: float) -> list[Tensor]:
    """In a box of the size 2, with standard deviations around one."""
    g = torch.Generator().manual_seed(0)
    means, quats = 1.6 * torch.rand(num, 3, generator=g) - 0.8, torch.randn(num, 4, generator=g)
    scales = deviation * (0.35 * torch.randn(num, 3, generator=g)).exp()
    return [means, quats, scales, 0.02 + 0.5 * torch.rand(num, generator=g)]


def _focal() -> float:
    return 0.45 * 5 * WIDTH


def _detector() -> tuple[Tensor, Tensor]:
    viewmat = torch.eye(4)
    viewmat[2, 3] = 5.0
    K = torch.tensor([[_focal(), 0, WIDTH / 2], [0, _focal(), HEIGHT / 2], [0, 0, 1]])
    return viewmat[None], K[None]


def _beside_blending(field: list[Tensor], rounds: int) -> tuple[float, float]:
    """Ratios of the time of sums, and of their gradients, so faint that no pixel is finished early."""
    means, quats, scales, _ = (tensor[None] for tensor in field)
    viewmats, Ks = (tensor[None] for tensor in _detector())
    faint = torch.full(means.shape[:2], 0.02)
    splats = stages.project(means, quats, scales, None, faint, viewmats, Ks, WIDTH, HEIGHT, SETTINGS)
    lists = stages.bin_splats(splats, WIDTH, HEIGHT, SETTINGS)
    shown = (splats.means2d[0], splats.shapes[0], splats.opacities[0])
    colors, size = torch.ones(1, means.shape[1], 1), (WIDTH, HEIGHT)
    blended = (*shown, colors, None, *lists, *size, SETTINGS.numbers(), None, "gaussian", None, None)
    ops = torch.ops.gsplat_core
    image, alphas, *_ = ops.composite(*blended, *NO_CARRIERS)
    v = torch.randn_like(image)
    listed = (lists.offsets, lists.flatten_ids)
    work: dict[str, Callable[[], Any]] = {
        "sum": lambda: ops.sum_splats(*shown, *listed, *size, SETTINGS.numbers(), 1.0),
        "blend": lambda: ops.composite(*blended, *NO_CARRIERS),
        "sum backward": lambda: ops.sum_splats_backward(*shown, *size, 1.0, v[..., 0]),
        "blend backward": lambda: ops.composite_backward(
            *blended, image, alphas, v, torch.zeros_like(alphas)
        ),
    }
    times = median_seconds(work, rounds, threads=1)
    return times["sum"] / times["blend"], times["sum backward"] / times["blend backward"]


def _whole(field: list[Tensor]) -> dict[str, Callable[[], Any]]:
    cube = {"origin": (-1.0, -1.0, -1.0), "spacing": 2 / 128, "shape": (128, 128, 128)}
    part = {"origin": (-0.25, -0.25, -0.25), "spacing": 2 / 128, "shape": (32, 32, 32)}
    made: dict[str, Callable[..., Tensor]] = {
        "512 x 512 pixels": lambda *gaussians: project(*gaussians, *_detector(), WIDTH, HEIGHT),
        "128^3 voxels": lambda *gaussians: voxelize(*gaussians, **cube),  # type: ignore[arg-type]
        "a part of 32^3": lambda *gaussians: voxelize(*gaussians, **part),  # type: ignore[arg-type]
    }

    def with_gradients(make: Callable[..., Tensor]) -> Callable[[], Any]:
        def work() -> None:
            leaves = [tensor.clone().requires_grad_() for tensor in field]
            result = make(*leaves)
            torch.autograd.backward(result, torch.ones_like(result))

        return work

    values = {what: (lambda make=make: make(*field)) for what, make in made.items()}
    return values | {f"{what}, gradients": with_gradients(make) for what, make in made.items()}


if __name__ == "__main__":
    tyro.cli(main)
