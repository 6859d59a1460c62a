"""What a measured depth says of a pose: how far the map's surface is from the measured one, along normals
(frame to model, projective association and point to plane; Newcombe et al. 2011, KinectFusion)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core.render.drawing import Outputs
from gsplat_core.render.rays import rays_of_cameras
from gsplat_core.render.scene import render
from gsplat_core.render.surfaces import normals_of_depths
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.second_order.poses import Equations, robust


class Surface(NamedTuple):
    """A measured surface in camera coordinates.

    Attributes:
        rays: [H, W, 3] with z = 1.
        depths: [H, W] along the viewing axis.
        normals: [H, W, 3]; zero where there is none.
    """

    rays: Tensor
    depths: Tensor
    normals: Tensor

    @classmethod
    def of(cls, depth: Tensor, camera: Camera) -> Surface:
        """Of a depth map [H, W] of a pinhole camera; what is not positive or not finite is not known."""
        depth = depth.double()
        known = (depth > 0) & depth.isfinite()
        depth = depth.where(known, 0.0)
        K = torch.from_numpy(camera.K)[None]
        rays = rays_of_cameras("pinhole", K, None, camera.width, camera.height)[0]
        normals = normals_of_depths(depth[None], torch.eye(4).double()[None], K)[0]
        return cls(rays, depth, normals)


def surface_equations(
    scene: Gaussians, surface: Surface, camera: Camera, noise: float, least_alpha: float
) -> Equations:
    """The normal equations of a twist x of the camera, whose residual at a pixel is n . (p - q), with the
    measured point p, its normal n, and the map's point q, which moves by x: q + w cross q + v.

    Args:
        camera: where it is believed to be.
        noise: standard deviation of a depth, scene units; beyond it, differences count linearly.
        least_alpha: pixels of which the map covers less say nothing.
    """
    with torch.no_grad():
        seen = render(scene, camera, outputs=Outputs(colors=False, depth="expected"))
    there = (seen.alphas[0, ..., 0] > least_alpha) & (surface.normals != 0).any(dim=-1)
    q = (surface.rays * seen.depths[0].double()[..., None])[there]
    p, n = (surface.rays * surface.depths[..., None])[there], surface.normals[there]
    residuals = (n * (p - q)).sum(dim=-1) / noise
    weights, costs = robust(residuals, 1.0)
    J = -torch.cat([torch.linalg.cross(q, n), n], dim=-1) / noise
    weighted = J * weights[:, None]
    return Equations(weighted.T @ J, weighted.T @ residuals, float(costs.sum()))
