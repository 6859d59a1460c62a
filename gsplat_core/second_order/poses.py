"""What a photograph says about the pose of its camera: the normal equations of Gauss-Newton's method.

Increments are twists (w, v) in the camera's frame, V <- Exp(w, v) V: a rotation in radians about the camera's
centre, and a translation in scene units, along x right, y down, z forward. That is what a filter, such as the
iterated Kalman filter of GS-LIVO (Hong et al. 2024), wants of a photograph, and what
`gsplat_core.apps.localize` solves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core import se3
from gsplat_core.losses import as_float
from gsplat_core.render.cameras import Cameras, Posed
from gsplat_core.render.scene import Scene, render
from gsplat_core.render.settings import USUAL, RenderSettings


class Equations(NamedTuple):
    """A quadratic model of a cost around a pose: cost + Jtr . x + x . JtJ x / 2 for an increment x.

    Attributes:
        JtJ: [P, P] float64; P is 6 for a pose.
        Jtr: [P] float64.
        cost: half the weighted sum of squared residuals.
    """

    JtJ: Tensor
    Jtr: Tensor
    cost: float


class Exposure(NamedTuple):
    """How a photograph's colours follow from a rendering's: gain * rendering + offset."""

    gain: float = 1.0
    offset: float = 0.0


AS_RENDERED = Exposure()


class PoseJacobian(NamedTuple):
    """A rendering [H, W, 3], its alphas [H, W], and how it changes [H, W, 3, 6] with the camera's pose."""

    image: Tensor
    alphas: Tensor
    jacobian: Tensor


def linearize(
    scene: Scene,
    image: Tensor,
    camera: Posed,
    settings: RenderSettings = USUAL,
    *,
    exposure: Exposure = AS_RENDERED,
    mask: Tensor | None = None,
    least_alpha: float = 0.5,
    huber: float | None = None,
    background: Tensor | None = None,
) -> Equations:
    """The normal equations of a camera's pose, from the residuals exposure(rendering) - photograph of all
    pixels that count and all channels. Nothing but the pose is an unknown.

    A filter whose state has the pose with covariance P, and whose photographs have noise of the variance R,
    adds P^-1 to JtJ / R.

    Args:
        scene, settings, background: as for :func:`gsplat_core.render.scene.render`.
        image: [H, W, 3] the photograph, float32 in [0, 1] or uint8, of the camera's size.
        camera: at the pose around which is linearized.
        mask: [H, W] bool, the pixels that count; None where all do.
        least_alpha: pixels of which the scene covers less do not count.
        huber: residuals beyond it have a cost that grows linearly (Huber 1964), and less weight; None: none.

    Raises:
        ValueError: a tensor has a wrong shape.
    """
    seen = pose_jacobian(scene, camera, settings, background)
    if image.shape != seen.image.shape:
        raise ValueError(f"image must be {list(seen.image.shape)}, as the camera's, not {list(image.shape)}")
    counts = seen.alphas >= least_alpha
    if mask is not None:
        counts = counts & mask
    residuals = exposure.gain * seen.image + exposure.offset - as_float(image)
    return normal_equations(exposure.gain * seen.jacobian[counts].reshape(-1, 6), residuals[counts], huber)


def pose_jacobian(
    scene: Scene, camera: Posed | Cameras, settings: RenderSettings = USUAL, background: Tensor | None = None
) -> PoseJacobian:
    """The image of one camera, and its derivative by increments of the pose: one rendering and six passes of
    forward mode."""
    means = scene["means"] if isinstance(scene, Mapping) else scene.means
    cameras = Cameras.of(camera, means.device)

    def moved(twist: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        there = replace(cameras, viewmats=se3.exp(twist) @ cameras.viewmats)
        rendered = render(scene, there, settings, background=background)
        return rendered.colors[0], (rendered.colors[0], rendered.alphas[0, ..., 0])

    with torch.no_grad():
        still = torch.zeros(6, device=means.device)
        jacobian, (image, alphas) = torch.func.jacfwd(moved, has_aux=True)(still)
    return PoseJacobian(image, alphas, jacobian)


def normal_equations(jacobian: Tensor, residuals: Tensor, huber: float | None = None) -> Equations:
    """Of residuals [...], M in all, with a Jacobian [M, P]. With `huber`, of the least squares that are
    reweighted to have its gradient."""
    J, r = jacobian.double(), residuals.reshape(-1).double()
    weights, cost = robust(r, huber)
    weighted = J * weights[:, None]
    return Equations((weighted.T @ J).cpu(), (weighted.T @ r).cpu(), float(cost.sum()))


def robust(residuals: Tensor, huber: float | None) -> tuple[Tensor, Tensor]:
    """The weight and the cost of each residual, of half its square where it is small."""
    if huber is None:
        return torch.ones_like(residuals), residuals.square() / 2
    size = residuals.abs().clamp(min=huber)
    inside = residuals.clamp(-huber, huber)
    return huber / size, inside.square() / 2 + huber * (size - huber)


@dataclass(frozen=True, eq=False)
class PosePrior:
    """What was known of a pose before: it is Exp(e) mean with e ~ N(0, information^-1).

    Args:
        mean: [4, 4] world to camera.
        information: [6, 6] the inverse of the covariance of twists (w, v) in the camera's frame, in 1 /
            radian^2 and 1 / scene unit^2.
    """

    mean: Tensor
    information: Tensor

    def equations(self, viewmat: Tensor) -> Equations:
        """Of increments of a pose [4, 4], for the negative logarithm of the prior's density."""
        away = viewmat.double() @ torch.linalg.inv(self.mean.double())
        weight = self.information.double()

        def difference(twist: Tensor) -> Tensor:
            return se3.log(se3.exp(twist) @ away)

        still = torch.zeros(6, dtype=torch.float64)
        J, e = torch.func.jacfwd(difference)(still), difference(still)
        return Equations(J.T @ weight @ J, J.T @ weight @ e, float(e @ weight @ e) / 2)
