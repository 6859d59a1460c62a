"""How far cameras are from where they should be: rotations in degrees, centres in scene units.

Poses that were found without a common frame agree up to a similarity, so they are aligned first
(:func:`aligned`), by the least squares of the centres (Umeyama 1991) as the absolute trajectory error has it
(Sturm et al. 2012, "A Benchmark for the Evaluation of RGB-D SLAM Systems").
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gsplat_core.scene.similarity import Similarity


@dataclass(frozen=True, eq=False)
class PoseErrors:
    """Of N cameras.

    Args:
        degrees: [N] float64, angles between the rotations.
        distances: [N] float64, between the centres, in scene units.
    """

    degrees: Tensor
    distances: Tensor

    @property
    def trajectory_error(self) -> float:
        """The root of the mean squared distance: ATE, where the cameras were aligned."""
        return math.sqrt(float(self.distances.square().mean()))


def rotation_error_degrees(first: Tensor, second: Tensor) -> Tensor:
    """[...] float64, the angles between rotation matrices [..., 3, 3]; exact for small ones, too."""
    difference = first.double() - second.double()
    # |A - B| = 2 sqrt(2) sin(angle / 2)
    half = (difference.square().sum(dim=(-2, -1)) / 8).sqrt().clamp(max=1.0).asin()
    return torch.rad2deg(2 * half)


def centers_of(viewmats: Tensor) -> Tensor:
    """[..., 3] where cameras [..., 4, 4] (world to camera) stand."""
    return -(viewmats[..., :3, :3].mT @ viewmats[..., :3, 3:])[..., 0]


def pose_errors(viewmats: Tensor, truth: Tensor) -> PoseErrors:
    """How far cameras [N, 4, 4] are from others [N, 4, 4], both world to camera, as they stand."""
    distances = (centers_of(viewmats.double()) - centers_of(truth.double())).norm(dim=-1)
    return PoseErrors(rotation_error_degrees(viewmats[..., :3, :3], truth[..., :3, :3]), distances)


def aligned(viewmats: Tensor, truth: Tensor) -> Tensor:
    """[N, 4, 4] float64, the cameras after the similarity of their world that brings their centres nearest to
    those of `truth`. Both are [N, 4, 4] world to camera.

    Raises:
        ValueError: all of the cameras stand at one place or in one line, so that none is nearest.
    """
    moved = viewmats.double().clone()
    found = Similarity.between(centers_of(moved), centers_of(truth.double()))
    centers = found.apply(centers_of(moved))
    moved[..., :3, :3] = moved[..., :3, :3] @ found.rotation.T
    moved[..., :3, 3] = -(moved[..., :3, :3] @ centers[..., None])[..., 0]
    return moved


def absolute_trajectory_error(viewmats: Tensor, truth: Tensor) -> float:
    """The root of the mean squared distance between the centres of cameras [N, 4, 4] and of `truth`, after
    :func:`aligned`, which can fail."""
    return pose_errors(aligned(viewmats, truth), truth).trajectory_error
