"""Times the Adam step of a scene against ``torch.optim.Adam(fused=True)``, and that of the SH coefficients in
the backward pass while only those of low degrees are in use, against the same that looks at all of them.

All are measured in turns in one process and the medians are compared.

    python tools/bench_adam.py [--num 150000] [--threads 1] [--rounds 15]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from interleaved import median_seconds
from torch import Tensor

from gsplat_core.optim import Adam

SHAPES = [(3,), (4,), (3,), (), (1, 3), (15, 3)]  # the tensors of a scene with SH degree 3


def scene(num: int) -> list[Tensor]:
    params = [torch.randn(num, *shape).requires_grad_() for shape in SHAPES]
    for param in params:
        param.grad = torch.randn_like(param)
    return params


def ratio_at_rest(num: int, degree: int, args: argparse.Namespace) -> float:
    """Time of a step that leaves coefficients above a degree alone, by that of one which does not know that
    they rest."""
    means, viewmats = torch.randn(1, num, 3), torch.eye(4)[None, None]
    viewmats[..., 2, 3] = 5
    radii = torch.ones(1, 1, num, 2, dtype=torch.int32)
    sh0, shN = torch.rand(1, num, 1, 3), torch.rand(1, num, 15, 3)
    moments = [torch.rand_like(part) * scale for part in (sh0, shN) for scale in (1e-3, 1e-6)]
    for moment in moments[2:]:
        moment[:, :, (degree + 1) ** 2 - 1 :] = 0
    colors = torch.ops.gsplat_core.spherical_harmonics(degree, means, viewmats, sh0, shN, radii)
    inputs = (degree, means, viewmats, sh0, shN, radii, colors, torch.randn_like(colors), False)
    options = (10, 1e-9, 1e-9, 0.9, 0.999, 1e-15, True)

    def step(at_rest: bool) -> None:
        torch.ops.gsplat_core.spherical_harmonics_backward_adam_(*inputs, *moments, *options, at_rest)

    medians = median_seconds(
        {"all": lambda: step(False), "at rest": lambda: step(True)}, args.rounds, args.threads
    )
    return medians["at rest"] / medians["all"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--num", type=int, default=150_000, help="Gaussians")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)

    ours = Adam(scene(args.num))
    theirs = torch.optim.Adam(scene(args.num), eps=1e-15, fused=True)
    contenders: dict[str, Callable[[], object]] = {"torch fused": theirs.step, "ours": ours.step}
    for percent in (75, 50, 25, 10):
        scattered = torch.rand(args.num) < percent / 100
        contiguous = torch.arange(args.num) < args.num * percent / 100
        contenders[f"ours, {percent} % visible, scattered"] = lambda mask=scattered: ours.step(visible=mask)
        contenders[f"ours, {percent} % visible, contiguous"] = lambda mask=contiguous: ours.step(visible=mask)
    medians = median_seconds(contenders, args.rounds, args.threads)
    numbers = 59 * args.num
    base = medians["torch fused"]
    harmonics = [(degree, ratio_at_rest(args.num, degree, args)) for degree in range(4)]
    print(
        f"{args.num} Gaussians, {args.threads} threads, {torch.ops.gsplat_core.isa()}, {args.rounds} rounds"
    )
    for name, median in medians.items():
        print(f"  {name:34s}{median * 1e3:9.2f} ms  {numbers / median / 1e9:6.2f} G/s  {base / median:6.2f}x")
    print("SH, backward and Adam, coefficients of higher degrees at rest: time, of that with all looked at")
    for degree, ratio in harmonics:
        print(f"  degree {degree} of 3{ratio:29.2f}")


if __name__ == "__main__":
    main()
