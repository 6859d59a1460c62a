"""Textures of the things on the table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from .brush import Colour, Picture, edge, mix, noise, picture, pixels, text, wood

INK = (32, 30, 36)


def porcelain(size: int = 1024) -> Picture:
    """White glaze with cobalt bands, waves, scrolls of flowers and lappets; u runs around, v up."""
    y, x = pixels(size)
    v = 1 - y
    white = np.array([238, 241, 243.0])
    cobalt = np.array([26, 54, 150.0]) * (1 + 0.12 * noise(41, (size, size), 1.0))[..., None]
    paint = np.zeros((size, size))
    for middle, width in (
        (0.03, 0.012),
        (0.19, 0.004),
        (0.21, 0.004),
        (0.62, 0.004),
        (0.64, 0.005),
        (0.72, 0.004),
        (0.9, 0.006),
        (0.97, 0.02),
    ):
        paint = np.maximum(paint, edge(np.abs(v - middle) - width, 0.004))
    # lappets: pointed leaves that rise from the foot
    along = (x * 16) % 1 - 0.5
    leaf = (v - 0.06) / 0.12
    shape = np.abs(along) - 0.46 * np.sqrt(np.clip(1 - leaf, 0, 1))
    paint = np.maximum(paint, edge(np.abs(shape + 0.05) - 0.05, 0.05) * (leaf > 0) * (leaf < 1.1))
    paint = np.maximum(paint, edge(shape + 0.22, 0.06) * (leaf > 0.1) * (leaf < 1) * 0.7)
    # flowers on a winding stem
    stem = 0.415 + 0.085 * np.sin(2 * np.pi * x * 4)
    paint = np.maximum(paint, edge(np.abs(v - stem) - 0.006, 0.004) * (v < 0.6))
    for k in range(8):
        cx = (k + 0.5) / 8
        cy = 0.415 + (-0.075 if k % 2 == 0 else 0.075)
        dx = ((x - cx + 0.5) % 1 - 0.5) * 2.6
        dy = v - cy
        r, a = np.hypot(dx, dy), np.arctan2(dy, dx)
        petal = 0.088 * (0.62 + 0.38 * np.abs(np.cos(3 * a)))
        flower = edge(r - petal, 0.006) - 0.75 * edge(r - petal + 0.016, 0.01) * (np.cos(30 * a) > -0.3)
        paint = np.maximum(paint * (1 - edge(r - petal, 0.006)), np.maximum(flower, edge(r - 0.022, 0.006)))
        for side in (-1, 1):
            lx, ly = dx - side * 0.135, dy + (0.05 if k % 2 == 0 else -0.05)
            leaflet = (lx * 0.8 + side * ly * 0.6) ** 2 / 0.045**2 + (
                ly * 0.8 - side * lx * 0.6
            ) ** 2 / 0.016**2
            paint = np.maximum(paint, edge(leaflet - 1, 0.3) * 0.85)
    # waves and a lattice on the neck
    wave = 0.68 + 0.022 * np.sin(2 * np.pi * x * 24)
    paint = np.maximum(paint, edge(np.abs(v - wave) - 0.006, 0.004))
    lattice = np.minimum(np.abs((x * 20 + v * 22) % 1 - 0.5), np.abs((x * 20 - v * 22) % 1 - 0.5))
    paint = np.maximum(paint, edge(lattice - 0.07, 0.06) * (v > 0.735) * (v < 0.885))
    return picture(mix(white, cobalt, paint))


def checkers(
    seed: int, light: Colour = (232, 208, 164), dark: Colour = (92, 52, 36), size: int = 512
) -> Picture:
    """An 8 x 8 board with a frame of a tenth of the side."""
    y, x = pixels(size)
    column, row = (x - 0.08) / 0.84 * 8, (y - 0.08) / 0.84 * 8
    odd = (np.floor(column) + np.floor(row)) % 2 == 1
    board = np.where(
        odd[..., None],
        wood(seed, (size, size), dark, (62, 34, 26), 20),
        wood(seed + 5, (size, size), light, (214, 184, 136), 20),
    )
    border = np.maximum(np.abs(x - 0.5), np.abs(y - 0.5))
    frame = wood(seed + 9, (size, size), (120, 62, 38), (84, 42, 28), 12)
    board = np.where((border > 0.42)[..., None], frame, board)
    line = edge(np.abs(border - 0.435) - 0.005, 0.004)
    return picture(mix(board.astype(float), (226, 190, 110), line))


def book(
    title: str, author: str, cloth: Colour, foil: Colour, motif: int, seed: int, size: int = 512
) -> Picture:
    """A 3 x 2 atlas for a box: the cover on top, the spine in front, plain cloth elsewhere."""
    weave = 1 + 0.05 * noise(seed, (2 * size, 3 * size), 0.4)
    image = Image.fromarray(picture(np.array(cloth) * weave[..., None]))
    draw = ImageDraw.Draw(image)
    draw.rectangle((24, 24, size - 24, size - 24), outline=foil, width=5)
    draw.rectangle((38, 38, size - 38, size - 38), outline=foil, width=2)
    text(draw, (size / 2, 110), title, 46, foil)
    text(draw, (size / 2, size - 66), author, 26, foil)
    middle, t = (size / 2, size * 0.58), np.linspace(0, 2 * np.pi, 600)
    if motif == 0:  # ellipses: the footprints of splats
        for k in range(9):
            a, b, turn = 118 - 11 * k, 44 + 5 * k, np.pi * k / 9
            ex = middle[0] + a * np.cos(t) * np.cos(turn) - b * np.sin(t) * np.sin(turn)
            ey = middle[1] + a * np.cos(t) * np.sin(turn) + b * np.sin(t) * np.cos(turn)
            draw.line(list(zip(ex, ey, strict=True)), foil, 3)
    elif motif == 1:  # a spirograph curve
        ex = middle[0] + 80 * np.cos(3 * t) + 42 * np.cos(7 * t)
        ey = middle[1] + 80 * np.sin(3 * t) - 42 * np.sin(7 * t)
        draw.line(list(zip(ex, ey, strict=True)), foil, 4)
    else:  # a sun
        draw.ellipse((middle[0] - 46, middle[1] - 46, middle[0] + 46, middle[1] + 46), fill=foil)
        for a in np.linspace(0, 2 * np.pi, 25)[:-1]:
            near, far = 58, 104
            draw.line(
                (
                    middle[0] + near * np.cos(a),
                    middle[1] + near * np.sin(a),
                    middle[0] + far * np.cos(a),
                    middle[1] + far * np.sin(a),
                ),
                foil,
                5,
            )
    # the spine's face is long and low: letters are drawn wide and squeezed by the mapping
    spine = Image.new("RGB", (size, 96), cloth)
    pen = ImageDraw.Draw(spine)
    for line in (14, 24, size - 14, size - 24):
        pen.line((line, 0, line, 96), foil, 4)
    text(pen, (size / 2, 48), title.replace("\n", " "), 44, foil)
    image.paste(spine.resize((size, size)), (2 * size, 0))
    return np.asarray(image)


def pages(size: int = 256) -> Picture:
    y, _ = pixels(size)
    stack = 0.9 + 0.1 * np.sin(2 * np.pi * y * 22 + noise(51, (size, size), 1.5, (1, 9)))
    return picture(
        np.array([236, 224, 196]) * (stack * (1 + 0.04 * noise(52, (size, size), 0.5, (1, 20))))[..., None]
    )


def letter_block(letters: str, grounds: Sequence[Colour], seed: int, size: int = 192) -> Picture:
    """A 3 x 2 atlas: a letter in a coloured frame on each side of a wooden toy block."""
    atlas = Image.fromarray(wood(seed, (2 * size, 3 * size), (236, 206, 156), (216, 178, 122), 14))
    draw = ImageDraw.Draw(atlas)
    for k, letter in enumerate(letters):
        x, y = k % 3 * size, k // 3 * size
        draw.rounded_rectangle(
            (x + 16, y + 16, x + size - 16, y + size - 16), 20, outline=grounds[k % len(grounds)], width=13
        )
        text(draw, (x + size / 2, y + size / 2), letter, size * 0.62, grounds[k % len(grounds)])
    return np.asarray(atlas)


def clock_face(size: int = 512) -> Picture:
    image = Image.new("RGB", (size, size), (246, 240, 222))
    draw = ImageDraw.Draw(image)
    c = size / 2
    for k in range(60):
        a = np.radians(6 * k)
        near = 0.80 if k % 5 == 0 else 0.86
        draw.line(
            (
                c + c * near * np.sin(a),
                c - c * near * np.cos(a),
                c + c * 0.91 * np.sin(a),
                c - c * 0.91 * np.cos(a),
            ),
            INK,
            7 if k % 5 == 0 else 3,
        )
    for hour in range(1, 13):
        a = np.radians(30 * hour)
        text(draw, (c + c * 0.64 * np.sin(a), c - c * 0.64 * np.cos(a)), str(hour), 66, INK)
    text(draw, (c, c * 1.36), "QUARTZ", 24, (150, 40, 40))
    return np.asarray(image)


def orange_peel(seed: int, size: int = 256) -> Picture:
    pores = noise(seed, (size, size), -0.6)
    hue = noise(seed + 1, (size, size), 1.6)
    peel = (
        mix((240, 138, 24), (222, 104, 12), 0.5 + 0.25 * hue) * (1 - 0.10 * np.clip(pores, 0, 2))[..., None]
    )
    return picture(peel)


def apple_skin(seed: int, size: int = 256) -> Picture:
    """Yellow at the ends, red streaks that follow the meridians."""
    y, _ = pixels(size)
    streak = noise(seed, (size, size), 1.0, (14, 1))
    blush = noise(seed + 1, (size, size), 2.0)
    skin = mix(
        (226, 190, 66), (176, 26, 30), 1.25 - 1.3 * np.abs(2 * y - 1) ** 1.5 + 0.22 * streak + 0.25 * blush
    )
    speckle = noise(seed + 2, (size, size), 0.0) > 2.9
    return picture(mix(skin, (238, 214, 150), speckle * 0.7))


def straw(size: int = 512) -> Picture:
    strands = noise(61, (size, size), 0.7, (18, 1))
    return picture(mix((214, 170, 104), (148, 98, 48), 0.4 + 0.3 * strands))


def bark(size: int = 128) -> Picture:
    return picture(mix((124, 88, 58), (60, 40, 28), 0.5 + 0.35 * noise(63, (size, size), 0.9, (1, 4))))


def leaf(size: int = 128) -> Picture:
    """u along the half width either side of the midrib, v along the leaf."""
    y, x = pixels(size)
    vein = edge(np.abs(x - 0.5) - 0.03, 0.03) + 0.7 * edge(
        np.abs(((y + np.abs(x - 0.5)) * 7) % 1 - 0.5) - 0.07, 0.08
    )
    return picture(mix((58, 108, 50), (176, 196, 116), vein * 0.7 + 0.1 * noise(65, (size, size), 1.5)))
