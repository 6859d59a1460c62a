"""Anchors: what holds a scene while it is edited towards images that disagree (Chen et al. 2024,
"GaussianEditor: Swift and Controllable 3D Editing with Gaussian Splatting", section 3.3).

Edited images are not consistent with each other, and Gaussians that follow them wander. So every Gaussian is
tied to where it was after the last densification, the tighter, the older its generation is: what was there at
the start keeps its shape, what was added lately is free to become the edit.

    L = sum over fields of weight * mean over trained rows of strength[generation] |value - anchor|^2
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from gsplat_core.densify.plan import RowPlan
from gsplat_core.densify.rows import indices
from gsplat_core.ranges import NOT_NEGATIVE, Range, check_ranges
from gsplat_core.scene.scale import PUBLISHED_LENGTH
from gsplat_core.scene.schema import GAUSSIAN, Schema


@dataclass(frozen=True)
class AnchorConfig:
    """The defaults are the published ones, but for the factor.

    Args:
        factor: on all weights. The published ones stand beside 10 L1 + 10 LPIPS, as if it were 0.1; next to
            our loss that holds back what the images agree about, too (docs/editing.md).
        geometry: weight of positions and rotations, and of what else a primitive has but colour.
        colour: of spherical harmonics.
        opacity, scale: of raw opacities and raw scales.
        first: strength of the first generation, until the first densification.
        born: of the generation that was born at the last densification but one.
        growth: all older ones are multiplied by this at each densification ...
        most: ... up to this strength.

    Raises:
        ValueError: a value outside its range.
    """

    factor: Annotated[float, NOT_NEGATIVE] = 1 / 200
    geometry: Annotated[float, NOT_NEGATIVE] = 50.0
    colour: Annotated[float, NOT_NEGATIVE] = 5.0
    opacity: Annotated[float, NOT_NEGATIVE] = 50.0
    scale: Annotated[float, NOT_NEGATIVE] = 50.0
    first: Annotated[float, NOT_NEGATIVE] = 1.0
    born: Annotated[float, NOT_NEGATIVE] = 0.1
    growth: Annotated[float, Range(1, 1e6)] = 2.0
    most: Annotated[float, NOT_NEGATIVE] = 10.0

    def __post_init__(self) -> None:
        check_ranges(self)


class Anchors:
    """The anchors of the trained rows of a scene.

    Args:
        config: weights and strengths.
        params: raw parameters [N, ...] by name; where they are now is their first anchor.
        trained: [N] bool, the rows that are held; the others do not move anyway.
        length: of the scene (`SceneScale.length`): displacements are measured against it.
        schema: the fields of the rows.

    Attributes:
        generations: [N] int64, 0 for the rows there were at the start, n for those of densification n.
        strengths: of each generation.
    """

    def __init__(
        self,
        config: AnchorConfig,
        params: Mapping[str, Tensor],
        trained: Tensor,
        length: float = PUBLISHED_LENGTH,
        schema: Schema = GAUSSIAN,
    ) -> None:
        self.config = config
        self.generations = torch.zeros(len(trained), dtype=torch.int64, device=trained.device)
        self.strengths = [config.first]
        self._weights = {field.name: self._weight(field.name, schema) for field in schema.parameters}
        self._weights["means"] *= (PUBLISHED_LENGTH / length) ** 2
        self._drop(params, trained)

    def loss(self, params: Mapping[str, Tensor]) -> Tensor:
        """The term to add to an image's loss: a differentiable scalar.

        Args:
            params: of the same rows as when anchors were dropped last.
        """
        strength = params["means"].new_tensor(self.strengths)[self.generations[self._rows]]
        total = params["means"].new_zeros(())
        for name, anchor in self._places.items():
            squares = (params[name][self._rows] - anchor).square().reshape(len(anchor), -1).sum(1)
            total = total + self._weights[name] * (strength * squares).sum()
        return self.config.factor * total / max(len(self._rows), 1)

    @torch.no_grad()
    def densified(self, plan: RowPlan, params: Mapping[str, Tensor], trained: Tensor) -> None:
        """After a densification: what it added is a new generation, and all are anchored where they are.

        Args:
            plan: what `ParameterStore.apply` returned.
            params, trained: of the rows that there are now.
        """
        self.generations = plan.follow(self.generations)
        # Rows are numbered first, for they are the generation that has no strength yet.
        self.generations[plan.num_kept :] = len(self.strengths)
        self.generations[plan.copied_rows] = len(self.strengths)
        c = self.config
        self.strengths = [min(c.growth * s, c.most) if s > 0 else c.born for s in self.strengths]
        self.strengths.append(0.0)
        self._drop(params, trained)

    def _drop(self, params: Mapping[str, Tensor], trained: Tensor) -> None:
        self._rows = indices(trained)
        self._places = {
            name: params[name].detach()[self._rows]
            for name, weight in self._weights.items()
            if weight > 0 and params[name].requires_grad
        }

    def _weight(self, name: str, schema: Schema) -> float:
        c = self.config
        if schema[name].role == "colour":
            return c.colour
        return {"opacities": c.opacity, "scales": c.scale}.get(name, c.geometry)
