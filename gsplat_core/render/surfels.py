"""Surfels: flat Gaussians, which pixels see where their rays meet the plane (2D Gaussian Splatting, Huang et
al. 2024).

The third scale does not matter; the third axis is the normal. The formulas are in
``csrc/math/response/surfel.h``. Here is what belongs to a surfel and a camera: what pixels need of it, where
the low-pass filter has its centre, and where in the image it is seen.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.quaternions import rotation_matrices
from gsplat_core.render.ellipses import Ellipses, ellipses_in_image
from gsplat_core.render.inputs import Inputs
from gsplat_core.render.rays import LEAST_SCALE, Rays, pixel_rays, places_of
from gsplat_core.render.settings import RenderSettings
from gsplat_core.render.stages import Splats, levels

_CUTOFF = 9.0
"""The low-pass filter is around the middle of the box of what lies within three standard deviations, squared
(Huang et al. 2024, supplement)."""


def seen_surfels(inputs: Inputs, width: int, height: int, settings: RenderSettings) -> tuple[Splats, Rays]:
    """Splats, of which only opacity and depth are arguments of the rendering: their ellipses tell where to
    look for surfels; and what pixels see, differentiable.

    Raises:
        NotImplementedError: the cameras are no pinhole cameras of one moment, or surfels have no axes.
    """
    _check(inputs, settings)
    axes = axes_of(inputs)
    turn = inputs.viewmats[..., :3, :3]
    centres = -(turn.mT @ inputs.viewmats[..., :3, 3:])[..., 0]
    offsets = inputs.means[:, None] - centres[:, :, None]
    # Nobody sees a surfel whose place is not finite, but zero times that would be its gradient.
    offsets = torch.where(offsets.isfinite(), offsets, 0.0)
    axes = torch.where(axes.isfinite(), axes, 0.0)[:, None].expand(-1, offsets.shape[1], -1, -1, -1)
    frames = torch.cat([axes, offsets[..., None]], dim=-1)  # [B, C, N, 3, 3]
    in_camera = turn[:, :, None] @ frames

    with torch.no_grad():
        bounds = _bounds(in_camera, inputs, width, height, settings)
    whole = bounds.visible[..., None, None]
    nowhere = torch.eye(3, dtype=frames.dtype, device=frames.device)
    on_screen = inputs.Ks[:, :, None] @ torch.where(whole, in_camera, nowhere)
    middle = torch.where(whole[..., 0], centres_of_filters(on_screen), 0.0)
    opacities = torch.where(bounds.visible, inputs.opacities[:, None], 0.0)
    depths = torch.where(bounds.visible, in_camera[..., 2, 2], 0.0)
    splats = Splats(middle, bounds.shapes, depths, opacities, bounds.radii)
    canonical = torch.cat(
        [
            frames.mT.flatten(-2),
            middle - middle.detach(),  # from means2d, which are there
            torch.full_like(middle[..., :1], settings.near_plane),
        ],
        dim=-1,
    )
    rays = pixel_rays(inputs.camera, inputs.viewmats, inputs.Ks, inputs.lens, width, height)
    return places_of(splats), Rays(canonical, rays)


def axes_of(inputs: Inputs) -> Tensor:
    """[B, N, 3, 2] in world space, as long as the standard deviations. What is smaller counts as
    `LEAST_SCALE` large."""
    assert inputs.quats is not None
    assert inputs.scales is not None
    return rotation_matrices(inputs.quats)[..., :2] * inputs.scales[..., None, :2].clamp(min=LEAST_SCALE)


def _check(inputs: Inputs, settings: RenderSettings) -> None:
    refused = {
        f"the camera model {inputs.camera!r}": inputs.camera != "pinhole",
        "a rolling shutter": inputs.motion is not None,
        "'rays'": inputs.rays is not None,
        "'external_distortion_coeffs'": inputs.windshield is not None,
        "'covars'": inputs.quats is None,
        "the order 'pixel'": settings.order == "pixel",
        "the unscented transform": settings.unscented,
    }
    for what, there in refused.items():
        if there:
            raise NotImplementedError(f"there are no surfels with {what}: they are drawn by pinhole cameras")


def centres_of_filters(on_screen: Tensor) -> Tensor:
    """[..., 2], in pixels: the middle of the box around the image of what lies within three standard
    deviations, or that of the centre, if some of it is behind the camera. `on_screen` [..., 3, 3] is
    K [a, b, m]."""
    u, v, w = on_screen.unbind(-2)
    factors = on_screen.new_tensor([_CUTOFF, _CUTOFF, -1.0])
    size = (factors * w * w).sum(-1, keepdim=True)
    in_front = size < 0
    factors = torch.where(in_front, factors / torch.where(in_front, size, -1.0), 0.0)
    middle = torch.stack([(factors * u * w).sum(-1), (factors * v * w).sum(-1)], dim=-1)
    deep = w[..., 2:].abs() > 0
    centre = torch.stack([u[..., 2], v[..., 2]], dim=-1) / torch.where(deep, w[..., 2:], 1.0)
    return torch.where(in_front, middle, centre)


def _bounds(in_camera: Tensor, inputs: Inputs, width: int, height: int, settings: RenderSettings) -> Ellipses:
    """The least ellipses known around the centres of the filters that hold all pixels in which alpha reaches
    1/255.

    A disc in front of the camera has an ellipse as its image, by the dual conic T diag(q, q, -1) T^T; that
    and the circle of the filter lie in an ellipse with the sum of their matrices. Moved to the middle of the
    box by d, an ellipse of the matrix A lies in that of (1 + m) A + (1 + 1/m) d d^T with m^2 = d^T A^-1 d.
    """
    level = levels(inputs.opacities, "surfel", None)
    assert level is not None
    q = level.double()[:, None].expand(in_camera.shape[:3])
    screen = (inputs.Ks[:, :, None] @ in_camera).double()
    depth = in_camera[..., 2, 2]
    given = torch.cat([inputs.means, axes_of(inputs).flatten(-2)], dim=-1)
    there = given.isfinite().all(-1)[:, None] & q.isfinite()
    visible = (
        there
        & screen.isfinite().all(-1).all(-1)
        & (q > 0)
        & (depth > settings.near_plane)
        & (depth < settings.far_plane)
    )
    some = visible[..., None, None]
    screen = torch.where(some, screen, torch.eye(3, dtype=screen.dtype, device=screen.device))
    middle = centres_of_filters(screen)
    dual = torch.einsum(
        "...ik,...k,...jk->...ij", screen, torch.stack([q, q, torch.full_like(q, -1.0)], -1), screen
    )
    # Where only a part is in front, it may be seen anywhere.
    in_front = dual[..., 2, 2] < -1e-6 * screen[..., 2, 2] ** 2
    dual = dual / torch.where(in_front, dual[..., 2, 2], -1.0)[..., None, None]
    centre = dual[..., :2, 2]
    matrix = centre[..., :, None] * centre[..., None, :] - dual[..., :2, :2]
    # And what rounding may do: the matrices of flat ones have less than nothing in a direction.
    wider = 0.5 * q + 0.1 + 1e-4 * matrix.diagonal(dim1=-2, dim2=-1).sum(-1).abs()
    unit = torch.eye(2, dtype=q.dtype, device=q.device)
    matrix = matrix + wider[..., None, None] * unit
    aside = (centre - middle)[..., None]
    m = (aside.mT @ _solved(matrix, aside))[..., 0].clamp(min=0.0).sqrt()[..., None]
    matrix = (1 + m) * matrix + (1 + 1 / m.clamp(min=1e-12)) * (aside @ aside.mT)
    size = middle.new_tensor([width, height])
    everywhere = (2 * (middle - 0.5 * size).abs().sum(-1) + width + height)[..., None, None] ** 2
    matrix = torch.where(in_front[..., None, None], matrix, everywhere * unit)
    found = ellipses_in_image(visible, middle, matrix, q, width, height, settings.radius_clip)
    return found._replace(shapes=found.shapes.to(in_camera.dtype))


def _solved(matrix: Tensor, right: Tensor) -> Tensor:
    """matrix^-1 right for symmetric 2x2 matrices; anything where there is no inverse."""
    a, b, c = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 1]
    det = a * c - b * b
    x, y = right[..., 0, 0], right[..., 1, 0]
    solved = torch.stack([c * x - b * y, a * y - b * x], dim=-1) / det.clamp(min=1e-300)[..., None]
    return solved[..., None]


def depths_in_pixels(ids: Tensor, rays: Rays) -> Tensor:
    """[B, C, H, W]: how deep pixels see the surfels `ids` [B, C, H, W] int32, numbers in their scene, or zero
    for -1. Differentiable: n . (m - c) over n . d with the normal n, the centre m - c and the direction d."""
    frames = torch.nn.functional.pad(rays.canonical[..., :9], (0, 0, 1, 0))
    rows = ids.flatten(2).long() + 1
    own = frames.gather(2, rows[..., None].expand(-1, -1, -1, 9)).unflatten(2, ids.shape[2:])
    a, b, centre = own.split(3, dim=-1)
    normal = torch.nn.functional.normalize(torch.linalg.cross(a, b), dim=-1, eps=1e-38)
    along = (normal * rays.rays).sum(-1)
    there = (ids >= 0) & (along != 0)
    return torch.where(there, (normal * centre).sum(-1) / torch.where(there, along, 1.0), 0.0)
