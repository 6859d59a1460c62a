"""The alarm clock and the gears."""

from __future__ import annotations

import numpy as np

from .meshes import (
    Mesh,
    Parts,
    box,
    circle,
    curve,
    extrude,
    lathe,
    merge,
    planar,
    rotation_y,
    sphere,
    tube,
)


def alarm_clock() -> Parts:
    """A drum on two feet with twin bells; the face looks along -y."""
    r, depth = 0.14, 0.09
    drum = [(r - 0.012, -depth / 2), (r, -depth / 2 + 0.010), (r, depth / 2 - 0.010), (r - 0.012, depth / 2)]
    bezel = tube(circle(r - 0.006, depth / 2), 0.009, 10, closed=True)
    face = planar(lathe([(r - 0.008, 0), (0.0, 0)], 72), 2 * (r - 0.008)).moved((0, 0, depth / 2))
    back = lathe([(0, -depth / 2), (r - 0.012, -depth / 2)], 48)
    hands = []
    for angle, length, width in ((-58, 0.075, 0.009), (62, 0.108, 0.006)):  # ten minutes past ten
        blade = box((width, 0.004, length + 0.015)).moved((0, 0, -0.015))
        hands.append(
            Mesh(
                blade.vertices[:, [0, 2, 1]] * [1, 1, -1],
                blade.faces,
                blade.normals[:, [0, 2, 1]] * [1, 1, -1],
                blade.uvs,
            ).moved((0, 0, depth / 2 + 0.010), turn=-angle)
        )
    hub = lathe([(0.011, 0.0), (0.011, 0.012), (0.0, 0.014)], 20).moved((0, 0, depth / 2))
    upright = 90.0
    centre = (0.0, 0.0, r + 0.035)
    parts: Parts = [
        (material, mesh.moved(centre, tilt=upright))
        for material, mesh in (
            ("lacquer", lathe(drum, 72)),
            ("lacquer", back),
            ("brass", bezel),
            ("clock", face),
            ("ebony", merge([*hands, hub])),
        )
    ]
    bell = lathe(curve([(0.062, 0), (0.060, 0.012), (0.042, 0.038), (0.0, 0.052)], 30), 40)
    metal = []
    for side in (-1, 1):
        tip = np.array([side * 0.092, 0, 2 * r + 0.028])
        lean = bell.vertices @ rotation_y(side * 32).T
        metal.append(Mesh(lean, bell.faces, bell.normals @ rotation_y(side * 32).T, bell.uvs).moved(tip))
        metal.append(tube(np.array([[side * 0.06, 0, 2 * r - 0.0], [side * 0.1, 0, 2 * r + 0.06]]), 0.006, 8))
        metal.append(
            tube(np.array([[side * 0.075, 0, 0.07], [side * 0.115, 0, 0.008]]), np.array([0.009, 0.006]), 10)
        )
        metal.append(sphere(0.011, 16).moved((side * 0.116, 0, 0.0115)))
    arch = np.linspace(0, np.pi, 40)
    metal.append(
        tube(np.stack([0.075 * np.cos(arch), 0 * arch, 2 * r + 0.075 + 0.05 * np.sin(arch)], -1), 0.005, 8)
    )
    metal.append(tube(np.array([[0, 0, 2 * r + 0.03], [0, 0, 2 * r + 0.085]]), 0.004, 8))
    metal.append(sphere(0.012, 16).moved((0, 0, 2 * r + 0.086)))
    return [*parts, ("brass", merge(metal))]


def gear(radius: float, teeth: int, thickness: float) -> Mesh:
    """A spur gear with trapezoidal teeth and a bore."""
    steps = np.arange(teeth * 4)
    angle = 2 * np.pi * (steps + np.tile([0.0, 0.25, -0.1, 0.15], teeth) - 0.5) / (teeth * 4)
    reach = radius * np.tile([0.86, 1.0, 1.0, 0.86], teeth)
    # order along the circle: root, tip, tip, root
    return extrude(np.stack([reach * np.cos(angle), reach * np.sin(angle)], -1), thickness, 0.3 * radius)


def gears() -> Parts:
    """Two brass wheels that lie in mesh and a steel one on top."""
    return [
        ("brass", gear(0.085, 18, 0.018)),
        ("steel", gear(0.05, 11, 0.022).moved((0.128, 0.012, 0), turn=9)),
        ("steel", gear(0.045, 12, 0.02).moved((0.0, 0.0, 0.018), turn=4)),
    ]
