"""The vase, the copper teapot, the woven basket and the candlesticks; each stands on z = 0."""

from __future__ import annotations

import numpy as np

from .meshes import (
    Array,
    Parts,
    circle,
    curve,
    lathe,
    merge,
    planar,
    tube,
)


def vase() -> Parts:
    """A baluster vase with an open mouth and an inner wall."""
    outer = curve(
        [
            (0.085, 0),
            (0.088, 0.015),
            (0.12, 0.10),
            (0.165, 0.22),
            (0.165, 0.31),
            (0.11, 0.40),
            (0.062, 0.45),
            (0.058, 0.50),
            (0.085, 0.55),
        ],
        90,
    )
    inner = curve(
        [(0.085, 0.55), (0.08, 0.552), (0.052, 0.50), (0.055, 0.45), (0.10, 0.38), (0.10, 0.30)], 40
    )
    base = np.array([(0.0, 0.002), (0.085, 0.0)])
    return [("porcelain", lathe(np.concatenate([base, outer]), 96)), ("glaze", lathe(inner, 64))]


def teapot() -> Parts:
    """Polished copper: body, lid and knob turned on the lathe, spout and handle as tubes."""
    body = curve(
        [(0.10, 0.012), (0.155, 0.035), (0.19, 0.10), (0.175, 0.17), (0.125, 0.215), (0.085, 0.225)], 60
    )
    foot = [(0.0, 0.0), (0.11, 0.0), (0.11, 0.012)]
    lid = curve([(0.092, 0.225), (0.092, 0.232), (0.065, 0.25), (0.022, 0.262), (0.012, 0.27)], 30)
    knob = curve([(0.012, 0.27), (0.024, 0.283), (0.020, 0.298), (0.0, 0.304)], 20)
    spout = tube(
        curve([(0.15, 0, 0.075), (0.22, 0, 0.10), (0.255, 0, 0.165), (0.305, 0, 0.222)], 40),
        np.linspace(0.042, 0.017, 40),
        20,
    )
    handle = tube(
        curve(
            [(-0.15, 0, 0.18), (-0.235, 0, 0.215), (-0.29, 0, 0.16), (-0.255, 0, 0.085), (-0.17, 0, 0.065)],
            50,
        ),
        0.014,
        14,
    )
    ring = tube(circle(0.187, 0.118), 0.006, 8, closed=True)
    return [
        ("copper", merge([lathe(np.concatenate([foot, body]), 96), lathe(lid, 72), spout])),
        ("brass", merge([lathe(knob, 40), ring])),
        ("ebony", handle),
    ]


def basket() -> Parts:
    """Withies woven over and under the stakes, a twisted rim and an arched handle."""
    stakes, rows, height = 26, 13, 0.155

    def wall(z: Array | float) -> Array:
        return 0.165 + 0.065 * np.sqrt(np.clip(np.asarray(z) / height, 0, 1))

    t = np.linspace(0, 2 * np.pi, stakes * 8 + 1)
    weave = []
    for row in range(rows):
        z = 0.012 + row * height / rows
        radius = wall(z) + 0.0085 * np.cos(stakes / 2 * t + np.pi * (row % 2))
        weave.append(
            tube(
                np.stack([radius * np.cos(t), radius * np.sin(t), np.full_like(t, z)], -1),
                0.0066,
                7,
                closed=True,
            )
        )
    rise = np.linspace(0, height + 0.005, 12)
    for angle in 2 * np.pi * np.arange(stakes) / stakes:
        stake = np.stack([wall(rise) * np.cos(angle), wall(rise) * np.sin(angle), rise], -1)
        weave.append(tube(stake, 0.0055, 6))

    t = np.linspace(0, 2 * np.pi, 301)
    arch = np.linspace(0, np.pi, 121)
    for phase in (0, np.pi):  # two strands each for the rim and the handle, turned about each other
        reach = wall(height) + 0.010 * np.cos(30 * t + phase)
        lift = height + 0.004 + 0.010 * np.sin(30 * t + phase)
        rim = np.stack([reach * np.cos(t), reach * np.sin(t), lift], -1)
        weave.append(tube(rim, 0.009, 7, closed=True))
        reach = wall(height) + 0.009 * np.cos(34 * arch + phase)
        side = 0.009 * np.sin(34 * arch + phase)
        handle = np.stack([reach * np.cos(arch), side, height + 0.95 * reach * np.sin(arch)], -1)
        weave.append(tube(handle, 0.009, 7))
    bottom = lathe([(0.0, 0.012), (0.17, 0.012)][::-1], 40)
    return [("straw", merge(weave)), ("straw", planar(bottom, 0.4))]


def candlestick(height: float, candle: float, wax: str) -> Parts:
    """Turned brass with a twisted candle."""
    h = height
    profile = curve(
        [
            (0.085, 0.0),
            (0.088, 0.012),
            (0.06, 0.025),
            (0.022, 0.045),
            (0.018, 0.10 * h / 0.3),
            (0.034, 0.15 * h / 0.3),
            (0.016, 0.19 * h / 0.3),
            (0.024, 0.23 * h / 0.3),
            (0.014, 0.26 * h / 0.3),
            (0.05, h - 0.012),
            (0.052, h - 0.004),
            (0.032, h),
            (0.0, h),
        ],
        120,
    )
    stick = lathe(np.concatenate([[(0.0, 0.0)], np.maximum(profile, 0)]), 56)
    z = np.linspace(0, candle, 120)
    taper = np.stack([0.027 - 0.008 * z / candle, h + z], -1)
    taper = np.concatenate([taper, [(0.012, h + candle + 0.006), (0.0, h + candle + 0.007)]])
    twist = lathe(taper, 60, lambda angle, z: 1 + 0.16 * np.cos(4 * (angle - 14 * (z - h))))
    wick = tube(
        curve([(0, 0, h + candle), (0, 0, h + candle + 0.015), (0.006, 0, h + candle + 0.028)], 8), 0.0022, 6
    )
    return [("brass", stick), (wax, twist), ("ebony", wick)]
