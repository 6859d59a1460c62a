"""A mesh by fusing the depths that all cameras see: truncated signed distances (Curless and Levoy 1996).

Robust: what one view gets wrong, others outvote, and where nothing was seen there is nothing. Views are
rendered twice, first to find out where surfaces are: so memory is known before it is needed, and the views
may come in any order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from gsplat_core.errors import ResourceError, UsageError
from gsplat_core.memory import memory_bytes
from gsplat_core.mesh.bounds import Box
from gsplat_core.mesh.mesh import Mesh
from gsplat_core.mesh.settings import MeshSettings
from gsplat_core.mesh.surface import SurfaceView, Views
from gsplat_core.ops.tsdf import (
    BLOCK_VOXELS,
    VOXEL_VALUES,
    block_positions,
    tsdf_blocks,
    tsdf_integrate_,
    tsdf_mesh,
)

_BLOCK_BYTES = BLOCK_VOXELS * VOXEL_VALUES * 4
_SHARE_OF_FREE = 0.5  # of memory; the rest is for the mesh and the renderings
_BLOCK_SIDE = 8


@dataclass(eq=False)
class Volume:
    """Voxels near surfaces: `reserve` for all views, then `integrate` all of them, then `mesh`.

    Args:
        side: of a voxel, scene units.
        truncation: scene units.
        box: nothing outside of it is kept; None for no limit.
        most_bytes: of voxels.
    """

    side: float
    truncation: float
    box: Box | None = None
    most_bytes: int = 4 << 30
    keys: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    voxels: Tensor | None = None

    def reserve(self, view: SurfaceView) -> None:
        """Notes the blocks of voxels that a view needs.

        Raises:
            ResourceError: their voxels would not fit into the memory; the message says which side would.
        """
        found = tsdf_blocks(view.depths, view.weights, view.viewmat, view.K, self.side, self.truncation)
        if self.box is not None:
            places = block_positions(found) * (_BLOCK_SIDE * self.side)
            low, high = torch.from_numpy(self.box)
            inside = (places + _BLOCK_SIDE * self.side >= low) & (places <= high)
            found = found[inside.all(dim=1)]
        self.keys = torch.unique(torch.cat([self.keys, found]))
        needed = len(self.keys) * _BLOCK_BYTES
        if needed > self.most_bytes:
            raise ResourceError(
                f"The voxels need more than {self.most_bytes / 2**30:.2g} GiB of memory. A lower "
                "--resolution needs less (half of it a quarter), as does a smaller --box or --depth-limit; "
                "--max-memory allows more."
            )

    def integrate(self, view: SurfaceView) -> None:
        """Averages a view, with colours, into the voxels."""
        if view.colors is None:
            raise ValueError("the view has no colours")
        if self.voxels is None:
            self.voxels = torch.zeros(len(self.keys), BLOCK_VOXELS, VOXEL_VALUES)
        tsdf_integrate_(
            self.voxels, self.keys, view.depths, view.weights, view.colors, view.viewmat, view.K,
            self.side, self.truncation,
        )  # fmt: skip

    def mesh(self, min_weight: float) -> Mesh:
        """The surface between voxels whose views add up to at least `min_weight`."""
        if self.voxels is None:
            self.voxels = torch.zeros(len(self.keys), BLOCK_VOXELS, VOXEL_VALUES)
        vertices, faces, colors = tsdf_mesh(self.voxels, self.keys, self.side, min_weight)
        return Mesh(vertices.numpy(), faces.numpy(), (colors.clamp(0, 1) * 255).round().byte().numpy())


def run(views: Views, box: Box, settings: MeshSettings) -> Mesh:
    """The mesh of what the views show inside the box.

    Raises:
        ResourceError: the voxels do not fit into the memory.
        UsageError: there is no surface.
    """
    side = float(np.ptp(box, axis=0).max()) / settings.resolution
    most, free = int(settings.max_memory * 2**30), memory_bytes()[1]
    if free is not None:
        most = min(most, int(_SHARE_OF_FREE * free))
    volume = Volume(side, settings.reach * side, box, most)
    for view in views("finding surfaces", False):
        volume.reserve(view)
    for view in views("fusing depths", True):
        volume.integrate(view)
    mesh = volume.mesh(settings.min_weight)
    if not len(mesh.faces):
        raise UsageError(
            "There is no surface: a smaller --min-alpha or --min-weight, or a larger --box or --depth-limit, "
            "shows more."
        )
    return mesh
