"""Times the fused L1 + D-SSIM loss against the usual one made of torch convolutions.

Both are measured in turns in one process, value and gradient together, and the medians are compared.

    python tools/bench_loss.py [--size 960x540] [--threads 1] [--rounds 7]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from interleaved import median_seconds
from torch import Tensor

from gsplat_core.losses import l1_dssim


def torch_loss(image: Tensor, target: Tensor) -> Tensor:
    """The same loss on planar images [1, 3, H, W] with an 11x11 convolution per channel."""
    offsets = torch.arange(-5, 6, dtype=torch.float32)
    profile = torch.exp(-(offsets**2) / (2 * 1.5**2))
    profile /= profile.sum()
    window = torch.outer(profile, profile).expand(3, 1, 11, 11).contiguous()

    def mean(values: Tensor) -> Tensor:
        return torch.nn.functional.conv2d(values, window, padding=5, groups=3)

    mx, my = mean(image), mean(target)
    vx, vy, vxy = mean(image * image) - mx**2, mean(target * target) - my**2, mean(image * target) - mx * my
    ssim = (2 * mx * my + 1e-4) * (2 * vxy + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    return 0.8 * (image - target).abs().mean() + 0.2 * (1 - ssim.mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="960x540")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    width, height = map(int, args.size.split("x"))

    image = torch.rand(height, width, 3, requires_grad=True)
    target = (image.detach() + 0.1 * torch.randn(height, width, 3)).clamp(0, 1)
    as_bytes = (target * 255).to(torch.uint8)
    planar = image.detach().permute(2, 0, 1)[None].contiguous().requires_grad_()
    planar_target = target.permute(2, 0, 1)[None].contiguous()

    contenders: dict[str, Callable[[], object]] = {
        "torch conv2d": lambda: torch.autograd.grad(torch_loss(planar, planar_target), planar),
        "fused, float target": lambda: torch.autograd.grad(l1_dssim(image, target), image),
        "fused, byte target": lambda: torch.autograd.grad(l1_dssim(image, as_bytes), image),
        "fused, value only": lambda: l1_dssim(image.detach(), target),
    }
    medians = median_seconds(contenders, args.rounds, args.threads)
    base = medians["torch conv2d"]
    print(
        f"{args.size}, {args.threads} threads, {torch.ops.gsplat_core.isa()}, medians of {args.rounds} rounds"
    )
    for name, median in medians.items():
        print(f"  {name:22s}{median * 1e3:9.2f} ms   {base / median:6.1f}x")


if __name__ == "__main__":
    main()
