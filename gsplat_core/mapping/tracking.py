"""The pose of a frame in a scene: Gauss-Newton on coarse images, then on fine ones, together with measured
depths and with what was known of the pose before, as an iterated Kalman filter does it (GS-LIVO, Hong et al.
2024)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core import se3
from gsplat_core.losses import as_float
from gsplat_core.mapping.surface import Surface, surface_equations
from gsplat_core.resizing import resized
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.second_order.poses import Equations, PosePrior, linearize

_LEAST_STEP = 1e-4
"""Of a twist, radians and units of the scene: smaller ones end a level."""
_LEAST_ALPHA = 0.9
"""Where the map ends, pixels show it in front of black, which is not what they should show."""


class Tracked(NamedTuple):
    """
    Attributes:
        viewmat: [4, 4] float64 world to camera.
        information: [6, 6] float64, the inverse of the covariance of twists in the camera's frame, of
            photograph, depths and prior together.
        cost: of all of them, the negative logarithm of their density but for a constant.
    """

    viewmat: Tensor
    information: Tensor
    cost: float


def track(
    scene: Gaussians,
    image: Tensor,
    camera: Camera,
    prior: PosePrior,
    noise: float = 0.05,
    huber: float = 0.1,
    surface: Surface | None = None,
    depth_noise: float = 1.0,
    levels: Sequence[int] = (2, 1),
    iterations: int = 5,
) -> Tracked:
    """
    Args:
        image: [H, W, 3] the photograph, uint8 or float32 in [0, 1].
        camera: its lens; where it stands does not matter.
        prior: where the search begins, and what counts besides the photograph.
        noise: standard deviation of a channel of a pixel; more than that of the sensor, since errors of
            neighbours in a map are much the same.
        huber: larger differences count linearly.
        surface: what of depths was measured with the photograph; None: nothing.
        depth_noise: standard deviation of a depth, scene units; as of `noise`, that of the map included.
        levels: by which factors the photograph is shrunk, one after the other.
        iterations: at most, of each level.
    """
    viewmat = prior.mean.double()
    found = None
    for factor in levels:
        small = camera.resized(max(camera.width // factor, 1), max(camera.height // factor, 1))
        target = resized(as_float(image), (small.height, small.width))
        posterior = _Posterior(scene, target, small, prior, noise, huber, camera, surface, depth_noise)
        viewmat, found = _descended(posterior, viewmat, iterations)
    assert found is not None
    return Tracked(viewmat, found.JtJ, found.cost)


class _Posterior(NamedTuple):
    """What photograph, depths and prior say together."""

    scene: Gaussians
    target: Tensor
    lens: Camera
    prior: PosePrior
    noise: float
    huber: float
    whole: Camera
    """The lens at the size of the surface."""
    surface: Surface | None
    depth_noise: float

    def __call__(self, pose: Tensor) -> Equations:
        there = replace(self.lens, viewmat=pose.numpy())
        seen = linearize(self.scene, self.target, there, huber=self.huber, least_alpha=_LEAST_ALPHA)
        weight = 1 / self.noise**2
        of_colors = Equations(weight * seen.JtJ, weight * seen.Jtr, weight * seen.cost)
        found = [of_colors, self.prior.equations(pose)]
        if self.surface is not None:
            camera = replace(self.whole, viewmat=pose.numpy())
            found.append(surface_equations(self.scene, self.surface, camera, self.depth_noise, _LEAST_ALPHA))
        JtJ, Jtr, costs = zip(*found, strict=True)
        return Equations(torch.stack(JtJ).sum(dim=0), torch.stack(Jtr).sum(dim=0), sum(costs))


def _descended(posterior: _Posterior, viewmat: Tensor, iterations: int) -> tuple[Tensor, Equations]:
    """Gauss-Newton steps until they are small. That costs fall is not asked for: they are sums over the
    pixels that the map covers, which are others after each step."""
    for _ in range(iterations):
        found = posterior(viewmat)
        step = -torch.linalg.solve(found.JtJ, found.Jtr)
        viewmat = se3.exp(step) @ viewmat
        if float(step.abs().max()) < _LEAST_STEP:
            break
    return viewmat, found
