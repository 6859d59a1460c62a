"""The refinement of SuGaR (Guédon and Lepetit 2024): discs at fixed places of faces, whose vertices move.

A Gaussian has the angle at which it lies in its face, and two scales of its own, which stay what they are
when the face is stretched. The angle is that of the square of a complex number u of any length but zero: so
the rotation is the face's quaternion times u as one, where the published number, the square itself, would
need a root that is not differentiable at half a turn. Of u, half the published learning rate turns as fast.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from gsplat_core.mesh.faces.frames import frames
from gsplat_core.mesh.faces.lattice import lattice, shortest_edges
from gsplat_core.mesh.faces.model import Placed
from gsplat_core.quaternions import quaternions_of


class SugarFaces:
    per_face = 6
    thickness = 1e-6
    moves_vertices = True
    rates: Mapping[str, float] = {"turns": 5e-4}

    def check(self, per_face: int) -> None:
        lattice(per_face)

    def tensors(self, num: int, per_face: int, seed: int) -> dict[str, Tensor]:
        """turns: [N, 2], u."""
        return {"turns": torch.tensor([1.0, 0.0]).repeat(num, 1)}

    def weights(self, tensors: Mapping[str, Tensor], per_face: int) -> Tensor:
        return lattice(per_face).weights

    def radii(self, corners: Tensor, per_face: int) -> Tensor:
        return (lattice(per_face).radius * shortest_edges(corners))[:, None].repeat(1, 2)

    def placed(self, corners: Tensor, tensors: Mapping[str, Tensor], scales: Tensor, per_face: int) -> Placed:
        weights = self.weights(tensors, per_face).to(corners)
        # One product of matrices instead of one for each face.
        means = (corners.mT.reshape(-1, 3) @ weights.T).reshape(-1, 3, per_face).mT.reshape(-1, 3)
        faces = quaternions_of(frames(corners[:, 1] - corners[:, 0], corners))
        w, x, y, z = faces.repeat_interleave(per_face, dim=0).unbind(1)
        a, b = tensors["turns"].unbind(1)
        quats = torch.stack([w * a - z * b, x * a + y * b, y * a - x * b, z * a + w * b], dim=1)
        return Placed(means, quats, torch.cat([scales[:, :2], scales[:, 2:].detach()], dim=1))
