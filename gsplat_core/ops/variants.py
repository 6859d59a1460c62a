"""What the compiled library lists (``csrc/raster/variants.h``), and the payloads of compositing."""

from __future__ import annotations

from typing import NamedTuple

import torch

from gsplat_core.ops import library as library


def listed(kind: str) -> dict[str, list[int]]:
    """The names of a kind of variants, and the numbers beside them."""
    entries = (line.split() for line in torch.ops.gsplat_core.variants(kind).splitlines())
    return {name: [int(number) for number in numbers] for name, *numbers in entries}


class Payload(NamedTuple):
    """What the backward pass of compositing can sum up per splat besides gradients."""

    sums: int
    """How many numbers that is."""
    probed: bool
    """Whether it looks at the gradient of the image `probe`, a number per pixel."""


PAYLOADS: dict[str, Payload] = {
    name: Payload(sums, probed == 1) for name, (sums, probed) in listed("payloads").items()
}
"""``csrc/math/payload/NAME.h`` says what is summed up."""

ALONG_RAYS = frozenset(name for name, (*_, along_rays, _) in listed("responses").items() if along_rays)
"""The responses that depend on `canonical` and `rays`."""

NO_CARRIERS: tuple[None, ...] = (None,) * len(PAYLOADS)
"""The last arguments of ``composite`` where nothing is to be summed up."""

NO_RAYS = (None, None)
"""The arguments `canonical` and `rays` of compositing where nothing looks along rays."""

GAUSSIAN = (None, "gaussian", *NO_RAYS)
"""The arguments `extras`, `response`, `canonical`, `rays` of compositing for Gaussians on the screen."""
