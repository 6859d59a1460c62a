"""`report.html` of a reconstruction: slices and projections beside the truth, measurements, and how it
went."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gsplat_core.tomography.scan import Scan
from trainers.charts import Series, line_chart
from trainers.page import html_page
from trainers.progress import duration
from trainers.report import SCRIPT, STYLE, chart_figures, webp_uri

if TYPE_CHECKING:
    from trainers.ct.results import Outcome

SHOWN_PROJECTIONS = 3
SHOWN_SIDE = 320
"""Pixels of a picture's longer side, at least: voxels are shown as squares."""
ERROR_GAIN = 4.0
AXES = ("x", "y", "z")

_CARDS = {
    "psnr_3d": ("{:.2f} dB", "PSNR of the volume"),
    "ssim_3d": ("{:.4f}", "SSIM of its slices"),
    "fdk_psnr_3d": ("{:.2f} dB", "PSNR of backprojection"),
    "psnr_2d": ("{:.2f} dB", "PSNR of test projections"),
    "ssim_2d": ("{:.4f}", "SSIM of test projections"),
    "psnr_2d_minmax": ("{:.2f} dB", "PSNR, each from 0 to 1"),
    "num_gaussians": ("{:,}", "Gaussians"),
}


def ct_report(scan: Scan, settings: dict[str, Any], outcome: Outcome) -> str:
    """The page, which loads nothing from elsewhere."""
    metrics, title = outcome.metrics, str(settings["data"])
    scanner = scan.scanner
    subtitle = (
        f"{metrics['method']}, {scanner.beam} beam, {metrics['train_views']} projections of "
        f"{scanner.width} x {scanner.height}, {metrics['steps']:,} steps, on {metrics['device']}"
    )
    facts = {**settings, "training time": duration(metrics["train_seconds"]), "unit": scanner.unit}
    body = f"""<main>
<header><h1>{escape(title)}</h1><p>{escape(subtitle)}</p></header>
<section class="cards">{_cards(metrics)}</section>
{_slices(scan, outcome)}
{_projections(scan, outcome)}
<section><h2>How it went</h2><div class="charts">{_charts(outcome.history)}</div></section>
<section><h2>Settings</h2><dl>{_facts(facts)}</dl></section>
</main><dialog id="large"><img alt=""></dialog>"""
    return html_page(f"{title} · gsplat-core", STYLE, body, SCRIPT)


def _cards(metrics: dict[str, Any]) -> str:
    shown = [(form.format(metrics[key]), label) for key, (form, label) in _CARDS.items() if key in metrics]
    return "".join(f"<div><b>{escape(value)}</b><span>{escape(label)}</span></div>" for value, label in shown)


def _slices(scan: Scan, outcome: Outcome) -> str:
    if outcome.volume is None:
        return ""
    volumes = {"reconstruction": outcome.volume}
    if outcome.backprojected is not None:
        volumes["filtered backprojection"] = outcome.backprojected
    if scan.truth is not None:
        volumes = {"truth": scan.truth, **volumes}
    peak = float((outcome.volume if scan.truth is None else scan.truth).max())
    rows = []
    for axis, name in enumerate(AXES):
        middle = outcome.volume.shape[axis] // 2
        images = {label: slice_of(volume, axis, middle) / peak for label, volume in volumes.items()}
        rows.append(_row(f"slice {name} = {middle}", images))
    return f'<section><h2>Slices</h2><div class="views">{"".join(rows)}</div></section>'


def slice_of(volume: Tensor, axis: int, number: int) -> Tensor:
    """[H, W] of a volume [nx, ny, nz]: the later of the two other axes goes up, the earlier to the right."""
    return volume.cpu().select(axis, number).T.flip(0)


def _projections(scan: Scan, outcome: Outcome) -> str:
    truth = scan.test.integrals
    if not len(truth):
        return ""
    peak = float(truth.max())
    rows = []
    for number in np.linspace(0, len(truth) - 1, min(SHOWN_PROJECTIONS, len(truth))).round().astype(int):
        measured, predicted = truth[number] / peak, outcome.projections[number].cpu() / peak
        difference = (measured - predicted).abs() * ERROR_GAIN
        images = {
            "measured": measured,
            "predicted": predicted,
            f"difference, times {ERROR_GAIN:g}": difference,
        }
        rows.append(_row(f"test projection {scan.test.names[number]}", images))
    return f'<section><h2>Test projections</h2><div class="views">{"".join(rows)}</div></section>'


def _row(title: str, images: dict[str, Tensor]) -> str:
    figures = "".join(
        f'<figure><img src="{webp_uri(picture(image))}" alt="{escape(label)} of {escape(title)}">'
        f"<figcaption>{escape(label)}</figcaption></figure>"
        for label, image in images.items()
    )
    return f'<article><h3>{escape(title)}</h3><div class="triple">{figures}</div></article>'


def picture(image: Tensor) -> Image.Image:
    """Of values [H, W] in [0, 1]."""
    levels = (image.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    larger = max(SHOWN_SIDE // max(image.shape), 1)
    return Image.fromarray(levels).resize(
        (image.shape[1] * larger, image.shape[0] * larger), Image.Resampling.NEAREST
    )


def _charts(history: Sequence[dict[str, float]]) -> str:
    def points(key: str) -> list[tuple[float, float]]:
        return [(entry["step"], entry[key]) for entry in history]

    charts = {
        "Loss": line_chart("Loss", [Series("training projections", points("loss"))], log=True),
        "Gaussians": line_chart("Gaussians", [Series("number", points("num_gaussians"))]),
    }
    return chart_figures({f"{title} over steps": svg for title, svg in charts.items()})


def _facts(facts: dict[str, Any]) -> str:
    return "".join(f"<dt>{escape(key)}</dt><dd>{escape(str(value))}</dd>" for key, value in facts.items())
