"""What a scene is beside its numbers: how it wants to be drawn, and where its coordinates come from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

RAY_STEP = 0.01
"""Scene units, of scenes about as large as 1. RayGauss (Blanc et al. 2025) has 0.0025, which takes longer and
was no better (docs/raygauss.md)."""


@dataclass(frozen=True)
class Metadata:
    """Facts about a whole scene. They stay with it through every operation, checkpoints and files.

    Args:
        antialiased: the scene was trained with the screen filter of Mip-Splatting, and looks right only when
            it is drawn so (`rasterize_mode="antialiased"`).
        eps2d: the variance of the screen filter that the scene was trained with, in square pixels
            (`RenderSettings.eps2d`).
        pixel_order: the scene was trained in the order of each pixel's own (`RenderSettings.order`), and
            looks right only when it is drawn so.
        unscented: the scene was trained with splats of the unscented transform (`RenderSettings.unscented`),
            and looks right through wide lenses only when it is drawn so.
        ray_step: between the samples of rays with which the scene was trained, in scene units, if they are
            cast through it (`RenderSettings.ray_step`).
        offset: where the origin of the scene's coordinates lies in the original ones of the capture, which
            may be too large for float32 (x, y, z): original = means + offset. Moving Gaussians does not
            change it.

    Raises:
        ValueError: values of other kinds, a negative variance, or an offset that is not finite.
    """

    antialiased: bool = False
    eps2d: float = 0.3
    pixel_order: bool = False
    unscented: bool = False
    ray_step: float = RAY_STEP
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        for name in ("antialiased", "pixel_order", "unscented"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name}: expected true or false, got {getattr(self, name)!r}")
        if isinstance(self.eps2d, bool) or not isinstance(self.eps2d, int | float):
            raise ValueError(f"eps2d: expected a number, got {self.eps2d!r:.80}")
        if not 0 <= self.eps2d < math.inf:
            raise ValueError(f"eps2d: expected a finite number that is not negative, got {self.eps2d}")
        if isinstance(self.ray_step, bool) or not isinstance(self.ray_step, int | float):
            raise ValueError(f"ray_step: expected a number, got {self.ray_step!r:.80}")
        if not 0 < self.ray_step < math.inf:
            raise ValueError(f"ray_step: expected a positive finite number, got {self.ray_step}")
        try:
            offset = tuple(float(value) for value in self.offset)
        except (TypeError, ValueError):
            offset = ()
        if len(offset) != 3 or not all(map(math.isfinite, offset)):
            raise ValueError(f"offset: expected three finite numbers, got {str(self.offset)[:80]}")
        object.__setattr__(self, "offset", offset)

    def known(self) -> dict[str, Any]:
        """The entries that are not as usual, as JSON values. Files and checkpoints hold these."""
        usual = dataclasses.asdict(Metadata())
        facts = {name: value for name, value in dataclasses.asdict(self).items() if value != usual[name]}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in facts.items()}

    @classmethod
    def from_known(cls, facts: Mapping[str, Any]) -> Metadata:
        """The inverse of `known`.

        Raises:
            ValueError: an entry that this version does not know, or that has an impossible value.
        """
        names = {entry.name for entry in dataclasses.fields(cls)}
        if unknown := [name for name in facts if name not in names]:
            raise ValueError(f"metadata {str(unknown[0])[:40]!r} is unknown to this version")
        return cls(**facts)

    def without(self, names: Iterable[str]) -> Metadata:
        """With these entries as usual."""
        left_out = set(names)
        return Metadata(**{name: value for name, value in self.known().items() if name not in left_out})

    def state_dict(self) -> dict[str, Tensor]:
        """`known` as tensors, for a checkpoint."""
        return {
            name: torch.tensor(value, dtype=torch.bool if isinstance(value, bool) else torch.float64)
            for name, value in self.known().items()
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> Metadata:
        """The inverse of `state_dict`; the same errors as `from_known`."""
        return cls.from_known({name: value.tolist() for name, value in state.items()})
