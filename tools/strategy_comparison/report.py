"""The table and the plot of all runs in a folder."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gsplat_core.io.atomic import write_text
from trainers.charts import Series, line_chart

Result = dict[str, Any]
_REFERENCE = "adc"


def read_results(folder: Path) -> list[Result]:
    """The results of all runs, in the order of their files' names."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*/*_seed*.json"))]


def write_report(folder: Path, entries: Sequence[str]) -> str:
    """Writes `table.md` and a plot per scene, and returns the table."""
    results = read_results(folder)
    scenes = sorted({result["scene"] for result in results})
    sections = []
    for scene in scenes:
        chosen = {
            entry: [r for r in results if r["scene"] == scene and r["entry"] == entry] for entry in entries
        }
        chosen = {entry: runs for entry, runs in chosen.items() if runs}
        sections.append(f"### {scene}\n\n{_table(chosen)}")
        write_text(folder / f"{scene}.svg", _plot(scene, chosen))
    text = "\n\n".join([_overview(results, scenes, entries), *sections]) + "\n"
    write_text(folder / "table.md", text)
    return text


def _overview(results: Sequence[Result], scenes: Sequence[str], entries: Sequence[str]) -> str:
    """PSNR / SSIM of each entry on each scene, means over the seeds, and the mean over the scenes."""
    lines = [f"| | {' | '.join(scenes)} | mean |", "|---" * (len(scenes) + 2) + "|"]
    for entry in entries:
        means = []
        for scene in scenes:
            ends = [r["curve"][-1] for r in results if r["scene"] == scene and r["entry"] == entry]
            if ends:
                means.append([statistics.fmean(end[column] for end in ends) for column in (1, 2)])
        if len(means) == len(scenes):
            means.append([statistics.fmean(column) for column in zip(*means, strict=True)])
            lines.append(f"| {entry} | {' | '.join(f'{psnr:.2f} / {ssim:.3f}' for psnr, ssim in means)} |")
    return "\n".join(lines)


def _plot(scene: str, chosen: dict[str, list[Result]]) -> str:
    """The upper part of what the curves reach, where they differ."""
    curves = [Series(entry, _mean_curve(runs)) for entry, runs in chosen.items()]
    lowest = min(curve.points[-1][1] for curve in curves) - 4
    title = f"{scene}: PSNR of the test views, dB"
    return line_chart(title, curves, x_label="core-seconds", lowest=lowest)


def _table(chosen: dict[str, list[Result]]) -> str:
    reference = chosen.get(_REFERENCE)
    goal = statistics.fmean(run["curve"][-1][1] for run in reference) if reference else None
    lines = [
        "| | seeds | PSNR | SSIM | worst view's | Gaussians | steps | core-seconds | until ADC's PSNR |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for entry, runs in chosen.items():
        lines.append(
            f"| {entry} | {len(runs)} "
            f"| {_spread(runs, lambda run: run['curve'][-1][1], '.2f')} "
            f"| {_spread(runs, lambda run: run['curve'][-1][2], '.3f')} "
            f"| {_spread(runs, lambda run: run['curve'][-1][4], '.3f')} "
            f"| {_spread(runs, lambda run: run['curve'][-1][3], ',.0f')} "
            f"| {runs[0]['steps']:,} "
            f"| {_spread(runs, lambda run: run['seconds'], '.0f')} "
            f"| {_time_to(runs, goal)} |"
        )
    return "\n".join(lines)


def _spread(runs: Sequence[Result], value: Callable[[Result], float], spec: str) -> str:
    """Mean and, of several runs, the standard deviation."""
    values = [value(run) for run in runs]
    mean = format(statistics.fmean(values), spec)
    if len(values) == 1 or format(statistics.stdev(values), spec) == format(0.0, spec):
        return mean
    return f"{mean} ± {format(statistics.stdev(values), spec)}"


def _time_to(runs: Sequence[Result], goal: float | None) -> str:
    """Mean core-seconds until the test PSNR first reached a goal."""
    if goal is None:
        return ""
    times = [reached(run["curve"], goal) for run in runs]
    if any(time is None for time in times):
        return f"not reached by {sum(time is None for time in times)} of {len(times)}"
    return f"{statistics.fmean(time for time in times if time is not None):.0f}"


def reached(curve: Sequence[Sequence[float]], goal: float) -> float | None:
    """Seconds at which the PSNR of a curve first reaches a goal, interpolated between measurements."""
    before = (0.0, -1.0)
    for seconds, psnr, *_ in curve:
        if psnr >= goal:
            if before[1] < 0:
                return seconds
            return before[0] + (seconds - before[0]) * (goal - before[1]) / (psnr - before[1])
        before = (seconds, psnr)
    return None


def _mean_curve(runs: Sequence[Result]) -> list[tuple[float, float]]:
    """Point by point; runs of one entry have the same number of steps and measurements."""
    shortest = min(len(run["curve"]) for run in runs)
    return [
        (
            statistics.fmean(run["curve"][i][0] for run in runs),
            statistics.fmean(run["curve"][i][1] for run in runs),
        )
        for i in range(shortest)
    ]
