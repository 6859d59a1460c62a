"""Line charts as inline SVG: no library, no script, colours from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 460, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 30


@dataclass(frozen=True)
class Series:
    """One curve. `style` is a CSS class of the page: its colour; `dots` marks each point."""

    label: str
    points: Sequence[tuple[float, float]]
    style: str = "a"
    dots: bool = False


def line_chart(title: str, series: Sequence[Series], log: bool = False) -> str:
    """An SVG figure with both axes labelled; `log` draws the vertical axis logarithmically.

    Points that are not finite (or not positive, with `log`) are left out.
    """
    curves = [(s, [p for p in s.points if _drawable(p, log)]) for s in series]
    curves = [(s, points) for s, points in curves if points]
    if not curves:
        return f'<figure class="chart"><figcaption>{escape(title)}</figcaption><p>no data</p></figure>'
    xs = [x for _, points in curves for x, _ in points]
    ys = [y for _, points in curves for _, y in points]
    x_ticks = _ticks(0, max(xs), 5)
    y_ticks = _log_ticks(min(ys), max(ys)) if log else _ticks(min(ys), max(ys), 5)
    x_range = (0.0, max(xs))
    y_range = (min(y_ticks[0], min(ys)), max(y_ticks[-1], max(ys)))

    def place(x: float, y: float) -> tuple[float, float]:
        scale = math.log if log else float
        low, high = scale(y_range[0]), scale(y_range[1])
        v = (scale(y) - low) / ((high - low) or 1)
        u = (x - x_range[0]) / ((x_range[1] - x_range[0]) or 1)
        return LEFT + u * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - v * (HEIGHT - TOP - BOTTOM)

    parts = []
    for tick in y_ticks:
        _, y = place(0, tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_short(tick)}</text>')
    for tick in x_ticks:
        x, _ = place(tick, y_ticks[0])
        parts.append(
            f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{_short(tick)}</text>'
        )
    for s, points in curves:
        placed = [place(x, y) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline class="curve {s.style}" points="{path}"/>')
        if s.dots or len(points) == 1:
            parts += [
                f'<circle class="{s.style}" cx="{u:.1f}" cy="{v:.1f}" r="3">'
                f"<title>step {_short(x)}: {y:.5g}</title></circle>"
                for (u, v), (x, y) in zip(placed, points, strict=True)
            ]
    legend = "".join(f'<span class="key {s.style}">{escape(s.label)}</span>' for s, _ in curves)
    drawing = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>'
    return f'<figure class="chart"><figcaption>{escape(title)}{legend}</figcaption>{drawing}</figure>'


def smoothed(points: Sequence[tuple[float, float]], window: int) -> list[tuple[float, float]]:
    """Mean over the `window` points around each point (fewer at the ends, always as many on both sides)."""
    result = []
    for i, (x, _) in enumerate(points):
        reach = min(window // 2, i, len(points) - 1 - i)
        near = [y for _, y in points[i - reach : i + reach + 1]]
        result.append((x, sum(near) / len(near)))
    return result


def _drawable(point: tuple[float, float], log: bool) -> bool:
    x, y = point
    return math.isfinite(x) and math.isfinite(y) and (y > 0 or not log)


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers covering [low, high]: steps of 1, 2 or 5 times a power of ten."""
    if high <= low:
        high = low + (abs(low) * 0.1 or 1.0)
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten from just below `low` to just above `high`."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [m * 10.0**k for k in decades for m in (1, 2, 5)]
    first = max((i for i, t in enumerate(ticks) if t <= low), default=0)
    last = min((i for i, t in enumerate(ticks) if t >= high), default=len(ticks) - 1)
    return ticks[first : last + 1]


def _short(value: float) -> str:
    """`30000` -> `30k`, `1500000` -> `1.5M`, `0.05` -> `0.05`."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{suffix}"
    return f"{value:.4g}"
