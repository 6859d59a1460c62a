"""Similarity transforms of space: rotation, uniform scale, translation."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

SMALLEST_RATIO = 1e-9
"""Of the scales of a matrix along its axes, below which it is singular."""
LARGEST_SHEAR = 1e-4
"""By how much these scales may differ, as matrices are written with few digits."""


@dataclass(frozen=True)
class Similarity:
    """x -> scale * rotation x + translation. Kept in float64 on the CPU, whatever it is made from.

    Args:
        rotation: proper rotation matrix [3, 3] (orthonormal to 1e-4, determinant +1).
        translation: [3], scene units after the transform.
        scale: positive factor.

    Raises:
        ValueError: not a proper rotation, or a scale that is not positive and finite.
    """

    rotation: Tensor = field(default_factory=lambda: torch.eye(3, dtype=torch.float64))
    translation: Tensor = field(default_factory=lambda: torch.zeros(3, dtype=torch.float64))
    scale: float = 1.0

    def __post_init__(self) -> None:
        rotation = torch.as_tensor(self.rotation).detach().to("cpu", torch.float64)
        translation = torch.as_tensor(self.translation).detach().to("cpu", torch.float64)
        scale = float(self.scale)
        if rotation.shape != (3, 3) or translation.shape != (3,):
            raise ValueError(
                f"rotation {list(rotation.shape)} and translation {list(translation.shape)}: "
                "expected [3, 3] and [3]"
            )
        if not (scale > 0 and scale < float("inf")):
            raise ValueError(f"scale {scale}: expected a positive finite number")
        if not torch.isfinite(translation).all():
            raise ValueError("translation is not finite")
        error = (rotation @ rotation.T - torch.eye(3, dtype=torch.float64)).abs().max()
        if not error < 1e-4:
            raise ValueError(f"rotation is not orthonormal (R R^T differs from I by {float(error):.2g})")
        if torch.linalg.det(rotation) < 0:
            raise ValueError("rotation is a reflection (determinant -1); SH colours cannot follow it")
        object.__setattr__(self, "rotation", rotation)
        object.__setattr__(self, "translation", translation)
        object.__setattr__(self, "scale", scale)

    @classmethod
    def from_matrix(cls, matrix: Tensor) -> Similarity:
        """From a [4, 4] matrix [[s R, t], [0, 1]].

        Raises:
            ValueError: it is singular, a reflection, or has shear or several scales; or the last row is not
                0 0 0 1.
        """
        matrix = torch.as_tensor(matrix).detach().to("cpu", torch.float64)
        if matrix.shape != (4, 4) or not torch.allclose(matrix[3], matrix.new_tensor([0.0, 0.0, 0.0, 1.0])):
            raise ValueError("expected a [4, 4] matrix with last row 0 0 0 1")
        if not torch.isfinite(matrix).all():
            raise ValueError("the matrix is not finite")
        lengths = torch.linalg.svdvals(matrix[:3, :3])
        determinant = float(torch.linalg.det(matrix[:3, :3]))
        if not float(lengths[2]) > SMALLEST_RATIO * float(lengths[0]):
            raise ValueError(f"the matrix is singular (determinant {determinant:.3g}): it flattens the scene")
        if determinant < 0:
            raise ValueError(
                f"the matrix is a reflection (determinant {determinant:.3g}); SH colours cannot follow it"
            )
        if not float(lengths[0] / lengths[2]) - 1 < LARGEST_SHEAR:
            raise ValueError(
                f"the matrix has shear or several scales ({float(lengths[2]):.4g} to "
                f"{float(lengths[0]):.4g}): its axes are not orthonormal; expected a rotation times one scale"
            )
        scale = determinant ** (1 / 3)
        return cls(matrix[:3, :3] / scale, matrix[:3, 3], scale)

    @classmethod
    def between(cls, points: Tensor, onto: Tensor) -> Similarity:
        """The one that brings points [N, 3] nearest to others [N, 3], by the sum of squares (Umeyama 1991).

        Raises:
            ValueError: another shape, or points in one line or at one place, for which there are several.
        """
        points, onto = (torch.as_tensor(place).detach().to("cpu", torch.float64) for place in (points, onto))
        if points.shape != onto.shape or points.shape[1:] != (3,):
            raise ValueError(f"{list(points.shape)} and {list(onto.shape)}: expected [N, 3] twice")
        if len(points) < 3:
            raise ValueError(f"{len(points)} points have no nearest similarity; at least 3 are needed")
        here, there = points.mean(dim=0), onto.mean(dim=0)
        spread = (points - here).square().sum()
        u, sizes, vh = torch.linalg.svd((onto - there).T @ (points - here))
        if not float(sizes[1]) > SMALLEST_RATIO * float(sizes[0]):
            raise ValueError("the points are at one place or in one line, so no similarity is the nearest")
        signs = torch.ones(3, dtype=torch.float64)
        signs[2] = (torch.linalg.det(u) * torch.linalg.det(vh)).sign()  # a rotation, not a reflection
        rotation = (u * signs) @ vh
        scale = float((sizes * signs).sum() / spread)
        return cls(rotation, there - scale * (rotation @ here), scale)

    def matrix(self) -> Tensor:
        """The transform as a [4, 4] float64 matrix."""
        matrix = torch.eye(4, dtype=torch.float64)
        matrix[:3, :3] = self.scale * self.rotation
        matrix[:3, 3] = self.translation
        return matrix

    def inverse(self) -> Similarity:
        """The transform that undoes this one."""
        rotation = self.rotation.T
        return Similarity(rotation, -(rotation @ self.translation) / self.scale, 1 / self.scale)

    def __matmul__(self, first: Similarity) -> Similarity:
        """(a @ b) applies b first, then a."""
        return Similarity(
            self.rotation @ first.rotation,
            self.scale * (self.rotation @ first.translation) + self.translation,
            self.scale * first.scale,
        )

    def apply(self, points: Tensor) -> Tensor:
        """Moves points [..., 3]. Computed in float64: large coordinates lose nothing before rounding."""
        moved = points.to(torch.float64) @ (self.scale * self.rotation.T).to(points.device)
        return (moved + self.translation.to(points.device)).to(points.dtype)

    def quaternion(self) -> Tensor:
        """The rotation as a unit quaternion (w, x, y, z), float64, w >= 0.

        Of the four formulas (one per component, each dividing by that component) the one with the largest
        divisor is used, so it is accurate for every rotation (Shepperd 1978).
        """
        (a, b, c), (d, e, f), (g, h, i) = self.rotation.tolist()
        candidates = [
            (1 + a + e + i, h - f, c - g, d - b),
            (h - f, 1 + a - e - i, b + d, c + g),
            (c - g, b + d, 1 - a + e - i, f + h),
            (d - b, c + g, f + h, 1 - a - e + i),
        ]
        best = max(range(4), key=lambda k: candidates[k][k])
        quaternion = torch.tensor(candidates[best], dtype=torch.float64)
        quaternion = quaternion / quaternion.norm()
        return quaternion if quaternion[0] >= 0 else -quaternion
