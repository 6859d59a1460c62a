"""Six small pictures for the walls."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from .brush import Picture, edge, mix, noise, picture, pixels, text

WIDTH, HEIGHT = 384, 288


def hills() -> Picture:
    """Hills under a low sun."""
    y, x = pixels(WIDTH, HEIGHT)
    sky = mix((70, 110, 170), (250, 196, 130), y * 1.5)
    sun = edge(np.hypot((x - 0.68) * WIDTH / HEIGHT, y - 0.36) - 0.09, 0.01)
    canvas = mix(sky, (255, 236, 170), sun)
    for k, colour in enumerate(((120, 130, 160), (86, 120, 110), (70, 96, 58), (40, 60, 40))):
        ridge = noise(80 + k, (4, WIDTH), 1.7)[0] * (0.05 + 0.015 * k) + 0.45 + 0.14 * k
        canvas = mix(canvas, colour, edge(ridge[None] - y, 0.01))
    return picture(canvas)


def fields() -> Picture:
    """A grid with primary fields."""
    image = Image.new("RGB", (WIDTH, HEIGHT), (242, 238, 226))
    draw = ImageDraw.Draw(image)
    xs, ys = [0, 90, 130, 290, WIDTH], [0, 70, 190, 230, HEIGHT]
    for (i, j), colour in {
        (2, 1): (200, 30, 34),
        (0, 0): (30, 60, 150),
        (3, 3): (240, 200, 40),
        (1, 3): (30, 60, 150),
        (3, 0): (240, 200, 40),
    }.items():
        draw.rectangle((xs[i], ys[j], xs[i + 1], ys[j + 1]), colour)
    for value in xs:
        draw.line((value, 0, value, HEIGHT), (18, 18, 20), 9)
    for value in ys:
        draw.line((0, value, WIDTH, value), (18, 18, 20), 9)
    return np.asarray(image)


def rings() -> Picture:
    """Rings in squares."""
    y, x = pixels(WIDTH, HEIGHT)
    column, row = x * 4 % 1 - 0.5, y * 3 % 1 - 0.5
    cell = (np.floor(x * 4) + 4 * np.floor(y * 3)).astype(int)
    palette = np.random.default_rng(90).integers(30, 240, (12, 4, 3))
    ring = np.minimum((np.hypot(column, row) * 7).astype(int), 3)
    return picture(palette[cell, ring].astype(float))


def sail() -> Picture:
    """The sea with a sail."""
    y, x = pixels(WIDTH, HEIGHT)
    water = mix(
        (120, 180, 200), (16, 60, 96), (y - 0.45) * 1.6 + 0.12 * noise(94, (HEIGHT, WIDTH), 1.0, (1, 6))
    )
    canvas = np.where(
        (y < 0.45)[..., None],
        mix((228, 226, 210), (150, 190, 220), 1 - y * 2 + 0.2 * noise(95, (HEIGHT, WIDTH), 1.6)),
        water,
    )
    sail = (x > 0.4) & (x < 0.40 + (y - 0.12) * 0.5) & (y < 0.5)
    hull = (np.abs(x - 0.46) < 0.13 - (y - 0.52) * 0.6) & (y > 0.52) & (y < 0.57)
    return picture(mix(mix(canvas, (250, 244, 230), sail * 1.0), (110, 40, 30), hull * 1.0))


def poster() -> Picture:
    """A poster with letters."""
    image = Image.new("RGB", (WIDTH, HEIGHT), (28, 40, 66))
    draw = ImageDraw.Draw(image)
    for k in range(14):
        draw.ellipse(
            (40 + 9 * k, 20 + 4 * k, WIDTH - 40 - 9 * k, HEIGHT - 90 - 4 * k),
            outline=(230 - 8 * k, 120 + 8 * k, 60 + 10 * k),
            width=3,
        )
    text(draw, (WIDTH / 2, HEIGHT - 44), "STILL LIFE", 50, (244, 226, 190))
    return np.asarray(image)


def contours() -> Picture:
    """Level lines of a landscape."""
    relief = noise(97, (HEIGHT, WIDTH), 2.8)
    level = np.abs(relief * 3 % 1 - 0.5) * 2
    return picture(
        mix(mix((226, 232, 208), (108, 150, 96), 0.5 + 0.35 * relief), (80, 54, 40), edge(level - 0.16, 0.2))
    )


ALL = (hills, fields, rings, sail, poster, contours)
