"""What draws Gaussians to surfaces while they are trained (Guédon and Lepetit 2024, "SuGaR").

If all Gaussians were opaque discs in surfaces, the density d of `gsplat_core.mesh.density` would tell how far
a point is from them: f = b sqrt(-2 ln d), with b the thickness of the Gaussians there. Points are drawn
around Gaussians, and f is held against the distances that a rendering's depths tell, and the normals of the
Gaussians against those of their neighbours.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core.mesh.density import Density
from gsplat_core.primitive import Evaluated
from gsplat_core.quaternions import rotation_matrices

SPREAD = 1.5
"""Standard deviations of a Gaussian that points are drawn around it with, in its own."""
NEAR = 2.0
"""A Gaussian shows itself if its centre is within so many standard deviations of the depth of its pixel."""
# With it the sum of all neighbours is never more than 1.
_FACTOR = 1 / 16
_LEAST_DENSITY = 1e-16
# Where the distance is 0 its root has no slope.
_LEAST_DISTANCE = 1e-12
# In tenths of the extent: what is farther off is an error of the depths.
_MOST = 10.0


class Camera(NamedTuple):
    """A pinhole and the depths that it sees.

    Args:
        viewmat: [4, 4]
        K: [3, 3]
        depths: [H, W] along the viewing axis.
        kept: [H, W] bool, the pixels that count; None for all.
    """

    viewmat: Tensor
    K: Tensor
    depths: Tensor
    kept: Tensor | None = None

    def seen(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of points [P, 3]: their depths [P], those of the surfaces at their pixels [P], between pixels
        bilinear, and whether they are in the image and their pixel counts [P]; differentiable."""
        inside = points @ self.viewmat[:3, :3].mT + self.viewmat[:3, 3]
        z = inside[:, 2]
        image = inside @ self.K.mT
        height, width = self.depths.shape
        size = torch.tensor([width, height], device=points.device)
        places = image[:, :2] / torch.where(z > 1e-6, z, torch.ones_like(z))[:, None]
        visible = (z > 1e-6) & ((places >= 0) & (places < size)).all(dim=1)
        places = torch.where(visible[:, None], places, torch.zeros_like(places))
        if self.kept is not None:
            x, y = places.detach().long().unbind(dim=1)
            visible = visible & self.kept[y, x]
        grid = (2 * places / size - 1)[None, None]
        surface = torch.nn.functional.grid_sample(
            self.depths[None, None], grid, padding_mode="border", align_corners=False
        )
        return z, surface[0, 0, 0], visible


class Losses(NamedTuple):
    """Scalars: how much distances and how much normals disagree."""

    distance: Tensor
    normal: Tensor


def opacity_entropy(opacities: Tensor) -> Tensor:
    """The mean of -o ln o - (1 - o) ln (1 - o): least where Gaussians are opaque or are not there."""
    o = opacities.clamp(min=1e-6, max=1 - 1e-6)
    return -(o * o.log() + (1 - o) * (1 - o).log()).mean()


@torch.no_grad()
def shown_near(gaussians: Evaluated, visible: Tensor, camera: Camera) -> Tensor:
    """[M] the Gaussians among the visible ones [N] bool whose centres are within `NEAR` standard deviations,
    along the ray, of the depth at their pixel."""
    rows = visible.nonzero()[:, 0]
    assert gaussians.quats is not None
    assert gaussians.scales is not None
    means = gaussians.means[rows]
    z, surface, inside = camera.seen(means)
    center = -camera.viewmat[:3, :3].mT @ camera.viewmat[:3, 3]
    rays = (means - center) / z.clamp(min=1e-6)[:, None]  # of depth 1
    axes = torch.einsum("nji,nj->ni", rotation_matrices(gaussians.quats[rows]), rays)
    deviation = (axes * gaussians.scales[rows]).norm(dim=1) / rays.square().sum(dim=1)
    return rows[inside & ((surface - z).abs() <= NEAR * deviation)]


def surface_losses(
    gaussians: Evaluated, owners: Tensor, noise: Tensor, neighbors: Tensor, camera: Camera, extent: float
) -> Losses:
    """How far the Gaussians are from being discs in the surface that the camera sees.

    With x a point around the Gaussian g, z(x) its depth, D that of the surface at its pixel and L a tenth of
    the extent, the means over all points of

        min(| f(x) - |D - z(x)| | / L, 10)
        | n_g - sum_j a_j n_j / sum_j a_j |^2,    a_j = d_j |(x - m_j) . n_j| / s_j^2

    with j the neighbours of g, n their axes of the smallest scale s, on the side of n_g.

    Args:
        owners: [P] the Gaussians that points are drawn around.
        noise: [P, 3] of a standard normal distribution.
        neighbors: [N, K], see `gsplat_core.mesh.density.nearest`.
        extent: of the scene.
    """
    assert gaussians.quats is not None
    assert gaussians.scales is not None
    rotations, scales = rotation_matrices(gaussians.quats), gaussians.scales
    around = torch.einsum("pij,pj->pi", rotations[owners], scales[owners] * SPREAD * noise)
    points = gaussians.means[owners] + around
    z, surface, visible = camera.seen(points)
    if not bool(visible.any()):
        nothing = 0.0 * points.sum()
        return Losses(nothing, nothing)
    points, z, surface, owners = (part[visible] for part in (points, z, surface, owners))

    each, _, rows = Density.of(gaussians, neighbors).each(points, owners)
    density = _FACTOR * each.sum(dim=1)
    thickness, axis = scales.min(dim=1)
    distances = thickness[rows].mean(dim=1) * (
        (-2 * density.clamp(min=_LEAST_DENSITY).log()).clamp(min=_LEAST_DISTANCE).sqrt()
    )
    off = (distances - (surface - z).abs()).abs() / (0.1 * extent)

    normals = rotations.gather(2, axis[:, None, None].expand(-1, 3, 1))[..., 0]
    own, theirs = normals[owners], normals[rows]
    sides = torch.where((theirs * own[:, None]).sum(-1, keepdim=True) < 0, -1.0, 1.0)
    apart = points[:, None] - gaussians.means[rows]
    weights = (each * (apart * theirs).sum(-1).abs() / thickness[rows].clamp(min=1e-12) ** 2).detach()
    blended = (weights[..., None] * sides * theirs).sum(dim=1)
    blended = blended / weights.sum(dim=1, keepdim=True).clamp(min=1e-12)
    return Losses(off.clamp(max=_MOST).mean(), (own - blended).square().sum(dim=1).mean())
