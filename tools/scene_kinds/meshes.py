"""Triangle meshes of the scenes: surfaces over a grid, boxes, poles, blobs, leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def vector(x: float, y: float, z: float) -> Array:
    return np.array([x, y, z])


@dataclass(frozen=True)
class Mesh:
    """vertices, normals [V,3]; faces [F,3]; tones [F], a random number of the object a face belongs to;
    material: the surface's name."""

    vertices: Array
    normals: Array
    faces: Array
    tones: Array
    material: str


def smooth(vertices: Array, faces: Array, material: str, tone: float = 0.0) -> Mesh:
    """A mesh with normals that are the means of those of the faces around."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    flat = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normals, faces[:, k], flat)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return Mesh(vertices, normals, faces, np.full(len(faces), tone), material)


def surface(points: Array, material: str, tone: float = 0.0, closed: bool = False) -> Mesh:
    """The surface over a grid of points [R,C,3]; `closed`: the last column is followed by the first.

    The outside is where rows turn to columns counterclockwise.
    """
    rows, columns = points.shape[:2]
    place = np.arange(rows * columns).reshape(rows, columns)
    if closed:
        place = np.concatenate([place, place[:, :1]], axis=1)
    a, b, c, d = place[:-1, :-1], place[1:, :-1], place[1:, 1:], place[:-1, 1:]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return smooth(points.reshape(-1, 3), faces, material, tone)


def lathe(
    profile: Callable[[Array, Array], Array],
    height: float,
    at: Array,
    material: str,
    rows: int = 120,
    columns: int = 120,
    tone: float = 0.0,
) -> Mesh:
    """An upright body of radius profile(angle, fraction of the height), closed on top."""
    angle = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None, :]
    part = np.linspace(0, 1, rows)[:, None]
    radius = profile(angle, part) * np.ones_like(angle * part)
    radius[-1] = 0
    body = np.stack([radius * np.cos(angle), radius * np.sin(angle), height * part * np.ones_like(angle)], -1)
    return surface(body[::-1] + at, material, tone, closed=True)


def box(low: Array, high: Array, material: str, turn: float = 0.0, tone: float = 0.0, cells: int = 1) -> Mesh:
    """A box with flat sides of cells x cells squares, turned about the vertical through its middle."""
    low, high = np.asarray(low, float), np.asarray(high, float)
    middle, half = (low + high) / 2, (high - low) / 2
    steps = np.linspace(-1, 1, cells + 1)
    u, v = np.meshgrid(steps, steps, indexing="ij")
    sides = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            side = np.zeros((cells + 1, cells + 1, 3))
            side[..., axis] = sign
            side[..., (axis + 1) % 3], side[..., (axis + 2) % 3] = (u, v) if sign > 0 else (v, u)
            side *= half
            c, s = np.cos(turn), np.sin(turn)
            x, y = side[..., 0].copy(), side[..., 1].copy()
            side[..., 0], side[..., 1] = c * x - s * y, s * x + c * y
            sides.append(surface(side + middle, material, tone))
    return join(sides)


def blob(
    at: Array, radii: Array, material: str, rough: Callable[[Array], Array], tone: float = 0.0, rows: int = 24
) -> Mesh:
    """An ellipsoid whose radius is multiplied by 1 + rough(direction [...,3])."""
    polar = np.linspace(0, np.pi, rows)[:, None]
    angle = np.linspace(0, 2 * np.pi, 2 * rows, endpoint=False)[None, :]
    direction = np.stack(
        [np.sin(polar) * np.cos(angle), np.sin(polar) * np.sin(angle), np.cos(polar) * np.ones_like(angle)],
        -1,
    )
    return surface(at + direction * (1 + rough(direction))[..., None] * radii, material, tone, closed=True)


def leaves(
    at: Array,
    radii: Array,
    count: int,
    size: float,
    material: str,
    rng: np.random.Generator,
    shell: float = 0.5,
) -> Mesh:
    """`count` leaves (two triangles each) in an ellipsoid, mostly near its surface; normals point out."""
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    reach = (shell + (1 - shell) * rng.random(count)) * (1 + 0.12 * rng.normal(size=count))
    centre = at + direction * reach[:, None] * radii
    along = rng.normal(size=(count, 3))
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    lean = direction + 0.8 * rng.normal(size=(count, 3))
    across = np.cross(along, lean)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    length = size * rng.uniform(0.6, 1.4, (count, 1))
    corners = np.stack(
        [
            centre - along * length,
            centre + 0.4 * across * length,
            centre + along * length,
            centre - 0.4 * across * length,
        ],
        axis=1,
    )
    normal = lean / np.linalg.norm(lean, axis=1, keepdims=True)
    first = 4 * np.arange(count)[:, None]
    faces = np.concatenate([first + vector(0, 1, 2), first + vector(0, 2, 3)], axis=1).reshape(-1, 3)
    tones = np.repeat(rng.random(count), 2)
    return Mesh(corners.reshape(-1, 3), np.repeat(normal, 4, axis=0), faces, tones, material)


def blades(roots: Array, height: float, width: float, material: str, rng: np.random.Generator) -> Mesh:
    """A bent blade of grass from every root [N,3]."""
    n = len(roots)
    side = rng.normal(size=(n, 3)) * [1, 1, 0]
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    tip = roots + np.column_stack([0.4 * height * rng.normal(size=(n, 2)), height * rng.uniform(0.5, 1.2, n)])
    corners = np.stack([roots - side * width / 2, roots + side * width / 2, tip], axis=1)
    normals = np.tile([0.0, 0.0, 1.0], (3 * n, 1)) + 0.3 * rng.normal(size=(3 * n, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Mesh(corners.reshape(-1, 3), normals, np.arange(3 * n).reshape(n, 3), rng.random(n), material)


def pole(foot: Array, top: Array, radius: float, material: str, sides: int = 8, tone: float = 0.0) -> Mesh:
    """A straight round bar."""
    axis = (np.asarray(top, float) - foot) / np.linalg.norm(np.asarray(top, float) - foot)
    first = np.cross(axis, [1.0, 0, 0] if abs(axis[0]) < 0.9 else [0, 1.0, 0])
    first /= np.linalg.norm(first)
    second = np.cross(axis, first)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)[:, None]
    ring = radius * (np.cos(angle) * first + np.sin(angle) * second)
    return surface(np.stack([top + ring, foot + ring]), material, tone, closed=True)


def join(meshes: list[Mesh]) -> Mesh:
    """Meshes of one material as one."""
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=True)]),
        np.concatenate([mesh.tones for mesh in meshes]),
        meshes[0].material,
    )
