"""Twists, bends or swells a mesh, there and back: what `gsplat-core render RUN2 --mesh-sequence DIR` takes.

    python tools/bend_mesh.py mesh.ply DIR [--motion twist] [--up z] [--amount 60] [--frames 60]

Writes the vertices of each frame as .npy. What is lowest stays. Needs `pip install 'gsplat-core[mesh]'`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gsplat_core.mesh import load_mesh

UP = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1), "-x": (-1, 0, 0), "-y": (0, -1, 0), "-z": (0, 0, -1)}
# The mesh reaches from here to there for the motions; what is beyond are single vertices.
LOWEST, HIGHEST = 0.01, 0.99


def twist(aside: np.ndarray, height: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Turned about the middle, the more the higher."""
    turn = angle * np.clip(height, 0, 1)
    cos, sin = np.cos(turn), np.sin(turn)
    return np.stack([cos * aside[:, 0] - sin * aside[:, 1], sin * aside[:, 0] + cos * aside[:, 1]], 1), height


def bend(aside: np.ndarray, height: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """The upright middle becomes an arc of a circle over this angle."""
    if abs(angle) < 1e-9:
        return aside, height
    radius = 1 / angle
    turn = angle * np.clip(height, 0, 1)
    beyond = height - np.clip(height, 0, 1)
    x = radius - (radius - aside[:, 0]) * np.cos(turn) + beyond * np.sin(turn)
    up = (radius - aside[:, 0]) * np.sin(turn) + beyond * np.cos(turn)
    return np.stack([x, aside[:, 1]], 1), up


def swell(aside: np.ndarray, height: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Wider half way up, by a share that is the angle in radians."""
    wider = 1 + angle * np.sin(np.pi * np.clip(height, 0, 1))
    return aside * wider[:, None], height


MOTIONS: dict[str, Callable[[np.ndarray, np.ndarray, float], tuple[np.ndarray, np.ndarray]]] = {
    "twist": twist,
    "bend": bend,
    "swell": swell,
}


def moved(vertices: np.ndarray, motion: str, up: np.ndarray, angle: float) -> np.ndarray:
    """[V, 3] of vertices [V, 3]. A motion is told of lengths as shares of the mesh's height, from its lowest
    vertices and from the upright line through the middle."""
    east = np.roll(up, 1)
    frame = np.stack([east, np.cross(up, east), up])
    places = vertices @ frame.T
    low, high = np.quantile(places[:, 2], [LOWEST, HIGHEST])
    middle = np.array([*np.median(places[:, :2], axis=0), low])
    shares = (places - middle) / (high - low)
    aside, height = MOTIONS[motion](shares[:, :2], shares[:, 2], angle)
    return (np.concatenate([aside, height[:, None]], 1) * (high - low) + middle) @ frame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("mesh", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--motion", choices=MOTIONS, default="twist")
    parser.add_argument("--up", choices=UP, default="z")
    parser.add_argument("--amount", type=float, default=60.0, help="degrees, to either side")
    parser.add_argument("--frames", type=int, default=60)
    arguments = parser.parse_args()
    vertices = load_mesh(arguments.mesh).vertices.astype(np.float64)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    up = np.array(UP[arguments.up], dtype=np.float64)
    for frame in range(arguments.frames):
        angle = np.radians(arguments.amount) * np.sin(2 * np.pi * frame / arguments.frames)
        np.save(arguments.folder / f"{frame:04d}.npy", moved(vertices, arguments.motion, up, angle))


if __name__ == "__main__":
    main()
