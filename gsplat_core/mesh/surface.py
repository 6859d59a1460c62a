"""The surface that a camera sees: the depth of each pixel, how much it counts, and its colour."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from gsplat_core.mesh.density import whitenings
from gsplat_core.primitive import Evaluated
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.outputs import Outputs
from gsplat_core.render.rays import pixel_rays as rays_of_pixels
from gsplat_core.render.scene import evaluated, render
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians

# A ray is densest inside the Gaussian that it shows; so many standard deviations bound what rounding makes of
# thin ones.
_REACH = 3.0
# So that no view counts nothing: Gaussians that are not flat have normals that say little.
_LEAST_COSINE = 0.1


@dataclass(frozen=True, eq=False)
class SurfaceView:
    """What a pinhole camera sees of the surface, on the CPU.

    Args:
        camera: the pinhole.
        depths: [H, W] float32 along the viewing axis, 0 where there is no surface.
        weights: [H, W] float32, how much a pixel counts, 0 where there is no surface.
        colors: [H, W, 3] float32, if they were asked for.
        normals: [H, W, 3] float32, if colours were asked for: towards the camera, of any length.
    """

    camera: Camera
    depths: Tensor
    weights: Tensor
    colors: Tensor | None
    normals: Tensor | None = None

    @property
    def viewmat(self) -> Tensor:
        """[4, 4] float64"""
        return torch.from_numpy(self.camera.viewmat).double()

    @property
    def K(self) -> Tensor:
        """[3, 3] float64"""
        return torch.from_numpy(self.camera.K).double()


class Depths(Protocol):
    """Where on the rays of a pinhole camera the surface lies; see `densest_depths`."""

    def __call__(
        self, gaussians: Evaluated, ids: Tensor, depths: Tensor, camera: Camera, rays: Tensor, /
    ) -> Tensor:
        """[H, W] depths, 0 where there is none."""


class Views(Protocol):
    """Makes all views anew."""

    def __call__(self, what: str, colors: bool, depths: Depths = ...) -> Iterable[SurfaceView]:
        """
        Args:
            what: is being done, for progress.
            colors, depths: as of `surface_view`.
        """


def pixel_rays(camera: Camera, like: Tensor) -> Tensor:
    """[H, W, 3] world directions of the rays through the pixels of a pinhole, of depth 1 each."""
    viewmat, K = torch.from_numpy(camera.viewmat).to(like), torch.from_numpy(camera.K).to(like)
    rays = rays_of_pixels("pinhole", viewmat[None, None], K[None, None], None, camera.width, camera.height)
    return rays[0, 0]


def densest_depths(gaussians: Evaluated, ids: Tensor, depths: Tensor, camera: Camera, rays: Tensor) -> Tensor:
    """[H, W] the depth at which the ray of each pixel sees most of the pixel's Gaussian.

    With M = S^-1 R^T of a Gaussian around m, the ray o + t r comes nearest to it, in standard deviations, at
    t = (M r) . M (m - o) / |M r|^2.

    Args:
        ids: [H, W] int64, one Gaussian for each pixel.
        depths: [H, W] of their centres; also where Gaussians have covariances alone.
        camera: a pinhole.
        rays: its `pixel_rays`.
    """
    if gaussians.quats is None or gaussians.scales is None:
        return depths
    means, scales, whitening = gaussians.means, gaussians.scales, whitenings(gaussians)
    to_center = means - torch.from_numpy(camera.center).to(means)
    centers = torch.einsum("nij,nj->ni", whitening, to_center)[ids]
    along = torch.einsum("hwij,hwj->hwi", whitening[ids], rays)
    densest = (along * centers).sum(-1) / (along * along).sum(-1).clamp(min=1e-30)
    reach = _REACH * scales.amax(dim=1)[ids] / rays.norm(dim=-1)
    return torch.minimum(torch.maximum(densest, depths - reach), depths + reach)


@torch.no_grad()
def surface_view(
    scene: Gaussians,
    camera: Camera,
    min_alpha: float,
    kept: Tensor | None = None,
    colors: bool = True,
    depths: Depths = densest_depths,
) -> SurfaceView:
    """
    The surface of a pixel belongs to the Gaussian behind which half of the light is gone, and lies, if not
    asked otherwise, where the pixel's ray sees most of it (Zhang et al. 2024, "RaDe-GS"): on a disc, where
    the ray meets it, and not at the depth of its centre.

    Args:
        camera: any; of one that is no pinhole its pinhole is taken, with the same pose, K and size.
        min_alpha: pixels less opaque have no surface.
        kept: [H, W] bool, the pixels that count.
        colors: whether they are wanted, and normals, and weights that tell more than where there is a
            surface.
        depths: where on its ray the surface of a pixel lies.

    A pixel counts as much as it is opaque, times the squared cosine between its ray and the normal: a
    distance along a ray is that to the surface divided by the cosine, so views from aside err the more.
    """
    pinhole = replace(camera, model="pinhole", lens=())
    further = ("median_depth", "median_ids", *(("normals",) if colors else ()))
    drawn = render(scene, pinhole, outputs=Outputs(colors=colors, further=further))
    ids, alphas = drawn.meta["median_ids"][0], drawn.alphas[0, ..., 0]
    known = (ids >= 0) & (alphas >= min_alpha)
    if kept is not None and camera.model == "pinhole":
        known &= kept.to(known.device)
    cameras = Cameras.of(pinhole, scene.means.device)
    rays = pixel_rays(pinhole, scene.means)
    found = depths(
        evaluated(scene, cameras), ids.clamp(min=0).long(), drawn.meta["median_depth"][0], pinhole, rays
    )
    known &= found > 0
    weights, normals = alphas, None
    if colors:
        # Blended normals are as long as alpha where all agree.
        along = (drawn.meta["normals"][0] * rays).sum(-1)
        cosines = along.abs() / (rays.norm(dim=-1) * alphas.clamp(min=1e-6))
        weights = alphas * cosines.clamp(_LEAST_COSINE, 1) ** 2
        normals = torch.where(along[..., None] > 0, -1, 1) * drawn.meta["normals"][0]
    zero = torch.zeros((), device=found.device)
    return SurfaceView(
        pinhole,
        torch.where(known, found, zero).float().cpu(),
        torch.where(known, weights, zero).float().cpu(),
        drawn.colors[0].clamp(0, 1).float().cpu() if colors else None,
        None if normals is None else normals.float().cpu(),
    )
