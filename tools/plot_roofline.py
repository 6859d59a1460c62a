"""Draws the roofline of a machine and the stages of a training step under it.

    gsplat-core bench --json > bench.json
    python tools/plot_roofline.py bench.json docs/roofline.svg

Axes are logarithmic: operations per byte of the least memory traffic, and operations per second of one core.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from trainers.charts import COLOURS, INK, chart, to_svg

FORWARD, BACKWARD, BOTH = COLOURS[:3]
BOTH_PASSES = ("loss and its gradient", "Adam of the other parameters", "activations")


def draw(facts: dict[str, Any]) -> str:
    """The SVG of what `gsplat-core bench --json` printed. The areas of the dots are shares of the step."""
    step = facts["step"]
    case = step["case"]
    points = {
        name: (stage["flops"] / stage["bytes"], stage["flops"] / stage["seconds"] / 1e9)
        for name, stage in step["stages"].items()
        if stage["flops"]
    }
    ceilings = [ceiling for ceiling in facts["ceilings"] if ceiling["threads"] == 1]
    title = (
        f"A training step of {case['gaussians']:,} Gaussians at {case['width']}x{case['height']} "
        f"under the roofline of one core: {facts['cpu']}"
    )
    with chart(title, "operations per byte", "Gflop/s", width=8.6, height=5.2) as (figure, axes):
        axes.set(xscale="log", yscale="log")
        left, right = 0.8 * min(x for x, _ in points.values()), 300.0
        for ceiling, line in zip(ceilings, (":", "--", "-.") * len(ceilings), strict=False):
            _roof(axes, ceiling, left, right, "-" if ceiling["isa"] == step["isa"] else line)
        labels: list[tuple[float, float]] = []
        peak = max(ceiling["flops_per_second"] for ceiling in ceilings) / 1e9
        apart = 0.03 * math.log10(peak / min(y for _, y in points.values()))
        for name, (x, y) in sorted(points.items(), key=lambda point: -point[1][1]):
            _stage(axes, name, x, y, step["stages"][name]["share"], labels, apart)
        axes.legend(loc="lower right")
        axes.set_xlim(left, right)
        axes.set_ylim(bottom=0.6 * min(y for _, y in points.values()))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
        return to_svg(figure)


def _roof(axes: Axes, ceiling: dict[str, Any], left: float, right: float, line: str) -> None:
    """Memory's slope up to the ridge, arithmetic's ceiling beyond."""
    flops, streamed = ceiling["flops_per_second"] / 1e9, ceiling["bytes_per_second"] / 1e9
    label = f"{ceiling['isa']}: {flops:.0f} Gflop/s, {streamed:.1f} GB/s"
    axes.plot([left, flops / streamed, right], [left * streamed, flops, flops], line, color=INK, label=label)


def _stage(
    axes: Axes,
    name: str,
    x: float,
    y: float,
    share: float,
    labels: list[tuple[float, float]],
    apart: float,
) -> None:
    color = BOTH if name in BOTH_PASSES else BACKWARD if "backward" in name else FORWARD
    radius = 2 + 16 * math.sqrt(share)
    axes.plot(x, y, "o", color=color, markersize=2 * radius, markeredgewidth=0, alpha=0.75)
    # A label is moved down until it is `apart` from those above it; all in decades.
    place = (math.log10(x), math.log10(y))
    for a, b in sorted(labels, key=lambda label: -label[1]):
        if abs(a - place[0]) < 0.7 and abs(b - place[1]) < apart:
            place = (place[0], b - apart)
    labels.append(place)
    axes.annotate(
        f"{name} {share:.0%}",
        (x, 10 ** place[1]),
        (radius + 3, -3),
        textcoords="offset points",
        color=INK,
        fontsize=8,
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    Path(sys.argv[2]).write_text(draw(json.loads(Path(sys.argv[1]).read_text())), encoding="utf-8")
