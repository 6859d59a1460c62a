"""Where a pixel of one photograph is in another: correspondences for localized point management.

The paper matches with a pretrained network (SuperPoint and LightGlue). The sources here need none: the tracks
of the reconstruction, and the depth of the scene as it is. Another one implements `Matcher` and is given to
`LPM`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from torch import Tensor

from gsplat_core.densify.views import Views


class Matcher(Protocol):
    """A source of correspondences."""

    def match(
        self, views: Views, params: Mapping[str, Tensor], first: int, second: int
    ) -> tuple[Tensor, Tensor]:
        """Corresponding pixels of two photographs, [M, 2] each; M may be 0.

        Args:
            views: the photographs.
            params: the scene as it is.
            first, second: which two.
        """


def create(name: str) -> Matcher:
    """A matcher by name: "tracks", "depth", or "both".

    Raises:
        ValueError: there is none of that name.
    """
    from gsplat_core.densify.matchers.both import BothMatchers
    from gsplat_core.densify.matchers.depth import DepthMatcher
    from gsplat_core.densify.matchers.tracks import TrackMatcher

    known: dict[str, Callable[[], Matcher]] = {
        "tracks": TrackMatcher,
        "depth": DepthMatcher,
        "both": lambda: BothMatchers([TrackMatcher(), DepthMatcher()]),
    }
    if name not in known:
        raise ValueError(f"matcher = {name!r}: expected one of {', '.join(known)}")
    return known[name]()
