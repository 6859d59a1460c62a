"""Books, a knot, pencils, toy blocks and the cloth under them."""

from __future__ import annotations

import numpy as np

from .meshes import (
    Mesh,
    Parts,
    box,
    curve,
    grid,
    lathe,
    merge,
    quad,
    torus_knot,
    tube,
)


def book(cover: str, size: tuple[float, float, float]) -> Parts:
    """Two boards and a spine around a block of pages; the spine looks along -y."""
    x, y, z = size
    board = 0.006
    top = box((x, y, board), atlas=True).moved((0, 0, z - board))
    bottom = box((x, y, board), atlas=True)
    # all of the spine shows the spine cell of the atlas, the third of the upper row
    back = quad((-x / 2, -y / 2 - 0.001, 0), (x, 0, 0), (0, 0, z))
    back = Mesh(back.vertices, back.faces, back.normals, (back.uvs + np.array([2, 1])) / [3, 2])
    block = box((x - 0.016, y - 0.010, z - 2 * board)).moved((0, -0.001, board))
    return [(cover, top), (cover, bottom), (cover, back), ("pages", block)]


def knot() -> Parts:
    return [("glaze_violet", torus_knot(2, 3, 0.075, 0.032, 0.022).moved((0, 0, 0.054)))]


def pencil(paint: str) -> Parts:
    """A hexagonal pencil that lies along x."""
    r, length = 0.009, 0.26
    hexagon = np.radians(np.arange(0, 361, 60))
    shaft = np.stack(
        [
            np.stack([np.full_like(hexagon, x), r * np.cos(hexagon), r * np.sin(hexagon)], -1)
            for x in (0.0, length)
        ],
        axis=1,
    )
    faces = [quad(shaft[k, 0], shaft[k + 1, 0] - shaft[k, 0], shaft[k, 1] - shaft[k, 0]) for k in range(6)]
    cone = _along_x(lathe([(r, 0), (0.003, 0.024)], 24)).moved((length, 0, 0))
    lead = _along_x(lathe([(0.003, 0.024), (0.0, 0.033)], 16)).moved((length, 0, 0))
    end = _along_x(lathe([(0.0, -0.012), (0.008, -0.012), (0.008, 0.0)], 24))
    lift = (0, 0, r * 0.87)
    return [
        (material, mesh.moved(lift))
        for material, mesh in ((paint, merge(faces)), ("maple", cone), ("ebony", lead), ("berry", end))
    ]


def _along_x(mesh: Mesh) -> Mesh:
    return Mesh(mesh.vertices[:, [2, 0, 1]], mesh.faces, mesh.normals[:, [2, 0, 1]], mesh.uvs)


def block(material: str, side: float = 0.10) -> Parts:
    return [(material, box((side, side, side), atlas=True))]


def runner_cloth(length: float = 1.5, width: float = 0.46) -> Parts:
    """A cloth with slight waves and fringes at both ends, along x."""
    x, y = np.meshgrid(
        np.linspace(-length / 2, length / 2, 90), np.linspace(-width / 2, width / 2, 30), indexing="ij"
    )
    z = 0.0045 + 0.0022 * np.sin(9 * x + 4 * y) * np.sin(13 * y)
    cloth = grid(np.stack([x, y, z], -1))
    fringe = []
    for end in (-1, 1):
        for k, at in enumerate(np.linspace(-width / 2 + 0.004, width / 2 - 0.004, 48)):
            sway = 0.008 * np.sin(2.4 * k)
            fringe.append(
                tube(
                    curve(
                        [
                            (end * length / 2, at, 0.0035),
                            (end * (length / 2 + 0.03), at + 0.3 * sway, 0.0035),
                            (end * (length / 2 + 0.06), at + sway, 0.0025),
                        ],
                        6,
                    ),
                    0.0022,
                    5,
                )
            )
    return [("cloth", cloth), ("linen", merge(fringe))]
