"""Gaussians that hang on the faces of a mesh and go wherever these go.

A face with corners v0, v1, v2 and unit normal n has the frame

    E = [v1 - v0, v2 - v0, l n],        F = E_now E_rest^-1,

and what hangs on it moves by the affine map x -> v0_now + F (x - v0_rest). A centre whose foot in the face's
plane has the barycentric coordinates b_k, and which is h above it, comes to sum_k b_k v_k + h F n; the
covariance becomes F Sigma F^T, which is exact for whatever a mesh does to a face, shear too; and the colours
turn by the rotation R of the polar decomposition F = R P. (SuGaR, Guédon and Lepetit 2024, and GaMeS,
Waczyńska et al. 2024, make rotations and scales of their own from the moved face, which is not exact.)

How a face stretches says nothing of the direction across it. What `l` is, the normal mode, decides: "unit",
1, keeps thickness and height; "similar", the root of the area, scales both like the face, so that a mesh that
grows as a whole takes its Gaussians with it; "volume", one over the area, keeps the volume.

The face of each Gaussian is a field of the scene, `Gaussians.extras["face"]`, int32 [N], which goes wherever
its row goes, into .ply as well; -1 hangs on nothing and stays where it is. Everything else is known from the
mesh as it was when it was bound, the rest pose.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gsplat_core.errors import UsageError
from gsplat_core.mesh.distances import nearest_faces
from gsplat_core.mesh.mesh import Mesh
from gsplat_core.quaternions import quaternions_of, rotation_matrices
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.schema import PARAMETERS, Schema
from gsplat_core.scene.sh_rotation import rotate_each_sh

FACE = "face"
"""The field of `Gaussians.extras` that has the faces."""

UNBOUND = -1
"""The face of a Gaussian that hangs on none."""

NormalMode: TypeAlias = Literal["unit", "similar", "volume"]
NORMAL_MODES: tuple[NormalMode, ...] = get_args(NormalMode)

# A face is too flat to hang anything on where its height is less than this share of its longest side.
_SLIVER = 1e-4
# Of a face that something hangs on there must be left so much that its normal is not noise.
_COLLAPSED = 1e-7


class Pose(NamedTuple):
    """Where Gaussians are; arguments for `rasterization`."""

    means: Tensor  # [N, 3]
    covars: Tensor  # [N, 3, 3]
    shN: Tensor  # [N, K-1, 3]


def bind(scene: Gaussians, mesh: Mesh, within: float = math.inf) -> tuple[Gaussians, npt.NDArray[np.float64]]:
    """Hangs each Gaussian on the face that is nearest to its centre, and leaves it where it is.

    Faces that are next to nothing (of no area, or thinner than 1e-4 of their length) carry nothing.

    Args:
        mesh: the rest pose, in the coordinates of the scene.
        within: Gaussians farther from it hang on nothing.

    Returns:
        the scene with the field `FACE`, and the distance [N] of each centre to the mesh.

    Raises:
        ValueError: the mesh has no face to hang something on.
        UsageError: trimesh is not installed; fields of the scene's primitive cannot follow a mesh.
    """
    require_bendable(scene.primitive, scene.schema)
    sound = sound_faces(mesh)
    centres = scene.means.detach().cpu().double().numpy()
    nearest, distances = nearest_faces(centres, replace(mesh, faces=mesh.faces[sound]))
    faces = np.where(distances <= within, sound[nearest], UNBOUND)
    extras = {**scene.extras, FACE: torch.from_numpy(faces.astype(np.int32)).to(scene.device)}
    return replace(scene, extras=extras), distances


def sound_faces(mesh: Mesh) -> npt.NDArray[np.int64]:
    """The faces that something can hang on: all but those that are next to nothing.

    Raises:
        ValueError: there is none.
    """
    heights = _flatness(torch.from_numpy(mesh.vertices[mesh.faces].astype(np.float64))).numpy()
    sound = np.flatnonzero(heights > _SLIVER)
    if not len(sound):
        raise ValueError("there is no face with an area")
    return sound


def faces_of(scene: Gaussians) -> Tensor | None:
    """The faces [N] int64 of a scene that was bound; None where it has no such field.

    Files of others may have something else under this name, which is no face.
    """
    faces = scene.extras.get(FACE)
    if faces is None or faces.ndim != 1 or faces.is_floating_point() or faces.dtype == torch.bool:
        return None
    return faces.long()


def check_pose(scene: Gaussians, rest: Mesh, vertices: Tensor) -> None:
    """
    Raises:
        ValueError: `vertices` are not [V, 3] of the mesh or not finite; the scene is not bound, or to another
            mesh; or a face that something hangs on has become next to nothing.
    """
    if tuple(vertices.shape) != rest.vertices.shape:
        raise ValueError(f"vertices {list(vertices.shape)} of a mesh that has {list(rest.vertices.shape)}")
    finite = torch.isfinite(vertices).all(1)
    if not bool(finite.all()):
        raise ValueError(f"vertex {int(finite.int().argmin())} is not finite")
    faces = faces_of(scene)
    if faces is None or not bool((faces >= 0).any()):
        raise ValueError("no Gaussian hangs on a mesh")
    if int(faces.max()) >= len(rest.faces):
        raise ValueError(
            f"a Gaussian hangs on face {int(faces.max())}, and the mesh has {len(rest.faces)}: it is another"
        )
    used = faces[faces >= 0].unique()
    flatness = _flatness(_corners(vertices.detach(), rest, used))
    if not bool((flatness > _COLLAPSED).all()):
        raise ValueError(
            f"face {int(used[flatness.argmin()])}, which Gaussians hang on, has no area: it has no normal"
        )


def pose(scene: Gaussians, rest: Mesh, vertices: Tensor, normal_mode: NormalMode = "unit") -> Pose:
    """Centres, covariances and view-dependent colours of a bound scene when the mesh has moved.

    Differentiable with respect to the scene's parameters and to the vertices, but for the turn of the colours
    by the latter.

    Args:
        scene: as :func:`bind` made it, in rest pose.
        rest: the mesh of that moment.
        vertices: [V, 3], where the mesh's vertices are now, floating point.

    Raises:
        ValueError: as of :func:`check_pose`.
        UsageError: fields of the scene's primitive cannot follow a mesh.
    """
    rows, linear, means, axes = _moved(scene, rest, vertices, normal_mode)
    still = _axes(scene)
    covars = (still @ still.mT).index_put((rows,), axes @ axes.mT)
    return Pose(
        scene.means.index_put((rows,), means.to(scene.means.dtype)),
        covars.to(scene.means.dtype),
        _turned(scene.shN, rows, linear),
    )


@torch.no_grad()
def deformed(scene: Gaussians, rest: Mesh, vertices: Tensor, normal_mode: NormalMode = "unit") -> Gaussians:
    """The scene of :func:`pose` with its covariances as rotations and scales again: a scene like any other.

    These are the singular vectors and values of F Q S, so nothing is lost of Gaussians however flat. Their
    axes may come in another order. Not differentiable.
    """
    rows, linear, means, axes = _moved(scene, rest, vertices, normal_mode)
    turned, lengths, _ = torch.linalg.svd(axes)
    turned = turned * torch.linalg.det(turned).sign()[:, None, None]
    scales = lengths.clamp(min=torch.finfo(torch.float32).tiny).log()
    dtype = scene.means.dtype
    return replace(
        scene,
        means=scene.means.index_put((rows,), means.to(dtype)),
        quats=scene.quats.index_put((rows,), quaternions_of(turned).to(dtype)),
        scales=scene.scales.index_put((rows,), scales.to(dtype)),
        shN=_turned(scene.shN, rows, linear),
    )


def require_bendable(primitive: str, schema: Schema) -> None:
    """Raises UsageError where fields of a primitive cannot follow a mesh."""
    stuck = [
        field.name for field in schema if field.name not in PARAMETERS and field.similarity != "invariant"
    ]
    if stuck:
        raise UsageError(
            f"Scenes of the primitive {primitive!r} cannot follow a mesh, as their {', '.join(stuck)} cannot."
        )


def _corners(vertices: Tensor, rest: Mesh, faces: Tensor) -> Tensor:
    """[M, 3, 3] float64: the corners, in rows, of faces [M]."""
    rows = torch.from_numpy(rest.faces).to(faces.device).long()[faces]
    return vertices.to(faces.device, torch.float64)[rows]


def _flatness(corners: Tensor) -> Tensor:
    """[M] height over longest side of faces [M, 3, 3]; 0 of a point."""
    sides = corners - corners.roll(1, dims=1)
    longest = sides.square().sum(2).amax(1)
    doubled = torch.linalg.cross(sides[:, 0], sides[:, 1]).norm(dim=1)
    return doubled / longest.clamp(min=torch.finfo(torch.float64).tiny)


def _frames(corners: Tensor, normal_mode: NormalMode) -> Tensor:
    """[M, 3, 3]: E of each face, its vectors in columns."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    cross = torch.linalg.cross(first, second)
    doubled = cross.norm(dim=1, keepdim=True)
    # The factor l is known up to one that is the same for all faces, which F does not have.
    length = {"unit": 1.0, "similar": doubled.sqrt(), "volume": 1 / doubled}[normal_mode]
    return torch.stack([first, second, cross / doubled * length], dim=2)


def _axes(scene: Gaussians) -> Tensor:
    """[N, 3, 3] float64: Q S of each Gaussian."""
    return rotation_matrices(scene.quats.double()) * scene.scales.double().exp()[:, None]


def _moved(
    scene: Gaussians, rest: Mesh, vertices: Tensor, normal_mode: NormalMode
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows [M] that hang on faces; of each F [M, 3, 3], the centre [M, 3], F Q S [M, 3, 3]; float64."""
    require_bendable(scene.primitive, scene.schema)
    check_pose(scene, rest, vertices)
    faces = faces_of(scene)
    assert faces is not None
    rows = (faces >= 0).nonzero().squeeze(1)
    before = _corners(torch.from_numpy(rest.vertices), rest, faces[rows])
    now = _corners(vertices, rest, faces[rows])
    linear = torch.linalg.solve(
        _frames(before, normal_mode).mT, _frames(now, normal_mode).mT
    ).mT  # E_now E_rest^-1
    arms = scene.means[rows].double() - before[:, 0]
    means = now[:, 0] + (linear @ arms[:, :, None])[:, :, 0]
    return rows, linear, means, linear @ _axes(scene)[rows]


def _turned(shN: Tensor, rows: Tensor, linear: Tensor) -> Tensor:
    """The coefficients after the Gaussians of these rows have turned by the rotation of F."""
    if not shN.shape[1]:
        return shN
    left, _, right = torch.linalg.svd(linear.detach())
    return shN.index_put((rows,), rotate_each_sh(shN[rows], left @ right))
