"""Textures of meshes: an atlas, and the colours of its texels from what cameras see.

The atlas is made by xatlas. A texel belongs to a place on the mesh; each camera that sees the place adds its
colour, by the squared cosine between ray and normal, and by how many pixels it has for an area from straight
before. Views come one at a time, so the memory is that of the texels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gsplat_core.errors import UsageError
from gsplat_core.mesh.covered import covered
from gsplat_core.mesh.mesh import Bytes, Floats, Mesh
from gsplat_core.mesh.packages import package
from gsplat_core.mesh.surface import SurfaceView

SIZES = (64, 16384)
_PADDING = 4  # texels between charts
# Bilinear filters reach so far beyond a triangle: texels there have places too, those nearest on its edges.
_MARGIN = 1.0
_TEXELS_AT_A_TIME = 1 << 18


@dataclass(frozen=True, eq=False)
class Texture:
    """The colours of a mesh's surface.

    Args:
        uv: [V, 2] float32 where the vertices are in the image, from 0 at its left and its bottom edge to 1.
        image: [H, W, 3] uint8 RGB, the top row first.
    """

    uv: Floats
    image: Bytes

    def places(self) -> npt.NDArray[np.float64]:
        """[V, 2] x and y in texels of the vertices, from the left and the top edge of the image."""
        height, width = self.image.shape[:2]
        return np.array([0, height]) + self.uv.astype(np.float64) * np.array([width, -height])


def check_size(size: int) -> None:
    """
    Raises:
        UsageError: no texture has so many texels a side.
    """
    if not SIZES[0] <= size <= SIZES[1]:
        raise UsageError(f"A texture has from {SIZES[0]} to {SIZES[1]:,} texels a side, not {size:,}.")


def unwrapped(mesh: Mesh, size: int) -> tuple[Mesh, Floats]:
    """The mesh with vertices split at the seams of an atlas, and its uv [V, 2] for a square of `size` texels.

    Faces keep their order.

    Raises:
        UsageError: xatlas is not installed, or no texture has this size.
    """
    check_size(size)
    xatlas = package("xatlas")
    atlas, packing = xatlas.Atlas(), xatlas.PackOptions()
    packing.resolution, packing.padding, packing.bilinear = size, _PADDING, True
    atlas.add_mesh(mesh.vertices, mesh.faces.astype(np.uint32))
    atlas.generate(pack_options=packing)
    rows, faces, uv = atlas.get_mesh(0)
    # The atlas is about as large as asked for; it is scaled to fit.
    uv = uv * (np.array([atlas.width, atlas.height]) / max(atlas.width, atlas.height, 1))
    split = Mesh(mesh.vertices[rows], faces.astype(np.int32), mesh.colors[rows])
    return split, uv.astype(np.float32)


@torch.no_grad()
def painted(mesh: Mesh, uv: Floats, size: int, views: Iterable[SurfaceView], tolerance: float) -> Texture:
    """A square texture of `size` texels a side with the colours that views see.

    A view sees a place on a face that is turned to it if its surface is as deep there, to within `tolerance`
    (scene units). Of the four pixels around a projected place those count whose surface is, so that what is
    before or behind does not colour edges. Places that nothing sees have the colours of the vertices, and
    texels without a place those of the nearest that has one.

    Args:
        uv: as of `Texture`.
        views: with colours.

    Raises:
        UsageError: scipy is not installed, or no texture has this size.
    """
    check_size(size)
    blank = Texture(uv, np.zeros((size, size, 3), np.uint8))
    texels, places, faces, colors = _texels(mesh, blank.places(), size)
    normals = torch.from_numpy(_normals(mesh))
    sums, weights = torch.zeros(len(texels), 3), torch.zeros(len(texels))
    for view in views:
        for start in range(0, len(texels), _TEXELS_AT_A_TIME):
            some = slice(start, start + _TEXELS_AT_A_TIME)
            rows, weight, color = _seen(view, places[some], normals[faces[some].long()], tolerance)
            sums[some][rows] += weight[:, None] * color
            weights[some][rows] += weight
    seen = weights > 0
    colors[seen] = (sums[seen] / weights[seen, None] * 255).round().clamp(0, 255).byte()
    image = blank.image.reshape(-1, 3)
    image[texels] = colors.numpy()
    return Texture(uv, _filled(blank.image, texels))


def _texels(
    mesh: Mesh, corners: npt.NDArray[np.float64], size: int
) -> tuple[npt.NDArray[np.int64], Tensor, Tensor, Tensor]:
    """The texels [T] that have places [T, 3], and their faces [T] and interpolated vertex colours [T, 3]."""
    of_face = np.full(size * size, -1, np.int32)
    weights = np.zeros((size * size, 2), np.float32)
    # What is in a triangle comes after what is around others.
    for margin in (_MARGIN, 0.0):
        for found in covered(corners[mesh.faces], size, size, margin):
            texels = found.y * size + found.x
            of_face[texels], weights[texels] = found.faces, found.weights[:, :2]
    texels = np.flatnonzero(of_face >= 0)
    # By faces, so that texels that follow each other are seen by the same pixels.
    texels = texels[np.argsort(of_face[texels], kind="stable")]
    places, colors = np.empty((len(texels), 3), np.float32), np.empty((len(texels), 3), np.uint8)
    for start in range(0, len(texels), _TEXELS_AT_A_TIME):
        some = slice(start, start + _TEXELS_AT_A_TIME)
        rows, share = mesh.faces[of_face[texels[some]]], weights[texels[some]]
        share = np.concatenate([share, 1 - share.sum(axis=1, keepdims=True)], axis=1)[..., None]
        places[some] = (share * mesh.vertices[rows]).sum(axis=1)
        colors[some] = (share * mesh.colors[rows]).sum(axis=1).round().clip(0, 255)
    faces = of_face[texels]
    return texels, torch.from_numpy(places), torch.from_numpy(faces), torch.from_numpy(colors)


def _normals(mesh: Mesh) -> Floats:
    """[F, 3] of length 1; 0 of faces without area."""
    a, b, c = mesh.vertices[mesh.faces].astype(np.float64).transpose(1, 0, 2)
    normals = np.cross(b - a, c - a)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return (normals / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def _seen(
    view: SurfaceView, places: Tensor, normals: Tensor, tolerance: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Which of some places [T, 3] a view sees: their rows [S], weights [S] and colours [S, 3]."""
    if view.colors is None:
        raise ValueError("the view has no colours")
    camera = view.camera
    turned, moved = view.viewmat[:3, :3].float(), view.viewmat[:3, 3].float()
    seen = places @ turned.T + moved
    z = seen[:, 2]
    projected = seen @ view.K.float().T
    place = projected[:, :2] / z.clamp(min=camera.near)[:, None]
    # Cosines are negative towards the camera, along the ray.
    along = (seen * (normals @ turned.T)).sum(1)
    inside = (place > 0).all(1) & (place[:, 0] < camera.width) & (place[:, 1] < camera.height)
    rows = torch.nonzero((z > camera.near) & inside & (along < 0))[:, 0]
    z, place = z[rows], place[rows] - 0.5
    cosines = along[rows] / seen[rows].norm(dim=1)
    corner = place.floor()
    parts, x, y = place - corner, corner[:, 0].long(), corner[:, 1].long()
    depths, known = view.depths.reshape(-1), view.weights.reshape(-1) > 0
    shares, colors = torch.zeros(len(rows)), torch.zeros(len(rows), 3)
    for dx in (0, 1):
        for dy in (0, 1):
            column, row = (x + dx).clamp(0, camera.width - 1), (y + dy).clamp(0, camera.height - 1)
            pixel = row * camera.width + column
            agrees = known[pixel] & ((depths[pixel] - z).abs() <= tolerance)
            share = (parts[:, 0] if dx else 1 - parts[:, 0]) * (parts[:, 1] if dy else 1 - parts[:, 1])
            share = share * agrees
            shares += share
            colors += share[:, None] * view.colors.reshape(-1, 3)[pixel]
    hit = shares > 0
    pixels_per_area = float(view.K[0, 0] * view.K[1, 1]) / z[hit] ** 2
    weight = shares[hit] * cosines[hit] ** 2 * pixels_per_area
    return rows[hit], weight, colors[hit] / shares[hit, None]


def _filled(image: Bytes, texels: npt.NDArray[np.int64]) -> Bytes:
    """All other texels as the nearest of these, so that smaller copies of the image do not mix in black."""
    if not len(texels):
        return image
    empty = np.ones(image.shape[0] * image.shape[1], np.bool_)
    empty[texels] = False
    nearest = package("scipy.ndimage").distance_transform_edt(
        empty.reshape(image.shape[:2]), return_distances=False, return_indices=True
    )
    filled: Bytes = image[nearest[0], nearest[1]]
    return filled
