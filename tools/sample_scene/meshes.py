"""Triangle meshes made from formulas: grids, lathes, tubes, boxes and extruded outlines.

z is up, angles are in degrees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Mesh:
    """vertices [N,3], faces [F,3] int counter-clockwise seen from outside, normals [N,3] unit, uvs [N,2]."""

    vertices: Array
    faces: NDArray[np.int64]
    normals: Array
    uvs: Array

    def moved(
        self, at: ArrayLike = (0.0, 0.0, 0.0), turn: float = 0.0, tilt: float = 0.0, size: float = 1.0
    ) -> Mesh:
        """Scaled by `size`, tilted about x, then turned about z, then moved to `at`."""
        rotation = rotation_z(turn) @ rotation_x(tilt)
        return replace(
            self,
            vertices=size * self.vertices @ rotation.T + np.asarray(at),
            normals=self.normals @ rotation.T,
        )


# what a thing is made of: the name of a material and the mesh that has it
Parts = list[tuple[str, Mesh]]


def placed(parts: Parts, at: tuple[float, float, float], turn: float = 0.0) -> Parts:
    return [(material, mesh.moved(at, turn=turn)) for material, mesh in parts]


def rotation_x(degrees: float) -> Array:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def rotation_y(degrees: float) -> Array:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def rotation_z(degrees: float) -> Array:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def merge(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh that holds all of `meshes`."""
    starts = np.cumsum([0] + [len(m.vertices) for m in meshes])
    return Mesh(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.faces + start for m, start in zip(meshes, starts, strict=False)]),
        np.concatenate([m.normals for m in meshes]),
        np.concatenate([m.uvs for m in meshes]),
    )


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _face_normals(vertices: Array, faces: NDArray[np.int64]) -> Array:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return np.cross(b - a, c - a)


def smooth(vertices: Array, faces: NDArray[np.int64], uvs: Array) -> Mesh:
    """Shaded smoothly: area-weighted normals, shared by vertices in the same place so that no seam shows."""
    _, place = np.unique(np.round(vertices, 6), axis=0, return_inverse=True)
    place = place.reshape(-1)
    sums = np.zeros((place.max() + 1, 3))
    weighted = _face_normals(vertices, faces)
    for k in range(3):
        np.add.at(sums, place[faces[:, k]], weighted)
    return Mesh(vertices, faces, _unit(sums)[place], uvs)


def flat(vertices: Array, faces: NDArray[np.int64], uvs: Array) -> Mesh:
    """Shaded flat: every triangle has its own vertices."""
    corners = faces.reshape(-1)
    own = np.arange(len(corners)).reshape(-1, 3)
    normals = _unit(np.repeat(_face_normals(vertices, faces), 3, axis=0))
    return Mesh(vertices[corners], own, normals, uvs[corners])


def grid(points: Array) -> Mesh:
    """The surface through points [U,V,3]; outside is d/du x d/dv; uvs run from 0 to 1 along both."""
    nu, nv = points.shape[:2]
    index = np.arange(nu * nv).reshape(nu, nv)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    faces = np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).reshape(-1, 3)
    u, v = np.meshgrid(np.linspace(0, 1, nu), np.linspace(0, 1, nv), indexing="ij")
    return smooth(points.reshape(-1, 3), faces, np.stack([u, v], -1).reshape(-1, 2))


def curve(control: ArrayLike, count: int) -> Array:
    """Catmull-Rom spline through control points [K,D], `count` samples."""
    p = np.asarray(control, dtype=np.float64)
    p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = np.linspace(0, len(p) - 3 - 1e-9, count)
    k = t.astype(int)
    f = (t - k)[:, None]
    p0, p1, p2, p3 = p[k], p[k + 1], p[k + 2], p[k + 3]
    cubic = 3 * p1 - p0 - 3 * p2 + p3
    return 0.5 * (2 * p1 + (p2 - p0) * f + (2 * p0 - 5 * p1 + 4 * p2 - p3) * f**2 + cubic * f**3)


def lathe(
    profile: ArrayLike, segments: int = 64, ripple: Callable[[Array, Array], Array] | None = None
) -> Mesh:
    """Profile [K,2] of (radius, z), upwards along the outside, turned about z.

    `ripple(angle, z)` scales the radius.
    """
    p = np.asarray(profile, dtype=np.float64)
    angle = np.linspace(0, 2 * np.pi, segments + 1)[:, None]
    z = np.broadcast_to(p[:, 1], (segments + 1, len(p)))
    radius = p[:, 0] * (ripple(angle, z) if ripple else 1.0)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=-1)
    points[-1] = points[0]
    return grid(points)


def sphere(radius: float, segments: int = 24) -> Mesh:
    latitude = np.linspace(-np.pi / 2, np.pi / 2, segments // 2 + 1)
    return lathe(radius * np.stack([np.cos(latitude), np.sin(latitude)], -1), segments)


def tube(path: Array, radius: ArrayLike, segments: int = 8, closed: bool = False) -> Mesh:
    """A round tube along path [K,3] with one radius or one for each point; frames by parallel transport.

    A closed path repeats its first point at the end. Open tubes are closed by flat ends.
    """
    r = np.broadcast_to(np.asarray(radius, dtype=np.float64), len(path)).copy()
    tangent = _unit(np.gradient(path, axis=0))
    if closed:
        tangent[0] = tangent[-1] = _unit(path[1] - path[-2])
    else:
        path = np.concatenate([path[:1], path, path[-1:]])
        tangent = np.concatenate([tangent[:1], tangent, tangent[-1:]])
        r = np.concatenate([[0.0], r, [0.0]])
    normal = np.zeros_like(path)
    first = np.eye(3)[np.argmin(np.abs(tangent[0]))]
    normal[0] = _unit(first - tangent[0] * (first @ tangent[0]))
    for k in range(1, len(path)):
        normal[k] = _unit(normal[k - 1] - tangent[k] * (normal[k - 1] @ tangent[k]))
    angle = np.linspace(0, 2 * np.pi, segments + 1)[:, None]
    if closed:  # spread the twist that transport gathered, so that the ends meet
        sine = np.cross(normal[-1], normal[0]) @ tangent[0]
        angle = angle + np.arctan2(sine, normal[-1] @ normal[0]) * np.linspace(0, 1, len(path))
    binormal = np.cross(tangent, normal)
    ring = np.cos(angle)[..., None] * normal + np.sin(angle)[..., None] * binormal
    points = path + r[:, None] * ring
    points[-1] = points[0]
    return grid(points)


def circle(radius: float, z: float, count: int = 96) -> Array:
    t = np.linspace(0, 2 * np.pi, count + 1)
    return np.stack([radius * np.cos(t), radius * np.sin(t), np.full_like(t, z)], -1)


def torus_knot(p: int, q: int, major: float, minor: float, thickness: float, count: int = 400) -> Mesh:
    """The (p, q) torus knot around z as a tube."""
    t = np.linspace(0, 2 * np.pi, count + 1)
    reach = major + minor * np.cos(q * t)
    path = np.stack([reach * np.cos(p * t), reach * np.sin(p * t), minor * np.sin(q * t)], -1)
    return tube(path, thickness, 20, closed=True)


def quad(origin: ArrayLike, edge_u: ArrayLike, edge_v: ArrayLike) -> Mesh:
    """The parallelogram origin + u edge_u + v edge_v; outside is edge_u x edge_v."""
    o, u, v = (np.asarray(x, dtype=np.float64) for x in (origin, edge_u, edge_v))
    uvs = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float64)
    return flat(o + uvs @ np.stack([u, v]), np.array([[0, 1, 2], [0, 2, 3]]), uvs)


def box(size: ArrayLike, atlas: bool = False) -> Mesh:
    """A box with its base centred on the origin; every face shows the whole texture.

    With `atlas`, face k (top, bottom, front, back, left, right) shows cell (k % 3, k // 3) of a 3 x 2 atlas
    instead, rows counted from the top of the picture.
    """
    x, y, z = np.asarray(size, dtype=np.float64)
    corner = np.array([-x / 2, -y / 2, 0.0])
    ex, ey, ez = np.diag([x, y, z])
    sides = [
        quad(corner + ez, ex, ey),
        quad(corner + ey, ex, -ey),
        quad(corner, ex, ez),
        quad(corner + ex + ey, -ex, ez),
        quad(corner + ey, -ey, ez),
        quad(corner + ex, ey, ez),
    ]
    if atlas:
        cells = [np.array([k % 3, 1 - k // 3]) for k in range(6)]
        sides = [
            replace(m, uvs=(m.uvs + cell) / np.array([3, 2])) for m, cell in zip(sides, cells, strict=True)
        ]
    return merge(sides)


def extrude(outline: Array, height: float, hole: float = 0.0) -> Mesh:
    """A plate from a counter-clockwise outline [K,2] that is star-shaped about the origin.

    `hole` is the radius of a central bore.
    """
    k = len(outline)
    inner = hole * _unit(outline) if hole else np.zeros_like(outline)
    loops = [(inner, 0.0), (outline, 0.0), (outline, height), (inner, height)] + (
        [(inner, 0.0)] if hole else []
    )
    vertices = np.concatenate([np.column_stack([xy, np.full(k, z)]) for xy, z in loops])
    turn = np.arange(k)
    after = (turn + 1) % k
    strips = []
    for row in range(len(loops) - 1):
        a, b, c, d = row * k + turn, row * k + after, (row + 1) * k + after, (row + 1) * k + turn
        strips += [np.stack([a, b, c], -1), np.stack([a, c, d], -1)]
    reach = np.abs(outline).max()
    return flat(vertices, np.concatenate(strips), vertices[:, :2] / (2 * reach) + 0.5)


def planar(mesh: Mesh, width: float) -> Mesh:
    """Textured from above: a square of side `width` about the origin takes the whole texture."""
    return replace(mesh, uvs=mesh.vertices[:, :2] / width + 0.5)
