"""Flat Gaussians with the image of a Gaussian and the depth of their plane (AT-GS, Chen et al. 2024, after
Gaussian Surfels, Dai et al. 2024).

A Gaussian with the normal n and the centre p, both in the camera's axes, is seen from its front only. The ray
r of a pixel, of the length 1 along the viewing axis, meets its plane at the depth

    z = (n . p) / (n . r),    so    1 / z = a . r    with    a = n / (n . p),

which is affine in the pixel where z is not, and finite where the plane has its horizon. So what pixels blend
is a, three numbers per splat, like a colour: the sum of w / z over a pixel's splats is exact at every pixel,
without an approximation around centres, and needs no kernel of its own. Their mean depth is the harmonic one,
the reciprocal of the mean of 1 / z. The sum of w / z^2 is r^T (sum of w a a^T) r.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.quaternions import rotation_matrices
from gsplat_core.render.inputs import Inputs
from gsplat_core.render.layers import Layer
from gsplat_core.render.rays import rays_of_cameras
from gsplat_core.render.stages import Splats
from gsplat_core.render.variants import EVERY_RESPONSE

LEAST_COSINE = 0.01
"""Between the normal and the direction to the camera. What is more edge-on is not seen (AT-GS), so that a has
a bound."""


def flattened(inputs: Inputs) -> Inputs:
    """The same Gaussians, without any thickness along their third axes.

    Raises:
        NotImplementedError: these Gaussians or cameras have no such depths.
    """
    response = EVERY_RESPONSE[inputs.response]
    refused = {
        f"the response {inputs.response!r}": response.along_rays or response.flat,
        "'covars'": inputs.quats is None,
        "parallel rays (camera_model 'ortho')": inputs.camera == "ortho",
        "a rolling shutter": inputs.motion is not None,
        "'external_distortion_coeffs'": inputs.windshield is not None,
    }
    for what, there in refused.items():
        if there:
            raise NotImplementedError(f"argument 'planes' = True is not supported with {what}")
    assert inputs.scales is not None
    return inputs._replace(scales=inputs.scales * inputs.scales.new_tensor([1.0, 1.0, 0.0]))


def fronts(inputs: Inputs, splats: Splats) -> Splats:
    """The splats without those of which a camera sees the back or the edge."""
    with torch.no_grad():
        normals, places = _in_cameras(inputs)
        facing = (normals * places).sum(-1) < -LEAST_COSINE * places.norm(dim=-1)
    return splats._replace(
        radii=torch.where(facing[..., None], splats.radii, 0),
        opacities=torch.where(facing, splats.opacities, 0.0),
    )


def plane_layer(inputs: Inputs, splats: Splats, squares: bool) -> Layer:
    """The numbers a [B, C, N, 3], and with `squares` the six of a a^T behind them."""
    seen = (splats.radii > 0).all(-1, keepdim=True)
    normals, places = _in_cameras(inputs)
    # What nobody sees may lie anywhere, and its derivative must not spoil others.
    normals = torch.where(seen, normals, normals.new_tensor([0.0, 0.0, -1.0]))
    places = torch.where(seen, places, places.new_tensor([0.0, 0.0, 1.0]))
    a = normals / (normals * places).sum(-1, keepdim=True)
    if not squares:
        return Layer(a)
    x, y, z = a.unbind(-1)
    return Layer(torch.cat([a, torch.stack([x * x, y * y, z * z, x * y, x * z, y * z], dim=-1)], dim=-1))


def plane_hits(blended: Tensor, alphas: Tensor, inputs: Inputs) -> Tensor:
    """What `Rendered.hits` are, [B, C, H, W, 3] or, without squares, [B, C, H, W, 2], from what is blended of
    `plane_layer`. The sum of z is alpha times the harmonic mean; zero where all planes are met behind the
    camera."""
    height, width = blended.shape[2:4]
    rays = rays_of_cameras(inputs.camera, inputs.Ks, inputs.lens, width, height)
    inverse = (blended[..., :3] * rays).sum(-1, keepdim=True)
    there = inverse > 0
    depths = torch.where(there, alphas.square() / torch.where(there, inverse, 1.0), 0.0)
    sums = [depths, inverse]
    if blended.shape[-1] > 3:
        x, y, z = rays.unbind(-1)
        products = torch.stack([x * x, y * y, z * z, 2 * x * y, 2 * x * z, 2 * y * z], dim=-1)
        sums.append((blended[..., 3:] * products).sum(-1, keepdim=True))
    return torch.cat(sums, dim=-1)


def _in_cameras(inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Normals and centres [B, C, N, 3] in the cameras' axes."""
    assert inputs.quats is not None
    turn = inputs.viewmats[:, :, None, :3, :3]
    known = inputs.quats.detach().any(-1, keepdim=True)
    quats = torch.where(known, inputs.quats, inputs.quats.new_tensor([1.0, 0.0, 0.0, 0.0]))
    normals = rotation_matrices(quats)[..., 2]
    # Nobody sees a Gaussian whose place is not finite, but zero times that would be its gradient.
    means = torch.where(inputs.means.isfinite(), inputs.means, 0.0)
    centres = (turn @ means[:, None, :, :, None])[..., 0] + inputs.viewmats[:, :, None, :3, 3]
    return (turn @ normals[:, None, :, :, None])[..., 0], centres
