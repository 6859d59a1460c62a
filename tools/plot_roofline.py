"""Draws the roofline of a machine and the stages of a training step under it.

    gsplat-core bench --json > bench.json
    python tools/plot_roofline.py bench.json docs/roofline.svg

Axes are logarithmic: operations per byte of the least memory traffic, and operations per second of one core.
"""

from __future__ import annotations

import json
import math
import sys
from html import escape
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 860, 520
LEFT, RIGHT, TOP, BOTTOM = 70, 24, 64, 56
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #333 } .title { font-weight: 600; font-size: 15px }
.grid { stroke: #e4e4e4 } .roof { fill: none; stroke: #222; stroke-width: 2 }
.other { fill: none; stroke: #999; stroke-width: 1.5; stroke-dasharray: 5 4 }
.small { font-size: 12px; fill: #666 }
.forward { fill: #2a6fbb } .backward { fill: #c2502e } .both { fill: #5a8f3c }
"""
BOTH_PASSES = ("loss and its gradient", "Adam", "activations")


class Axes:
    """Places (operations per byte, operations per second) on the drawing."""

    def __init__(self, xs: tuple[float, float], ys: tuple[float, float]) -> None:
        self.xs, self.ys = xs, ys

    def x(self, value: float) -> float:
        low, high = map(math.log, self.xs)
        return LEFT + (math.log(value) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = map(math.log, self.ys)
        return HEIGHT - BOTTOM - (math.log(value) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)


def draw(facts: dict[str, Any]) -> str:
    """The SVG of what `gsplat-core bench --json` printed."""
    step = facts["step"]
    ceilings = [c for c in facts["ceilings"] if c["threads"] == 1]
    points = {
        name: (stage["flops"] / stage["bytes"], stage["flops"] / stage["seconds"])
        for name, stage in step["stages"].items()
        if stage["flops"]
    }
    peak = max(c["flops_per_second"] for c in ceilings)
    axes = Axes(
        (10 ** math.floor(math.log10(min(x for x, _ in points.values())) - 0.1), 300.0),
        (10 ** math.floor(math.log10(min(y for _, y in points.values())) - 0.1), 2.5 * peak),
    )
    case = step["case"]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"><style>{STYLE}</style>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text class="title" x="{LEFT}" y="24">A training step under the roofline of one core</text>',
        f'<text class="small" x="{LEFT}" y="44">{escape(facts["cpu"])}, {step["isa"]}; '
        f"{case['gaussians']:,} Gaussians, {case['width']}x{case['height']}: "
        f"{step['cpu_seconds'] * 1e3:.0f} ms per step. Areas are shares of the step.</text>",
        *_grid(axes),
    ]
    for c in sorted(ceilings, key=lambda c: c["flops_per_second"]):
        parts += _roof(axes, c, "roof" if c["isa"] == step["isa"] else "other")
    labels: list[tuple[float, float]] = []
    for name, (x, y) in sorted(points.items(), key=lambda item: -item[1][1]):
        parts += _stage(axes, name, x, y, step["stages"][name]["share"], labels)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _grid(axes: Axes) -> list[str]:
    parts = []
    for k in range(math.floor(math.log10(axes.xs[0])), math.ceil(math.log10(axes.xs[1]))):
        x = axes.x(10.0**k)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{10.0**k:g}</text>')
    for k in range(math.ceil(math.log10(axes.ys[0])), math.ceil(math.log10(axes.ys[1]))):
        y = axes.y(10.0**k)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0 ** (k - 9):g}</text>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">'
        "operations per byte</text>"
    )
    parts.append(
        f'<text x="20" y="{middle}" text-anchor="middle" transform="rotate(-90 20 {middle})">Gflop/s</text>'
    )
    return parts


def _roof(axes: Axes, ceiling: dict[str, Any], style: str) -> list[str]:
    """Memory's slope up to the ridge, arithmetic's ceiling beyond."""
    flops, streamed = ceiling["flops_per_second"], ceiling["bytes_per_second"]
    left, ridge, right = axes.ys[0] / streamed, flops / streamed, axes.xs[1]
    left = max(left, axes.xs[0])
    corners = [(left, left * streamed), (ridge, flops), (right, flops)]
    path = " ".join(f"{axes.x(x):.1f},{axes.y(y):.1f}" for x, y in corners)
    label = f"{ceiling['isa']}: {flops / 1e9:.0f} Gflop/s, {streamed / 1e9:.1f} GB/s"
    return [
        f'<polyline class="{style}" points="{path}"/>',
        f'<text class="small" x="{WIDTH - RIGHT - 4}" y="{axes.y(flops) - 6:.1f}" text-anchor="end">'
        f"{escape(label)}</text>",
    ]


def _stage(
    axes: Axes, name: str, x: float, y: float, share: float, labels: list[tuple[float, float]]
) -> list[str]:
    style = "both" if name in BOTH_PASSES else "backward" if name.endswith("backward") else "forward"
    u, v = axes.x(x), axes.y(y)
    # A label is moved down until it is clear of those above it.
    place = v + 4
    for a, b in sorted(labels, key=lambda label: label[1]):
        if abs(a - u) < 210 and abs(b - place) < 15:
            place = b + 15
    labels.append((u, place))
    radius = 4 + 26 * math.sqrt(share)
    return [
        f'<circle class="{style}" cx="{u:.1f}" cy="{v:.1f}" r="{radius:.1f}" fill-opacity="0.75"/>',
        f'<text class="small" x="{u + radius + 5:.1f}" y="{place:.1f}">{escape(name)} {share:.0%}</text>',
    ]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    Path(sys.argv[2]).write_text(draw(json.loads(Path(sys.argv[1]).read_text())), encoding="utf-8")
