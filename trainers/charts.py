"""Line charts as SVG documents, drawn by Matplotlib and readable on light and on dark pages."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

# Distinguishable for most kinds of colour vision (Okabe and Ito), without those that vanish on some page.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
INK = "#808790"
_STYLE: dict[Any, Any] = {
    # Text stays text, and the same chart is the same bytes.
    "svg.fonttype": "none",
    "svg.hashsalt": "gsplat_core",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titleweight": "bold",
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True)
class Series:
    """One curve; `dots` marks each of its points."""

    label: str
    points: Sequence[tuple[float, float]]
    dots: bool = False


def line_chart(
    title: str,
    series: Sequence[Series],
    *,
    x_label: str = "step",
    y_label: str = "",
    log: bool = False,
    lowest: float | None = None,
) -> str:
    """An SVG document of curves over a linear horizontal axis.

    Points that are not finite (or not positive, with `log`) are left out, and so are curves without points.

    Args:
        log: a logarithmic vertical axis.
        lowest: where the vertical axis begins, if not below the lowest point.
    """
    curves = [(s, [p for p in s.points if _drawable(p, log)]) for s in series]
    curves = [(s, points) for s, points in curves if points]
    with chart(title, x_label, y_label, width=4.8 if len(curves) < 3 else 8.0) as (figure, axes):
        for number, (s, points) in enumerate(curves):
            axes.plot(
                *zip(*points, strict=True),
                "-" if number < len(COLOURS) else "--",
                color=COLOURS[number % len(COLOURS)],
                marker="o" if s.dots or len(points) == 1 else None,
                markersize=4,
                label=s.label,
            )
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))
        if not curves:
            axes.text(0.5, 0.5, "no data", color=INK, transform=axes.transAxes, ha="center")
        elif log:
            axes.set_yscale("log")
            plain_log_ticks(axes.yaxis)
        else:
            axes.set_ylim(bottom=lowest)
        if len(curves) > 2:
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        elif len(curves) == 2:
            axes.legend()
        return to_svg(figure)


@contextmanager
def chart(
    title: str, x_label: str, y_label: str, width: float, height: float = 2.6
) -> Iterator[tuple[Figure, Axes]]:
    """An empty chart of a size in inches, to be drawn and turned into SVG within the `with`."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot(title=title, xlabel=x_label, ylabel=y_label)


def plain_log_ticks(axis: Axis, format: str = "{x:g}", multiples: Sequence[float] = (1, 2, 3, 5, 7)) -> None:
    """Marks these multiples of powers of ten, written out, on a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=multiples))
    axis.set_major_formatter(format)
    axis.set_minor_locator(NullLocator())


def to_svg(figure: Figure) -> str:
    """The figure as an SVG document without background."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


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
