"""Spherical harmonics as fewer numbers: coordinates in a basis that is fitted to the scene.

EAGLES (Girish et al. 2024) decodes a Gaussian's attributes from rounded latents by a linear layer that it
trains. For equal steps and a given scene the best orthonormal layer is known in closed form: the principal
directions of the coefficients, in which they are uncorrelated (the Karhunen-Loève transform). Directions
along which the scene varies less than rounding errs are left out, so a scene that has little use for its
upper bands loses them, or the combinations of them that show nothing, without a decision of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.compress.container import Container
from gsplat_core.ops.context_coder import decode_table, encode_table

# A direction is kept when the root mean square along it is at least so many steps.
_LEAST = 0.25
_RESOLUTION = 512


class Basis:
    """Args:
    numbers: [C, L] integers, the L directions in units of 1/512, nearly orthonormal; they are stored.
    """

    def __init__(self, numbers: Tensor) -> None:
        self.numbers = numbers
        self._vectors = numbers.float() / _RESOLUTION
        # Least squares, since rounding has left the directions not quite orthonormal.
        self._analysis = torch.linalg.pinv(self._vectors.double()).T.float()

    @classmethod
    def fit(cls, coefficients: Tensor, step: float) -> Basis:
        """The basis for coefficients [N, C], any N and C, that will be rounded to multiples of `step`."""
        rows = coefficients.detach().double()
        moments = rows.T @ rows / max(len(rows), 1)
        squares, vectors = torch.linalg.eigh(moments)
        kept = (squares >= (_LEAST * step) ** 2).nonzero().squeeze(1).flip(0)
        vectors = vectors[:, kept]
        if vectors.numel():
            # Either direction would do; the same on every machine is better.
            largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))
            vectors = vectors * largest.sign()
        return cls((vectors * _RESOLUTION).round().int())

    def latents(self, coefficients: Tensor) -> Tensor:
        """[N, C] to [N, L]. Differentiable."""
        return coefficients @ self._analysis

    def coefficients(self, latents: Tensor) -> Tensor:
        """[N, L] to [N, C]."""
        return latents @ self._vectors.T

    def to_stream(self) -> Tensor:
        """The bytes [B] uint8 of the directions."""
        return encode_table(self.numbers, rows_before(len(self.numbers)))

    @classmethod
    def from_container(cls, container: Container, columns: int) -> Basis:
        """The basis of a file whose coefficients have so many columns.

        Raises:
            DataError: `latents` of the header or the stream `basis` is missing or out of range.
        """
        size = container.integer("latents", 0, columns)
        if not size:
            return cls(torch.zeros(columns, 0, dtype=torch.int32))
        numbers = decode_table(container.stream("basis"), rows_before(columns), size)
        return cls(numbers.clamp(-_RESOLUTION, _RESOLUTION))


def rows_before(rows: int) -> Tensor:
    """For a table without geometry: the three rows before each."""
    return (torch.arange(rows)[:, None] - torch.arange(1, 4)).clamp(min=-1).int()
