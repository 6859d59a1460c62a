"""What one rendering can be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from gsplat_core.render.layers import LAYERS
from gsplat_core.render.seen import SEEN

Depth: TypeAlias = Literal["none", "sum", "expected", "distance", "expected_distance"]

FURTHER: tuple[str, ...] = (*LAYERS, *SEEN)
"""Names of images besides colours, depth and alphas."""


@dataclass(frozen=True)
class Outputs:
    """What a rendering is to have besides alphas and the meta. ``a | b`` has what one of both has.

    Args:
        colors: the colours.
        depth: "sum" of the depths with the blending weights, or that divided by alpha, "expected";
            "distance" and "expected_distance" are the same of the distances along the rays of the pixels
            (:mod:`gsplat_core.render.distances`).
        absgrad: ``meta["means2d"].absgrad`` after backward, see :func:`gsplat_core.rasterization`.
        statistics: ``meta["statistics"]`` and ``meta["probe"]``, see there.
        payloads: names of what is in ``meta["payloads"]``, see there.
        further: names of images that are in the meta, of those in `FURTHER`, see `outputs` there.
        top: how many of the heaviest Gaussians of a pixel are in the meta, see there.
        hits: `Rendered.hits`, what there is at which depths along the rays of the pixels.
    """

    colors: bool = True
    depth: Depth = "none"
    absgrad: bool = False
    statistics: bool = False
    payloads: tuple[str, ...] = ()
    further: tuple[str, ...] = ()
    top: int = 0
    hits: bool = False

    def __or__(self, other: Outputs) -> Outputs:
        if "none" not in (self.depth, other.depth) and self.depth != other.depth:
            raise ValueError(f"one rendering has one kind of depth, not {self.depth!r} and {other.depth!r}")
        return Outputs(
            self.colors or other.colors,
            other.depth if self.depth == "none" else self.depth,
            self.absgrad or other.absgrad,
            self.statistics or other.statistics,
            tuple(dict.fromkeys(self.payloads + other.payloads)),
            tuple(dict.fromkeys(self.further + other.further)),
            max(self.top, other.top),
            self.hits or other.hits,
        )


COLORS = Outputs()
