"""What a codec of scenes offers: coding, and what a scene must feel in training to be coded well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from gsplat_core.compress.container import Container
from gsplat_core.scene.gaussians import Gaussians


class Coder(Protocol):
    """What codes scenes, with its settings."""

    @property
    def name(self) -> str:
        """Under which files name it, see `gsplat_core.compress.registry`."""

    def encode(self, gaussians: Gaussians) -> Container:
        """The coded scene of plain Gaussians, or of the primitive that it is for; others are an
        UnsuitableSceneError. Their order may change, as `order` of the container says. `encode` of the
        registry adds metadata, labels and the fields of other primitives (`further.py`); other fields in
        `extras` are not kept."""


class Codec(Coder, Protocol):
    """A codec that any scene of plain Gaussians can be trained for.

    In training, `refresh` comes first and again after every change of the number of Gaussians; `quantized`
    and `penalty` may be called any number of times in between. The state in between can be saved.
    """

    def refresh(self, params: Mapping[str, Tensor]) -> None:
        """Fits what the codec learns from a scene (order, codebooks) to the raw parameters."""

    def quantized(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The parameters as they would be decoded; the gradient passes straight through to `params`."""

    def penalty(self, params: Mapping[str, Tensor]) -> Tensor:
        """A scalar to add to the loss: what makes the scene cheaper to code."""

    def state_dict(self) -> dict[str, Tensor]:
        """What `refresh` has learned, as a flat dictionary; empty before."""

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from a saved state."""
