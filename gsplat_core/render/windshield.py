"""A pane of glass before the camera, which bends light before the lens does: gsplat's external distortion.

Directions outside of it and at the lens are told by two angles, phi = asin(x) and theta = asin(y) of the unit
vector (x, y, z) in the camera's axes, z > 0. Two polynomials in both angles make one of the other:

    phi' = sum_j (sum_i h_ij phi^i) theta^j,    theta' = sum_j (sum_i v_ij phi^i) theta^j,    i + j <= degree

so the pane maps the space before the camera to itself: a point moves on its sphere around the camera. A
Gaussian in front of it is projected as that which the map's derivative at its centre makes of it, by any lens
and with any way to make splats; rays at the lens are led back to where they come from.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core.quaternions import rotation_matrices
from gsplat_core.render.camera_types import (
    BivariateWindshieldModelParameters,
    ExternalDistortionReferencePolynomial,
)
from gsplat_core.render.inputs import Inputs, Windshield

_ROUNDS = 10  # of Newton's method; panes bend by a few degrees
_MOST_SINE = 1 - 1e-6
_LEAST_AHEAD = 1e-6  # cosine of the largest angle from the axis


class _Bent(NamedTuple):
    """Sines (x, y) of a direction that was bent, and their derivatives by those of the direction before."""

    x: Tensor
    y: Tensor
    x_by_x: Tensor
    x_by_y: Tensor
    y_by_x: Tensor
    y_by_y: Tensor


def windshield_of(coeffs: BivariateWindshieldModelParameters, like: Tensor) -> Windshield:
    """The pane with the polynomials that `reference_poly` names, on the device of a tensor.

    Raises:
        ValueError: a polynomial has a number of coefficients that no degree has, or there is none.
    """
    forward = (
        ExternalDistortionReferencePolynomial(coeffs.reference_poly)
        == ExternalDistortionReferencePolynomial.FORWARD
    )
    ending = "" if forward else "_inverse"
    polynomials = []
    for name in ("horizontal_poly", "vertical_poly"):
        given = getattr(coeffs, name + ending)
        terms = torch.as_tensor(() if given is None else given, dtype=like.dtype, device=like.device)
        if terms.dim() != 1 or terms.numel() < 3 or _degree(terms.numel()) is None:
            raise ValueError(
                f"argument 'external_distortion_coeffs' must have 3, 6, 10, 15 or 21 coefficients "
                f"{name}{ending}, which its reference_poly names, got shape {list(terms.shape)}"
            )
        polynomials.append(terms)
    return Windshield(polynomials[0], polynomials[1], towards_lens=forward)


def _degree(count: int) -> int | None:
    """Of a polynomial in two variables with so many terms; None if there is none, or a too high one."""
    return next((n for n in range(1, 6) if (n + 1) * (n + 2) // 2 == count), None)


def _polynomial(terms: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The value at (a, b) and both derivatives. Terms are listed by the power of b, then of a."""
    degree = _degree(terms.numel())
    assert degree is not None
    first = terms.numel()
    value = by_a = by_b = torch.zeros_like(a)
    for j in range(degree, -1, -1):
        first -= degree - j + 1
        row = row_by_a = torch.zeros_like(a)
        for i in range(degree - j, -1, -1):
            row_by_a = row_by_a * a + row
            row = row * a + terms[first + i]
        by_b = by_b * b + value
        value, by_a = value * b + row, by_a * b + row_by_a
    return value, by_a, by_b


def _bend(pane: Windshield, x: Tensor, y: Tensor) -> _Bent:
    """As the polynomials say."""
    x, y = x.clamp(-_MOST_SINE, _MOST_SINE), y.clamp(-_MOST_SINE, _MOST_SINE)
    by_x, by_y = (1 - x.square()).rsqrt(), (1 - y.square()).rsqrt()  # derivatives of the angles
    phi, phi_by_a, phi_by_b = _polynomial(pane.horizontal, x.asin(), y.asin())
    theta, theta_by_a, theta_by_b = _polynomial(pane.vertical, x.asin(), y.asin())
    across, down = phi.cos(), theta.cos()
    return _Bent(
        phi.sin(), theta.sin(),
        across * phi_by_a * by_x, across * phi_by_b * by_y,
        down * theta_by_a * by_x, down * theta_by_b * by_y,
    )  # fmt: skip


def _unbend(pane: Windshield, x: Tensor, y: Tensor) -> _Bent:
    """The other way round: by Newton's method, and with the derivatives of the implicit function."""
    with torch.no_grad():
        known = Windshield(pane.horizontal.detach(), pane.vertical.detach(), pane.towards_lens)
        at_x, at_y = x.detach(), y.detach()
        for _ in range(_ROUNDS):
            at_x, at_y = _step(_bend(known, at_x, at_y), at_x, at_y, x, y)
    at_x, at_y = _step(_constant_slopes(_bend(pane, at_x, at_y)), at_x, at_y, x, y)
    bent = _bend(pane, at_x, at_y)
    determinant = bent.x_by_x * bent.y_by_y - bent.x_by_y * bent.y_by_x
    return _Bent(
        at_x, at_y, bent.y_by_y / determinant, -bent.x_by_y / determinant, -bent.y_by_x / determinant,
        bent.x_by_x / determinant,
    )  # fmt: skip


def _constant_slopes(bent: _Bent) -> _Bent:
    return _Bent(bent.x, bent.y, *[slope.detach() for slope in bent[2:]])


def _step(bent: _Bent, at_x: Tensor, at_y: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    determinant = bent.x_by_x * bent.y_by_y - bent.x_by_y * bent.y_by_x
    miss_x, miss_y = bent.x - x, bent.y - y
    return (
        at_x - (bent.y_by_y * miss_x - bent.x_by_y * miss_y) / determinant,
        at_y - (bent.x_by_x * miss_y - bent.y_by_x * miss_x) / determinant,
    )


def rays_outside(pane: Windshield, rays: Tensor) -> Tensor:
    """Rays at the lens in the camera's axes, [..., 3] directions and perhaps [..., 6] origins, as they are
    outside. Directions get the length 1; those that are zero, or do not look ahead, stay what they are."""
    directions = rays[..., :3]
    ahead = directions[..., 2] > _LEAST_AHEAD * directions.detach().norm(dim=-1)
    safe = torch.where(ahead[..., None], directions, directions.new_tensor([0.0, 0.0, 1.0]))
    x, y, _ = torch.nn.functional.normalize(safe, dim=-1).unbind(-1)
    bent = (_unbend if pane.towards_lens else _bend)(pane, x, y)
    outside = torch.stack([bent.x, bent.y, _rest(bent.x, bent.y)], dim=-1)
    return torch.cat([torch.where(ahead[..., None], outside, directions), rays[..., 3:]], dim=-1)


def _rest(x: Tensor, y: Tensor) -> Tensor:
    """The third component of a unit vector that looks ahead."""
    return (1 - x.square() - y.square()).clamp(min=_LEAST_AHEAD**2).sqrt()


def behind(inputs: Inputs) -> Inputs:
    """The Gaussians as each camera's lens would have to see them without the pane. Those are others for every
    camera, so each becomes the only one of a scene of its own, B C of them."""
    num_cameras = inputs.viewmats.shape[1]

    def of_cameras(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.reshape(-1, 1, *tensor.shape[2:])

    def of_gaussians(tensor: Tensor | None) -> Tensor | None:
        if tensor is None:
            return None
        return tensor[:, None].expand(-1, num_cameras, *tensor.shape[1:]).flatten(0, 1)

    means, covars = _moved(inputs)
    viewmats, Ks, opacities = (
        of_cameras(inputs.viewmats),
        of_cameras(inputs.Ks),
        of_gaussians(inputs.opacities),
    )
    assert viewmats is not None
    assert Ks is not None
    assert opacities is not None
    return inputs._replace(
        means=means.flatten(0, 1), quats=None, scales=None, covars=covars.flatten(0, 1), opacities=opacities,
        viewmats=viewmats, Ks=Ks, lens=of_cameras(inputs.lens), motion=of_cameras(inputs.motion),
        extras=of_gaussians(inputs.extras), windshield=None,
    )  # fmt: skip


def _moved(inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Means [B, C, N, 3] and covariances [B, C, N, 6] in the world of Gaussians that the pane
    moved. What is not ahead stays where it is."""
    pane, rotation = inputs.windshield, inputs.viewmats[:, :, None, :3, :3]
    assert pane is not None
    shift = inputs.viewmats[:, :, None, :3, 3]
    points = (rotation @ inputs.means[:, None, :, :, None])[..., 0] + shift
    lengths = points.detach().norm(dim=-1)
    ahead = ((points[..., 2] > _LEAST_AHEAD * lengths) & (lengths < math.inf))[..., None]
    safe = torch.where(ahead, points, points.new_tensor([0.0, 0.0, 1.0]))
    length = safe.norm(dim=-1, keepdim=True)
    unit = safe / length
    bent = (_bend if pane.towards_lens else _unbend)(pane, unit[..., 0], unit[..., 1])
    z = _rest(bent.x, bent.y)
    moved = torch.where(ahead, length * torch.stack([bent.x, bent.y, z], dim=-1), points)

    # q = r n'(p / r) has the derivative n' n^T + dn'/dn (I - n n^T).
    zero = torch.zeros_like(z)
    along_z = [
        -(bent.x * bent.x_by_x + bent.y * bent.y_by_x) / z,
        -(bent.x * bent.x_by_y + bent.y * bent.y_by_y) / z,
    ]
    by_unit = torch.stack(
        [bent.x_by_x, bent.x_by_y, zero, bent.y_by_x, bent.y_by_y, zero, *along_z, zero], dim=-1
    ).unflatten(-1, (3, 3))
    across = torch.eye(3, dtype=unit.dtype, device=unit.device) - unit[..., :, None] * unit[..., None, :]
    outward = torch.stack([bent.x, bent.y, z], dim=-1)[..., :, None] * unit[..., None, :]
    derivative = torch.where(
        ahead[..., None], outward + by_unit @ across, torch.eye(3, dtype=unit.dtype, device=unit.device)
    )
    in_world = rotation.mT @ derivative @ rotation
    if inputs.covars is None:
        assert inputs.quats is not None
        assert inputs.scales is not None
        root = in_world @ (rotation_matrices(inputs.quats) * inputs.scales[..., None, :])[:, None]
        covars = root @ root.mT
    else:
        full = inputs.covars[..., [0, 1, 2, 1, 3, 4, 2, 4, 5]].unflatten(-1, (3, 3))
        covars = in_world @ full[:, None] @ in_world.mT
    means = (rotation.mT @ (moved - shift)[..., None])[..., 0]
    return means, covars.flatten(-2)[..., [0, 1, 2, 4, 5, 8]]
