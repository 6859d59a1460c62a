"""What comment lines of a PLY file say about the whole scene (`scene.metadata`).

    comment SplatRenderMode: mip      antialiased; `default` says that it is not (Brush, splat-transform)
    comment antialiased 1             the same (Postshot)
    comment screen_filter V           ours: the variance of the screen filter, 0.3 square pixels without it
    comment pixel_order 1             ours: drawn in the order of each pixel's own
    comment unscented 1               ours: drawn with splats of the unscented transform
    comment ray_step V                ours: between the samples of rays that are cast through the scene
    comment offset X Y Z              ours: where the scene's origin lies in its original coordinates
    comment original_coordinates X Y Z    ours: the same, but the file's positions are the original ones
    comment splat_primitive NAME          ours: what the splats are, where they are not plain Gaussians

Case does not matter, and the last of several lines counts.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

from gsplat_core.io.format import DataWarning
from gsplat_core.scene.gaussians import PLAIN
from gsplat_core.scene.metadata import Metadata

ORIGINAL = "original_coordinates"
_FILTER = "screen_filter"
_ORDER = "pixel_order"
_FOOTPRINT = "unscented"
_STEP = "ray_step"
_PRIMITIVE = "splat_primitive"


def comments_of(metadata: Metadata, original: bool = False, primitive: str = PLAIN) -> list[str]:
    """The header lines that tell what is not as usual; `original` if positions have the offset in them."""
    lines = ["comment SplatRenderMode: mip"] if metadata.antialiased else []
    if metadata.eps2d != Metadata().eps2d:
        lines.append(f"comment {_FILTER} {metadata.eps2d!r}")
    if metadata.pixel_order:
        lines.append(f"comment {_ORDER} 1")
    if metadata.unscented:
        lines.append(f"comment {_FOOTPRINT} 1")
    if metadata.ray_step != Metadata().ray_step:
        lines.append(f"comment {_STEP} {metadata.ray_step!r}")
    if any(metadata.offset):
        lines.append(f"comment {ORIGINAL if original else 'offset'} " + " ".join(map(repr, metadata.offset)))
    return lines if primitive == PLAIN else [*lines, f"comment {_PRIMITIVE} {primitive}"]


def primitive_of(comments: Sequence[str]) -> str:
    """What the comments say that the splats are (`Gaussians.primitive`)."""
    found = [re.fullmatch(rf"{_PRIMITIVE} +(\S+)", comment) for comment in comments]
    return next((match[1] for match in reversed(found) if match), PLAIN)


def metadata_of(comments: Sequence[str], path: str | os.PathLike[str]) -> dict[str, Any]:
    """The entries of `Metadata` that the comments name, also where they are as usual; and `original` where
    the file's positions have the offset in them.

    An offset, a filter or a step that makes no sense is left out with a `DataWarning`, and one is given where
    the file says that its splats are flat discs.
    """
    facts: dict[str, Any] = {}
    for comment in comments:
        if comment.startswith(f"{ORIGINAL} "):
            facts["original"] = True
            comment = "offset" + comment.removeprefix(ORIGINAL)
        if mode := re.fullmatch(r"splatrendermode:? *(\w+)", comment, re.IGNORECASE):
            facts["antialiased"] = mode[1].lower() == "mip"
            if mode[1].lower() == "2dgs":
                warnings.warn(
                    f"{os.fspath(path)}: its splats are flat discs (2DGS) and are drawn as flat Gaussians",
                    DataWarning, stacklevel=3,
                )  # fmt: skip
        elif flag := re.fullmatch(r"antialiased:? *(0|1|false|true)", comment, re.IGNORECASE):
            facts["antialiased"] = flag[1].lower() in ("1", "true")
        elif flag := re.fullmatch(rf"{_ORDER} +([01])", comment, re.IGNORECASE):
            facts["pixel_order"] = flag[1] == "1"
        elif flag := re.fullmatch(rf"{_FOOTPRINT} +([01])", comment, re.IGNORECASE):
            facts["unscented"] = flag[1] == "1"
        elif known := _NUMBERS.get(comment.partition(" ")[0].lower()):
            try:
                facts[known.fact] = known.read(comment.split()[1:])
            except ValueError:
                warnings.warn(
                    f"{os.fspath(path)}: the comment {comment[:80]!r} is ignored: it has no {known.what}",
                    DataWarning, stacklevel=3,
                )  # fmt: skip
    return facts


class _Numbers(NamedTuple):
    """A comment whose words are numbers.

    Args:
        fact: the entry of `Metadata` that they are, which refuses what makes no sense.
        what: a person calls them.
        many: whether they are a vector.
    """

    fact: str
    what: str
    many: bool = False

    def read(self, words: Sequence[str]) -> Any:
        value: Any = tuple(words) if self.many else float(" ".join(words))
        return getattr(Metadata(**{self.fact: value}), self.fact)


_NUMBERS = {
    _FILTER: _Numbers("eps2d", "variance"),
    _STEP: _Numbers("ray_step", "length"),
    "offset": _Numbers("offset", "three numbers", many=True),
}
