"""Times how anchors are decoded, value and gradients, against the same in plain PyTorch.

Both are measured in turns in one process, and the medians are compared; and with how fast this processor
multiplies and adds.

    python tools/bench_anchors.py [--anchors 20000] [--visible 0.6] [--threads 1] [--rounds 7]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from interleaved import median_seconds
from torch import Tensor

from gsplat_core.ops.anchors import Decoder, Network, decode_anchors
from gsplat_core.reference import anchors as reference

FEATURES, SPLATS = 32, 10
ROUNDS = 2_000_000  # of twelve chains of multiply-adds
WEIGHTS = 3 * FEATURES * (FEATURES + 3) + 11 * SPLATS * FEATURES
PASSES = {"values": 1, "values and gradients": 4}
"""Products with all weights: once forward; backward once more, and for the gradients of either side."""


def networks(generator: torch.Generator) -> Decoder:
    def network(outputs: int) -> Network:
        shapes = ((FEATURES, FEATURES + 3), (FEATURES,), (outputs, FEATURES), (outputs,))
        return Network(*(0.2 * torch.randn(*shape, generator=generator) for shape in shapes))

    return Decoder(network(SPLATS), network(3 * SPLATS), network(7 * SPLATS))


def multiply_adds_per_second(threads: int) -> float:
    """What this processor can do at its best."""
    operations = torch.ops.gsplat_core.multiply_adds(ROUNDS) / 2
    return (
        operations / median_seconds({"": lambda: torch.ops.gsplat_core.multiply_adds(ROUNDS)}, 7, threads)[""]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--anchors", type=int, default=20_000)
    parser.add_argument("--visible", type=float, default=0.6)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    g = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(args.anchors, *shape, generator=g)

    rows = [normal(3), normal(FEATURES), normal(SPLATS, 3), normal(3) - 4, normal(3) - 4]
    camera = (torch.tensor([0.0, 0.0, -4.0]), torch.eye(3))
    visible = torch.rand(args.anchors, generator=g) < args.visible
    decoder = networks(g)
    leaves = [x.requires_grad_() for x in (*rows[1:], *(x for network in decoder for x in network))]
    gradients = [
        torch.randn(args.anchors * SPLATS, *shape, generator=g) for shape in ((3,), (4,), (3,), (), (3,))
    ]

    def contender(decode: Callable[..., Decoder], wanted: str) -> Callable[[], object]:
        def values() -> object:
            with torch.no_grad():
                return decode(*rows, *camera, decoder, None, visible)

        def both() -> object:
            return torch.autograd.grad(decode(*rows, *camera, decoder, None, visible), leaves, gradients)

        return values if wanted == "values" else both

    print(f"{args.anchors:,} anchors, {args.threads} threads, {torch.ops.gsplat_core.isa()}")
    ceiling = multiply_adds_per_second(args.threads)
    for wanted, passes in PASSES.items():
        medians = median_seconds(
            {
                "PyTorch": contender(reference.decode_anchors, wanted),
                "kernels": contender(decode_anchors, wanted),
            },
            args.rounds,
            args.threads,
        )
        ours, theirs = medians["kernels"], medians["PyTorch"]
        share = passes * WEIGHTS * int(visible.sum()) / ours / ceiling
        print(
            f"  {wanted:22s}{1e3 * theirs:9.2f} ms  {1e3 * ours:9.2f} ms  {theirs / ours:6.1f}x"
            f"   {share:4.0%} of {ceiling / 1e9:.0f} G multiply-adds per second"
        )


if __name__ == "__main__":
    main()
