"""Meshes for tests."""

from __future__ import annotations

import numpy as np

from gsplat_core.mesh import Mesh


def ball(subdivisions: int = 2, color: int = 90) -> Mesh:
    """Of radius 1: 20 faces, and four times as many for each subdivision."""
    import trimesh

    made = trimesh.creation.icosphere(subdivisions)
    vertices = made.vertices.astype(np.float32)
    return Mesh(vertices, made.faces.astype(np.int32), np.full((len(vertices), 3), color, np.uint8))
