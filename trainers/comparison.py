"""Runs beside each other in one HTML file: what they differ in, their curves, and the same views of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gsplat_core.errors import DataError
from gsplat_core.io.atomic import write_text
from trainers.charts import Series, line_chart
from trainers.config import TrainConfig, read_config
from trainers.history import read_history
from trainers.media import png_names
from trainers.page import html_page
from trainers.progress import duration
from trainers.report import SCRIPT, STYLE, chart_figures, finite, webp_uri
from trainers.run_folder import RunFolder

MAX_VIEWS = 12
UNTOLD = {"device", "preset"}
"""Entries of config.json that say nothing about what a run makes, or that the table has anyway."""


@dataclass(frozen=True)
class Compared:
    """A run as the page shows it."""

    name: str
    run: RunFolder
    config: TrainConfig
    metrics: dict[str, Any]
    history: list[dict[str, Any]]

    @classmethod
    def of(cls, path: Path, name: str) -> Compared:
        """
        Raises:
            DataError: the folder is no run, or its files cannot be read.
        """
        run = RunFolder(path)
        if not run.exists:
            raise DataError(
                path, "this folder is not a run: it has no config.json", remedy="Name run folders."
            )
        return cls(name, run, read_config(run.config), run.read_metrics(), read_history(run.history))

    def curve(self, key: str) -> list[tuple[float, float]]:
        """A number of the history over the steps."""
        pairs = ((finite(entry, "step"), finite(entry, key)) for entry in self.history)
        return [(step, value) for step, value in pairs if step is not None and value is not None]

    def over_time(self, key: str) -> list[tuple[float, float]]:
        """The same over the seconds of training."""
        clock = [(0.0, 0.0), *self.curve("seconds")]
        steps, seconds = zip(*clock, strict=True)
        return [(float(np.interp(step, steps, seconds)), value) for step, value in self.curve(key)]

    @property
    def scores(self) -> dict[str, float]:
        """The PSNR of each measured view by its name."""
        entries = self.metrics.get("per_image")
        return {
            str(entry.get("name")): psnr
            for entry in (entries if isinstance(entries, list) else [])
            if isinstance(entry, dict) and (psnr := finite(entry, "psnr")) is not None
        }


def names_of(paths: Sequence[Path]) -> list[str]:
    """What the runs are called: by the ends of their paths, as long as it takes to tell them apart."""
    whole = [path.resolve().parts for path in paths]
    for length in range(1, max(map(len, whole)) + 1):
        names = ["/".join(parts[-length:]) for parts in whole]
        if len(set(names)) == len(names):
            return names
    return [f"{'/'.join(parts[-1:])} ({i + 1})" for i, parts in enumerate(whole)]


def write_comparison(path: Path, runs: Sequence[Compared]) -> None:
    """Writes the page.

    Raises:
        ResourceError: it cannot be written.
    """
    body = f"""<main>
<header><h1>{len(runs)} runs</h1><p>{escape(", ".join(run.name for run in runs))}</p></header>
<section><h2>Results</h2>{_table(runs)}</section>
<section><h2>Curves</h2><div class="charts">{_charts(runs)}</div></section>
<section><h2>What they differ in</h2><p class="hint">Of the settings that all of them have.</p>
{_differences(runs)}</section>
<section><h2>Views</h2><p class="hint">Those first whose PSNR differs most between the runs.
Click an image to see it large.</p>{_views(runs)}</section>
</main><dialog id="large"><img alt=""></dialog>"""
    write_text(path, html_page("Comparison · gsplat-core", STYLE, body, SCRIPT))


def _row(cells: Sequence[str], tag: str = "td") -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _table(runs: Sequence[Compared]) -> str:
    titles = ("run", "PSNR", "SSIM", "worst SSIM", "Gaussians", "steps", "training", "views", "preset")
    rows = []
    for run in runs:
        m = run.metrics
        seconds, split = finite(m, "train_seconds"), m.get("split")
        rows.append(
            _row(
                [
                    run.name,
                    _shown(m, "psnr", "{:.2f} dB"),
                    _shown(m, "ssim", "{:.4f}"),
                    _shown(m, "worst_ssim", "{:.4f}"),
                    _shown(m, "num_gaussians", "{:,.0f}"),
                    _shown(m, "steps", "{:,.0f}") if m else "unfinished",
                    "" if seconds is None else duration(seconds),
                    f"{len(run.scores)} {split}" if split in ("test", "train") else "",
                    run.config.preset,
                ]
            )
        )
    return f"<table>{_row(titles, 'th')}{''.join(rows)}</table>"


def _shown(entry: dict[str, Any], key: str, form: str) -> str:
    value = finite(entry, key)
    return "" if value is None else form.format(value)


def _differences(runs: Sequence[Compared]) -> str:
    flat = [_flat(run.config.to_json()) for run in runs]
    keys = sorted(set.intersection(*(set(entries) for entries in flat)) - UNTOLD)
    rows = []
    for key in keys:
        values = [str(entries[key]) for entries in flat]
        if len(set(values)) > 1:
            rows.append(_row([key, *values]))
    if not rows:
        return '<p class="hint">Nothing in their settings.</p>'
    return f"<table>{_row(['', *(run.name for run in runs)], 'th')}{''.join(rows)}</table>"


def _flat(entries: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Entries within entries by their paths, such as learning_rates.means."""
    result: dict[str, Any] = {}
    for key, value in entries.items():
        result |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return result


def _charts(runs: Sequence[Compared]) -> str:
    def series(curve: str, over_time: bool = False, dots: bool = False) -> list[Series]:
        return [
            Series(run.name, run.over_time(curve) if over_time else run.curve(curve), dots) for run in runs
        ]

    charts = {
        "PSNR of test views over steps": line_chart("PSNR of test views, dB", series("test_psnr", dots=True)),
        "PSNR of test views over time": line_chart(
            "PSNR of test views, dB",
            series("test_psnr", over_time=True, dots=True),
            x_label="seconds of training",
        ),
        "Training loss over steps": line_chart("Training loss", series("loss"), log=True),
        "Gaussians over steps": line_chart("Gaussians", series("num_gaussians")),
    }
    return chart_figures(charts)


def _views(runs: Sequence[Compared]) -> str:
    scores = [run.scores for run in runs]
    common = [name for name in scores[0] if all(name in other for other in scores)]
    if not common:
        return '<p class="hint">They have no measured view in common.</p>'
    files = [dict(zip(s, png_names(list(s)), strict=True)) for s in scores]

    def spread(name: str) -> float:
        values = [s[name] for s in scores]
        return max(values) - min(values)

    rows = []
    for name in sorted(common, key=spread, reverse=True)[:MAX_VIEWS]:
        figures = "".join(
            f"<figure>{_picture(run.run.test / of_run[name], f'{name} of {run.name}')}"
            f"<figcaption>{escape(run.name)}: {s[name]:.2f} dB</figcaption></figure>"
            for run, of_run, s in zip(runs, files, scores, strict=True)
        )
        rows.append(f'<article><h3>{escape(name)}</h3><div class="triple">{figures}</div></article>')
    return f'<div class="views">{"".join(rows)}</div>'


def _picture(path: Path, description: str) -> str:
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            source = webp_uri(picture.convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError):
        return '<p class="hint">its picture is missing</p>'
    return f'<img src="{source}" alt="{escape(description)}">'
