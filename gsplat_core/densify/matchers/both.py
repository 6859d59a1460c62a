"""The correspondences of several sources together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gsplat_core.densify.matchers import Matcher
from gsplat_core.densify.views import Views


class BothMatchers:
    """All correspondences that any of the given matchers finds."""

    def __init__(self, matchers: Sequence[Matcher]) -> None:
        self.matchers = matchers

    def match(
        self, views: Views, params: Mapping[str, Tensor], first: int, second: int
    ) -> tuple[Tensor, Tensor]:
        found = [matcher.match(views, params, first, second) for matcher in self.matchers]
        return torch.cat([a for a, _ in found]), torch.cat([b for _, b in found])
