"""Axes of faces."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize


def frames(along: Tensor, corners: Tensor) -> Tensor:
    """[F, 3, 3] rotations with the axes in columns: a direction, what is across it in the face, the normal.

    Args:
        along: [F, 3] in the planes of the faces, of any length.
        corners: [F, 3, 3] of the faces, in rows; anticlockwise as seen from where the normal points.
    """
    # Lengths go first: the product of two tiny edges would vanish in float32.
    sides = normalize(corners[:, 1:] - corners[:, :1], dim=2)
    normals = normalize(torch.linalg.cross(sides[:, 0], sides[:, 1]), dim=1)
    first = normalize(along, dim=1)
    return torch.stack([first, torch.linalg.cross(normals, first), normals], dim=2)
