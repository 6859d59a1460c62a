"""What a model of Gaussians on faces has to say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from torch import Tensor


class Placed(NamedTuple):
    """Gaussians as a scene has them; the third axis of each is the normal of its face."""

    means: Tensor  # [N, 3]
    quats: Tensor  # [N, 4]
    scales: Tensor  # [N, 3] logarithms


class FaceModel(Protocol):
    """A model, whose numbers are trained besides opacities and colours.

    Attributes:
        per_face: how many Gaussians a face has where nobody says.
        thickness: across the face, as a share of the scene's extent.
        moves_vertices: whether vertices are trained where nobody says.
        rates: Adam's learning rates of `tensors`, by name.
    """

    per_face: int
    thickness: float
    moves_vertices: bool
    rates: Mapping[str, float]

    def check(self, per_face: int) -> None:
        """Raises ValueError where a face cannot have so many."""
        ...

    def tensors(self, num: int, per_face: int, seed: int) -> dict[str, Tensor]:
        """What a training of `num` Gaussians starts with: [N, ...] float32 each."""
        ...

    def weights(self, tensors: Mapping[str, Tensor], per_face: int) -> Tensor:
        """[N, 3] barycentric coordinates of the centres, or of the Gaussians of one face [K, 3]."""
        ...

    def radii(self, corners: Tensor, per_face: int) -> Tensor:
        """[F, 2] the scales in the face that training starts with."""
        ...

    def placed(self, corners: Tensor, tensors: Mapping[str, Tensor], scales: Tensor, per_face: int) -> Placed:
        """The Gaussians of faces. Differentiable in everything.

        Args:
            corners: [F, 3, 3] in rows.
            tensors: as `tensors` made them.
            scales: [N, 3], logarithms, of the scene; of the third, the thickness, there is no gradient.
        """
        ...
