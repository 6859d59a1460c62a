"""Surfels: flat Gaussians, which pixels see where their rays meet the plane (2D Gaussian Splatting, Huang et
al. 2024).

The third scale does not matter; the third axis is the normal. The formulas of what belongs to a surfel and a
pixel are in ``csrc/math/response/surfel.h``, those of a surfel and a camera in
``csrc/math/surfel_projection.h``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.ops.project_surfels import project_surfels
from gsplat_core.render.inputs import Inputs
from gsplat_core.render.rays import Rays, pixel_rays
from gsplat_core.render.settings import RenderSettings
from gsplat_core.render.stages import Splats


def seen_surfels(inputs: Inputs, width: int, height: int, settings: RenderSettings) -> tuple[Splats, Rays]:
    """Splats, of which only opacity and depth are arguments of the rendering: their ellipses tell where to
    look for surfels, and the gradient of their centres is for density control to read
    (:func:`gsplat_core.render.rays.places_of`); and what pixels see, differentiable.

    Raises:
        NotImplementedError: the cameras are no pinhole cameras of one moment, or surfels have no axes.
    """
    _check(inputs, settings)
    *splats, canonical = project_surfels(
        inputs.means,
        inputs.quats,
        inputs.scales,
        inputs.opacities,
        inputs.viewmats,
        inputs.Ks,
        width,
        height,
        settings.numbers(),
    )
    rays = pixel_rays(inputs.camera, inputs.viewmats, inputs.Ks, inputs.lens, width, height)
    return Splats(*splats), Rays(canonical, rays)


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
