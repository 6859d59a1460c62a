"""A mesh of where the density of the Gaussians crosses a level (Guédon and Lepetit 2024, "SuGaR").

The ray of each pixel is followed through the Gaussian that it shows, to the first point as dense as the
level. That lies outside of the surface, on all sides, by two to three times the Gaussians' thickness; how far
follows from how dense they become inside, and is taken back along the normal. What the rays find are depths,
and these are fused as those of `tsdf`: what views see differently is averaged, and no Poisson solver closes
what nobody saw.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from gsplat_core.mesh import tsdf
from gsplat_core.mesh.bounds import Box
from gsplat_core.mesh.density import Density, deviations
from gsplat_core.mesh.mesh import Mesh
from gsplat_core.mesh.settings import MeshSettings
from gsplat_core.mesh.surface import Views, densest_depths
from gsplat_core.primitive import Evaluated
from gsplat_core.scene.cameras import Camera

LEVEL = 0.3
"""Where the density crosses this, SuGaR sees the surface."""
_REACH = 3.0  # standard deviations of the Gaussian that a ray is followed through, to both sides of it
_SAMPLES = 21
_RAYS_AT_A_TIME = 1 << 16
# Rays that graze the surface would be sent far behind it.
_LEAST_COSINE = 0.1


def run(views: Views, box: Box, settings: MeshSettings) -> Mesh:
    """The mesh of the level in what the views show inside the box.

    Raises:
        ResourceError: the voxels do not fit into the memory.
        UsageError: there is no surface, or the Gaussians have no scales.
    """
    return tsdf.run(partial(views, depths=LevelDepths()), box, settings)


class LevelDepths:
    """The depths of the level, corrected; for `surface_view`."""

    def __init__(self) -> None:
        self._means: Tensor | None = None
        self._neighbors: Tensor | None = None

    def __call__(
        self, gaussians: Evaluated, ids: Tensor, depths: Tensor, camera: Camera, rays: Tensor
    ) -> Tensor:
        """[H, W] depths, 0 where a ray does not cross the level; the arguments are those of
        `densest_depths`."""
        density = self._density(gaussians)
        thickness = deviations(gaussians).amin(dim=1)
        center = torch.from_numpy(camera.center).to(rays)
        found = [
            _crossing(density, thickness, center, *part)
            for part in zip(
                densest_depths(gaussians, ids, depths, camera, rays).flatten().split(_RAYS_AT_A_TIME),
                rays.reshape(-1, 3).split(_RAYS_AT_A_TIME),
                ids.flatten().split(_RAYS_AT_A_TIME),
                strict=True,
            )
        ]
        return torch.cat(found).reshape(ids.shape)

    def _density(self, gaussians: Evaluated) -> Density:
        # Neighbours are searched anew only for scenes that move with the camera.
        same = self._means is not None and torch.equal(self._means, gaussians.means)
        density = Density.of(gaussians, self._neighbors if same else None)
        self._means, self._neighbors = gaussians.means, density.neighbors
        return density


def _crossing(
    density: Density, thickness: Tensor, center: Tensor, depths: Tensor, rays: Tensor, ids: Tensor
) -> Tensor:
    """[P] the corrected depths of the first crossing near `depths` [P]; 0 where there is none.

    Args:
        thickness: [N] of the Gaussians.
        center: [3] where the rays [P, 3] start.
        ids: [P] the Gaussians that they show.
    """
    starts = center + depths[:, None] * rays
    deviation = 1 / torch.einsum("pij,pj->pi", density.whitenings[ids], rays).norm(dim=1)
    steps = deviation[:, None] * torch.linspace(-_REACH, _REACH, _SAMPLES).to(rays)
    dense = density.along(starts, rays, ids, steps)
    crosses = (dense[:, :-1] < LEVEL) & (dense[:, 1:] >= LEVEL)
    before = crosses.int().argmax(dim=1, keepdim=True)
    low, high = dense.gather(1, before), dense.gather(1, before + 1)
    share = (LEVEL - low) / (high - low).clamp(min=1e-12)
    step = (torch.lerp(steps.gather(1, before), steps.gather(1, before + 1), share))[:, 0]
    inward = torch.nn.functional.normalize(density.gradient(starts + step[:, None] * rays, ids), dim=1)
    cosines = (inward * rays).sum(1).clamp(min=_LEAST_COSINE)
    bias = level_bias(thickness[ids], dense.amax(dim=1))
    return torch.where(crosses.any(dim=1), depths + step + bias / cosines, torch.zeros_like(depths))


def level_bias(thickness: Tensor, densest: Tensor) -> Tensor:
    """How far before a surface of Gaussians the level lies, in the units of `thickness`.

    Across the surface the density is that of one Gaussian, d exp(-x^2 / 2 s^2), which is the level at
    x = s sqrt(2 ln(d / level)).

    Args:
        thickness: s, standard deviation along the normal.
        densest: d, inside the surface; 0 where that is below the level.
    """
    return thickness * (2 * (densest / LEVEL).clamp(min=1).log()).sqrt()
