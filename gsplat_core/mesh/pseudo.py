"""The pseudo-mesh of GaMeS (Waczyńska et al. 2024): a triangle for each Gaussian, by which it can be edited.

A flat Gaussian with the centre m, and the axes r2 and r3 along which its scales s2 and s3 are largest, is the
triangle (m, m + s2 r2, m + s3 r3). Each hangs on its own; moved triangles move it as those of any mesh do
(`gsplat_core.mesh.binding`): where GaMeS makes rotation and scales anew of the moved triangle, which forgets
shear, the covariance becomes F Sigma F^T, which does not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from gsplat_core.mesh.binding import FACE, UNBOUND, require_bendable, sound_faces
from gsplat_core.mesh.mesh import Mesh
from gsplat_core.quaternions import rotation_matrices
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import rgb_of

# A side is no shorter than this share of the other one, or than so many steps of 32-bit coordinates, so that
# the triangle has a normal. How long it is does not matter to what moves with it.
_THINNEST = 1e-3
_STEPS = 256


@torch.no_grad()
def pseudo_mesh(scene: Gaussians) -> tuple[Gaussians, Mesh]:
    """The scene, whose row i hangs on face i, and the mesh of these faces, in the scene's colours.

    Rows whose place is not finite hang on nothing, and have a face without area.

    Raises:
        UsageError: fields of the scene's primitive cannot follow a mesh.
        ValueError: no Gaussian has a triangle.
    """
    require_bendable(scene.primitive, scene.schema)
    means = scene.means.detach().cpu().double()
    scales, order = scene.scales.detach().cpu().double().exp().sort(dim=1, descending=True, stable=True)
    axes = rotation_matrices(scene.quats.detach().cpu().double())
    across = axes.gather(2, order[:, None, :2].expand(-1, 3, -1))
    step = torch.finfo(torch.float32).eps * means.abs().amax(dim=1)
    shortest = torch.maximum(_THINNEST * scales[:, 0], _STEPS * step)[:, None]
    sides = (across * torch.maximum(scales[:, :2], shortest)[:, None]).mT
    corners = torch.cat([means[:, None], means[:, None] + sides], dim=1)
    known = corners.isfinite().all(dim=2).all(dim=1)
    corners = torch.where(known[:, None, None], corners, 0.0).float()
    colors = (rgb_of(scene.sh0.detach().cpu()[:, 0]).clamp(0, 1) * 255).round().byte()
    mesh = Mesh(
        corners.reshape(-1, 3).numpy(),
        np.arange(3 * scene.num, dtype=np.int32).reshape(-1, 3),
        colors.repeat_interleave(3, dim=0).numpy(),
    )
    faces = torch.full((scene.num,), UNBOUND, dtype=torch.int32)
    sound = torch.from_numpy(sound_faces(mesh))
    faces[sound] = sound.int()
    return replace(scene, extras={**scene.extras, FACE: faces.to(scene.device)}), mesh
