"""A line chart as an SVG file that stands for itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 900, 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 200, 40, 45
# Distinguishable for most kinds of colour vision (Okabe and Ito), then again with dashes.
_COLOURS = ["#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]


@dataclass(frozen=True)
class Curve:
    label: str
    points: Sequence[tuple[float, float]]


def plot(title: str, curves: Sequence[Curve], x_label: str = "core-seconds", y_label: str = "dB") -> str:
    """An SVG document. The vertical axis shows the upper part of what the curves reach, where they differ."""
    ends = [curve.points[-1][1] for curve in curves]
    low, high = math.floor(min(ends) - 4), math.ceil(max(y for curve in curves for _, y in curve.points))
    longest = max(curve.points[-1][0] for curve in curves)

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + x / longest * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - (max(y, low) - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM),
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="22" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    for value in range(low, high + 1):
        x, y = place(0, value)
        parts.append(f'<path d="M{x:.1f} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{value}</text>')
    step = 10 ** math.floor(math.log10(longest / 2))
    step = next(m * step for m in (1, 2, 5, 10) if longest / (m * step) <= 8)
    for i in range(math.floor(longest / step) + 1):
        x, y = place(i * step, low)
        parts.append(f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{i * step:g}</text>')
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2:.0f}" y="{_HEIGHT - 8}" text-anchor="middle">'
        f'{escape(x_label)}</text><text x="{_LEFT - 45}" y="{_TOP - 4}">{escape(y_label)}</text>'
    )
    for number, curve in enumerate(curves):
        colour = _COLOURS[number % len(_COLOURS)]
        dashes = ' stroke-dasharray="6 4"' if number >= len(_COLOURS) else ""
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in curve.points))
        style = f'fill="none" stroke="{colour}" stroke-width="2"{dashes}'
        parts.append(f'<polyline points="{line}" {style}/>')
        y = _TOP + 10 + 20 * number
        parts.append(f'<path d="M{_WIDTH - _RIGHT + 14} {y}h26" {style}/>')
        parts.append(f'<text x="{_WIDTH - _RIGHT + 46}" y="{y + 4}">{escape(curve.label)}</text>')
    return "\n".join([*parts, "</svg>\n"])
