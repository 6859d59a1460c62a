"""A chess board with a game in progress."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .meshes import (
    Array,
    Parts,
    box,
    curve,
    lathe,
    merge,
    quad,
)

PIECES: dict[str, list[tuple[float, float]]] = {
    "pawn": [
        (0.019, 0.0),
        (0.019, 0.007),
        (0.013, 0.012),
        (0.008, 0.028),
        (0.012, 0.033),
        (0.006, 0.036),
        (0.0115, 0.046),
        (0.008, 0.054),
        (0.0, 0.057),
    ],
    "bishop": [
        (0.021, 0.0),
        (0.021, 0.008),
        (0.014, 0.014),
        (0.008, 0.045),
        (0.014, 0.050),
        (0.007, 0.053),
        (0.013, 0.066),
        (0.009, 0.078),
        (0.003, 0.084),
        (0.0045, 0.088),
        (0.0, 0.092),
    ],
    "queen": [
        (0.023, 0.0),
        (0.023, 0.009),
        (0.015, 0.016),
        (0.009, 0.055),
        (0.015, 0.061),
        (0.008, 0.065),
        (0.017, 0.090),
        (0.012, 0.092),
        (0.005, 0.094),
        (0.006, 0.099),
        (0.0, 0.103),
    ],
    "rook": [
        (0.021, 0.0),
        (0.021, 0.009),
        (0.015, 0.015),
        (0.011, 0.042),
        (0.016, 0.047),
        (0.016, 0.060),
        (0.011, 0.060),
        (0.010, 0.052),
        (0.0, 0.052),
    ],
}


def chess() -> Parts:
    """A board of side 0.44 with a game in progress."""
    side, thickness = 0.44, 0.022
    slab = box((side, side, thickness))
    board: Parts = [
        ("walnut", slab),
        ("checkers", quad((-side / 2, -side / 2, thickness + 4e-4), (side, 0, 0), (0, side, 0))),
    ]
    ripple: dict[str, Callable[[Array, Array], Array] | None] = {
        "queen": lambda angle, z: 1 + 0.14 * np.cos(8 * angle) * (z > 0.085) * (z < 0.093),
        "rook": lambda angle, z: 1 + 0.10 * np.sign(np.cos(6 * angle)) * (z > 0.053),
    }
    game = {
        "ivory": [
            ("rook", 0, 0),
            ("queen", 3, 3),
            ("bishop", 5, 2),
            ("pawn", 1, 1),
            ("pawn", 4, 3),
            ("pawn", 6, 1),
            ("pawn", 7, 2),
        ],
        "ebony": [
            ("rook", 7, 7),
            ("queen", 3, 6),
            ("bishop", 2, 4),
            ("pawn", 1, 6),
            ("pawn", 4, 5),
            ("pawn", 5, 6),
            ("pawn", 6, 5),
        ],
    }
    cell = side * 0.84 / 8
    for colour, men in game.items():
        meshes = []
        for name, column, row in men:
            profile = np.concatenate([[(0.0, 0.0)], np.maximum(curve(PIECES[name], 60), 0)])
            turned = lathe(profile, 28, ripple.get(name))
            meshes.append(
                turned.moved(((column - 3.5) * cell, (row - 3.5) * cell, thickness + 6e-4), size=1.15)
            )
        board.append((colour, merge(meshes)))
    return board
