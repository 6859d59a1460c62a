"""Textures of the room, the table and the cloth on it."""

from __future__ import annotations

import numpy as np

from .brush import Colour, Picture, edge, mix, noise, picture, pixels, wood


def table_top(size: int = 2048) -> Picture:
    """Walnut planks with a marquetry compass star and an inlaid border."""
    y, x = pixels(size)
    board = wood(3, (size, size), (176, 122, 76), (118, 70, 40), 42).astype(float)
    plank = np.floor(y * 11)
    tint = np.random.default_rng(4).uniform(0.86, 1.1, 11)[plank.astype(int)]
    groove = np.abs((y * 11) % 1 - 0.5) > 0.488
    board = board * tint[..., None] * np.where(groove, 0.45, 1.0)[..., None]
    px, py = 2 * x - 1, 2 * y - 1
    radius, angle = np.hypot(px, py), np.arctan2(py, px)
    soft = 3.0 / size
    maple = wood(7, (size, size), (232, 200, 148), (206, 164, 108), 30).astype(float)
    ebony = wood(9, (size, size), (70, 48, 38), (44, 30, 26), 30).astype(float)
    for points, reach, turn in ((8, 0.50, np.pi / 8), (4, 0.58, np.pi / 4), (4, 0.66, 0.0)):
        sector = 2 * np.pi / points
        local = (angle - turn + sector / 2) % sector - sector / 2
        # half a star ray is the triangle between its tip and the waist point of the star
        waist = reach * 0.32
        ax, ay = radius * np.cos(local), radius * np.abs(np.sin(local))
        wx, wy = waist * np.cos(sector / 2), waist * np.sin(sector / 2)
        outside = (ay * (reach - wx) - (reach - ax) * wy) / np.hypot(reach - wx, wy)
        inside = edge(outside, soft)
        half = edge(radius * np.sin(local), soft)
        board = mix(board, mix(ebony, maple, half), inside)
    for middle, width in ((0.70, 0.004), (0.86, 0.006), (0.955, 0.006)):
        board = mix(board, (40, 27, 24), edge(np.abs(radius - middle) - width, soft))
    band = edge(np.abs(radius - 0.908) - 0.038, soft)
    teeth = edge(np.abs(((angle / (2 * np.pi) * 72) % 1) - 0.5) - 0.25 - (radius - 0.908) * 6, 0.06)
    return picture(mix(board, mix(maple, ebony, teeth), band))


def parquet(size: int = 1024) -> Picture:
    """Oak in basket-weave squares of five strips."""
    y, x = pixels(size)
    cells = 8
    row, column = np.floor(y * cells), np.floor(x * cells)
    turned = (row + column) % 2 == 1
    across = np.where(turned, x, y) * cells % 1
    strip = np.floor(across * 5)
    key = (row * 31 + column * 17 + strip * 7).astype(int) % 97
    tint = np.random.default_rng(12).uniform(0.78, 1.12, 97)[key]
    grain = wood(13, (size, size), (178, 130, 84), (146, 98, 58), 60).astype(float)
    board = np.where(turned[..., None], grain.transpose(1, 0, 2), grain) * tint[..., None]
    gap = (np.abs(across * 5 % 1 - 0.5) > 0.47) | (np.abs(np.where(turned, y, x) * cells % 1 - 0.5) > 0.494)
    return picture(board * np.where(gap, 0.5, 1.0)[..., None])


def rug(size: int = 1024) -> Picture:
    """A round rug: rings of diamonds, petals and waves in four colours, with the texture of the weave."""
    y, x = pixels(size)
    px, py = 2 * x - 1, 2 * y - 1
    radius, angle = np.hypot(px, py), np.arctan2(py, px)
    turn = angle / (2 * np.pi)
    colour = np.broadcast_to(np.array([150, 42, 44.0]), (size, size, 3))
    navy, gold, sand = (34, 48, 92), (214, 160, 72), (232, 214, 180)
    for inner, outer, ground, figure, count in (
        (0.84, 0.97, navy, sand, 40),
        (0.66, 0.80, sand, (150, 42, 44), 28),
        (0.48, 0.62, navy, gold, 20),
        (0.26, 0.44, (60, 104, 96), sand, 12),
    ):
        ring = edge(np.abs(radius - (inner + outer) / 2) - (outer - inner) / 2, 0.004)
        across = (radius - inner) / (outer - inner) - 0.5
        along = (turn * count) % 1 - 0.5
        diamond = edge(np.abs(across) + np.abs(along) - 0.40, 0.05) - edge(
            np.abs(across) + np.abs(along) - 0.2, 0.05
        )
        colour = mix(colour, mix(ground, figure, diamond), ring)
    petals = edge(radius - 0.2 * (0.6 + 0.4 * np.cos(8 * angle)), 0.01)
    colour = mix(colour, gold, petals)
    weave = 1 + 0.08 * np.sin(x * np.pi * 220) * np.sin(y * np.pi * 220) + 0.05 * noise(21, (size, size), 0.5)
    return picture(colour * weave[..., None])


def wallpaper(seed: int, ground: Colour, figure: Colour, size: int = 1024) -> Picture:
    """Stripes with an ogee of leaves: level lines of a sum of cosines."""
    y, x = pixels(size)
    ax, ay = 2 * np.pi * x * 8, 2 * np.pi * y * 5
    ogee = np.cos(ax) + np.cos(ay + np.pi * (np.floor(x * 8) % 2)) + 0.6 * np.cos(2 * ax) * np.cos(3 * ay)
    line = edge(np.abs(ogee - 0.5) - 0.16, 0.1) + edge(np.abs(ogee - 1.6) - 0.14, 0.1)
    stripe = 0.12 * np.sign(np.sin(ax / 2))
    paper = mix(ground, figure, line * 0.75 + stripe + 0.12)
    return picture(paper * (1 + 0.03 * noise(seed, (size, size), 0.8))[..., None])


def panelling(size: int = 512) -> Picture:
    """Painted wainscot: upright boards with beads."""
    _, x = pixels(size)
    across = x * 12 % 1
    shade = (
        1 - 0.35 * np.exp(-(((across - 0.04) / 0.025) ** 2)) + 0.05 * np.exp(-(((across - 0.1) / 0.03) ** 2))
    )
    paint = np.array([226, 220, 204]) * (shade * (1 + 0.02 * noise(31, (size, size), 0.9, (1, 5))))[..., None]
    return picture(paint)


def plaster(size: int = 256) -> Picture:
    return picture(np.array([236, 232, 224]) * (1 + 0.025 * noise(33, (size, size), 1.2))[..., None])


def runner(size: int = 1024, height: int = 512) -> Picture:
    """A woven cloth: bands of stripes, zigzags and crosses across a linen ground."""
    y, x = pixels(size, height)
    linen = np.broadcast_to(np.array([226, 212, 186.0]), (height, size, 3))
    red, blue, ochre = (166, 44, 42), (38, 70, 120), (206, 148, 56)
    cloth = linen
    for middle in (0.07, 0.15, 0.85, 0.93):
        cloth = mix(cloth, blue, edge(np.abs(x - middle) - 0.012, 0.003))
    for middle, colour in ((0.11, red), (0.89, red), (0.25, ochre), (0.75, ochre)):
        zigzag = middle + 0.014 * (4 * np.abs((y * 10) % 1 - 0.5) - 1)
        cloth = mix(cloth, colour, edge(np.abs(x - zigzag) - 0.006, 0.003))
    for middle in (0.2, 0.3, 0.7, 0.8):
        cloth = mix(cloth, red, edge(np.abs(x - middle) - 0.004, 0.003))
    column, row = (x * 20) % 1 - 0.5, (y * 10) % 1 - 0.5
    cross = np.minimum(
        np.maximum(np.abs(column) - 0.28, np.abs(row) - 0.07),
        np.maximum(np.abs(row) - 0.28, np.abs(column) - 0.07),
    )
    cloth = mix(cloth, blue, edge(cross, 0.05) * (np.abs(x - 0.5) < 0.15))
    thread = (
        1
        + 0.09 * np.sin(x * np.pi * 2 * 170) * np.sin(y * np.pi * 2 * 85)
        + 0.04 * noise(71, (height, size), 0.6)
    )
    return picture(cloth * thread[..., None])
