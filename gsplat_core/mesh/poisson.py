"""A mesh by screened Poisson reconstruction (Kazhdan and Hoppe 2013) of the points that all cameras see.

Each pixel is a point with a normal. Those in one cell of the octree become their weighted mean: what views
see differently is averaged, and memory is bounded by the surface, not by the photographs. The solver,
MeshLab's, closes what nobody saw; where it had few points to go by, its surface is dropped again, as by SuGaR
(Guédon and Lepetit 2024).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gsplat_core.errors import UsageError
from gsplat_core.mesh.bounds import Box
from gsplat_core.mesh.mesh import Mesh
from gsplat_core.mesh.packages import package
from gsplat_core.mesh.settings import MeshSettings
from gsplat_core.mesh.surface import SurfaceView, Views, pixel_rays

_CELLS_PER_SIDE = 1 << 20  # three of them fit into a key of 64 bits


def run(views: Views, box: Box, settings: MeshSettings) -> Mesh:
    """The mesh of what the views show inside the box.

    Raises:
        UsageError: there is no surface, or pymeshlab is not installed.
    """
    meshlab = package("pymeshlab")
    cloud = PointCells(box, float(np.ptp(box, axis=0).max()) / 2**settings.octree_depth)
    for view in views("collecting points", True):
        cloud.add(view)
    points, normals, colors = (part.numpy() for part in cloud.means(settings.min_weight))
    if not len(points):
        raise UsageError(
            "There is no surface: a smaller --min-alpha or --min-weight, or a larger --box or --depth-limit, "
            "shows more."
        )
    # Around the middle of the box: the solver reckons in float32.
    middle = box.mean(axis=0)
    made = meshlab.MeshSet(verbose=False)
    opaque = np.ones((len(points), 1))
    made.add_mesh(
        meshlab.Mesh(points - middle, v_normals_matrix=normals, v_color_matrix=np.hstack([colors, opaque]))
    )
    made.generate_surface_reconstruction_screened_poisson(
        depth=settings.octree_depth, preclean=False, threads=torch.get_num_threads()
    )
    surface = made.current_mesh()
    vertices, faces = surface.vertex_matrix() + middle, surface.face_matrix()
    supported = surface.vertex_scalar_array()
    kept = supported >= np.quantile(supported, settings.unsupported)
    kept &= ((vertices >= box[0]) & (vertices <= box[1])).all(axis=1)
    shades = (surface.vertex_color_matrix()[:, :3].clip(0, 1) * 255).round().astype(np.uint8)
    mesh = Mesh(vertices.astype(np.float32), faces.astype(np.int32), shades)
    return mesh.with_faces(mesh.faces[kept[mesh.faces].all(axis=1)])


class PointCells:
    """Points with normals and colours, averaged over the cells that they are in.

    Args:
        box: nothing outside of it is kept.
        side: of a cell, scene units.
    """

    def __init__(self, box: Box, side: float) -> None:
        self.box, self.side = torch.from_numpy(box), side
        self.keys = torch.zeros(0, dtype=torch.int64)
        self.sums = torch.zeros(0, 10, dtype=torch.float64)  # weight; weighted place, normal and colour

    def add(self, view: SurfaceView) -> None:
        """The pixels of a view that has colours and normals."""
        assert view.colors is not None
        assert view.normals is not None
        seen = view.weights > 0
        rays = pixel_rays(view.camera, view.depths.double())[seen]
        places = torch.from_numpy(view.camera.center) + view.depths[seen][:, None] * rays
        inside = ((places >= self.box[0]) & (places <= self.box[1])).all(dim=1)
        weights = view.weights[seen][inside].double()[:, None]
        values = torch.cat([places, view.normals[seen].double(), view.colors[seen].double()], dim=1)[inside]
        cells = ((places[inside] - self.box[0]) / self.side).long().clamp(max=_CELLS_PER_SIDE - 1)
        keys = (cells * torch.tensor([_CELLS_PER_SIDE**2, _CELLS_PER_SIDE, 1])).sum(dim=1)
        sums = torch.cat([weights, weights * values], dim=1)
        self.keys, rows = torch.cat([self.keys, keys]).unique(return_inverse=True)
        self.sums = sums.new_zeros(len(self.keys), 10).index_add_(0, rows, torch.cat([self.sums, sums]))

    def means(self, min_weight: float) -> tuple[Tensor, Tensor, Tensor]:
        """Points, unit normals and colours [M, 3] of cells whose pixels add up to at least `min_weight`."""
        sums = self.sums[self.sums[:, 0] >= min_weight]
        places, normals, colors = (sums[:, 1:] / sums[:, :1]).split(3, dim=1)
        known = normals.norm(dim=1) > 0
        return places[known], torch.nn.functional.normalize(normals[known], dim=1), colors[known]
