"""`report.html`: one file that shows how a run went, with all images and charts inside."""

from __future__ import annotations

import base64
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gsplat_core.io.atomic import write_text
from trainers.charts import Series, line_chart, smoothed
from trainers.config import TrainConfig
from trainers.evaluation import Scored
from trainers.history import read_history
from trainers.media import to_uint8
from trainers.page import html_page
from trainers.progress import duration
from trainers.run_folder import RunFolder

MAX_VIEWS = 24
WORST = 3
"""So many views are shown before the curves."""
FAR_BEHIND = 6.0
"""Decibels behind the median view with which a view has failed."""
MOST_NAMED = 8
MAX_SIDE = 960
ERROR_GAIN = 4.0

# Black, purple, red, yellow, white: dark where the rendering is right.
ERROR_COLORS = np.array(
    [(0, 0, 0), (76, 16, 110), (203, 62, 72), (252, 173, 58), (255, 255, 240)], dtype=np.float32
)

STYLE = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")


def write_report(
    run: RunFolder, config: TrainConfig, metrics: dict[str, Any], scored: Sequence[Scored]
) -> None:
    """Writes the report of a run; `scored` are its measured views in any order."""
    history = read_history(run.history)
    name = f"{Path(config.data).name or 'scene'}"
    worst_first = sorted(scored, key=lambda view: view.psnr)
    body = f"""<main>
<header><h1>{escape(name)}</h1><p>{escape(_subtitle(config, metrics))}</p></header>
<section class="cards">{_cards(metrics, len(scored))}</section>
{_troubles(metrics, history, worst_first)}
<section><h2>{escape(metrics["split"].capitalize())} views, worst first</h2>
<p class="hint">Difference: mean absolute error over the channels, times {ERROR_GAIN:g}; black is equal.
Click an image to see it large.</p>{_views(worst_first[:WORST])}</section>
<section><h2>How it went</h2><div class="charts">{_charts(history)}</div></section>
{_better(worst_first[WORST:])}
<section><h2>How it was measured</h2>{_facts(_protocol(config, metrics))}</section>
<section><h2>Settings and machine</h2>
<div class="columns">{_facts(_settings(config))}{_facts(_machine(metrics))}</div></section>
</main><dialog id="large"><img alt=""></dialog>"""
    write_text(run.report, html_page(f"{name} · gsplat-core", STYLE, body, SCRIPT))


SCRIPT = """
const large = document.getElementById('large');
document.querySelectorAll('.views img').forEach(image => image.addEventListener('click', () => {
  large.firstElementChild.src = image.src; large.showModal(); }));
large.addEventListener('click', () => large.close());
"""


def _subtitle(config: TrainConfig, metrics: dict[str, Any]) -> str:
    steps = f"{metrics['steps']:,} steps" if "steps" in metrics else "unfinished"
    return f"preset {config.preset}, {steps}, images at 1/{config.downscale:g} size, on {metrics['device']}"


def _cards(metrics: dict[str, Any], views: int) -> str:
    cards = [
        (f"{metrics['psnr']:.2f} dB", f"PSNR, {views} {metrics['split']} views"),
        (f"{metrics['ssim']:.4f}", f"SSIM, worst view {metrics['worst_ssim']:.4f}"),
        (f"{metrics['cc_psnr']:.2f} dB", "PSNR, colours corrected"),
        (f"{metrics['num_gaussians']:,}", "Gaussians"),
    ]
    if "half_psnr" in metrics:
        cards.insert(3, (f"{metrics['half_psnr']:.2f} dB", "PSNR, right halves, fitted to the left"))
    if "train_seconds" in metrics:
        cards.append((duration(metrics["train_seconds"]), "training time"))
    if "peak_memory_bytes" in metrics:
        cards.append((f"{metrics['peak_memory_bytes'] / 2**30:.2f} GiB", "peak memory"))
    return "".join(f"<div><b>{escape(value)}</b><span>{escape(label)}</span></div>" for value, label in cards)


def _troubles(metrics: dict[str, Any], history: list[dict[str, Any]], worst_first: Sequence[Scored]) -> str:
    """What went wrong, in sentences: views that fail, Gaussians that were dropped, events of the training."""
    sentences = [
        *_failing_views(worst_first),
        *([f"{dropped:,} Gaussians could not be rendered in the end and were left out."]
          if isinstance(dropped := metrics.get("dropped"), int) and dropped else []),
        *(sentence for entry in history if (sentence := _sentence(entry))),
    ]  # fmt: skip
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<section class="troubles"><h2>Look at this first</h2><ul>{items}</ul></section>' if items else ""


def _failing_views(worst_first: Sequence[Scored]) -> list[str]:
    """Views that show nothing of the scene, and those far behind the others."""
    if not worst_first:
        return []
    median = statistics.median(view.psnr for view in worst_first)
    sentences = []
    for view in worst_first:
        if view.empty:
            sentences.append(f"{view.name} shows nothing of the scene: is its pose right?")
        elif view.psnr < median - FAR_BEHIND:
            sentences.append(
                f"{view.name} is {median - view.psnr:.1f} dB behind the median view: its pose may be wrong, "
                "or its exposure another one."
            )
    hidden = len(sentences) - MOST_NAMED
    return [*sentences[:MOST_NAMED], *([f"And so are {hidden} more views."] if hidden > 0 else [])]


def _sentence(event: dict[str, Any]) -> str:
    """What happened; nothing for other lines of the history and for those that this program never writes."""
    kind = event.get("event")
    number = {key: value for key in event if (value := finite(event, key)) is not None}
    if kind == "loss" and {"step", "before", "after"} <= number.keys():
        removed = number["before"] - number["after"]
        return f"Step {number['step']:.0f}: {removed:,.0f} of {number['before']:,.0f} Gaussians were removed."
    if kind == "rollback" and {"step", "failed_step", "lr_factor"} <= number.keys():
        return (
            f"Step {number['failed_step']:.0f}: the loss was not finite; went back to step "
            f"{number['step']:.0f} with {number['lr_factor']:g} times the learning rates."
        )
    if kind == "adam" and {"step", "tried"} <= number.keys():
        why = (
            "the steps of Levenberg-Marquardt on some photographs did harm to the others"
            if number["tried"]
            else "too few pixels or turns over the photographs for Levenberg-Marquardt"
        )
        return f"Step {number['step']:.0f}: {why}; Adam went on from there."
    return ""


def finite(entry: dict[str, Any], key: str) -> float | None:
    """An entry, such as one of the history, that is a finite number, else None."""
    value = entry.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _charts(history: list[dict[str, Any]]) -> str:
    def points(key: str) -> list[tuple[float, float]]:
        pairs = ((finite(entry, "step"), finite(entry, key)) for entry in history)
        return [(step, value) for step, value in pairs if step is not None and value is not None]

    train = points("psnr")
    window = max(len(train) // 20, 5)
    charts = {
        "Training loss": line_chart("Training loss", [Series("L1 + D-SSIM", points("loss"))], log=True),
        "PSNR": line_chart(
            "PSNR, dB",
            [
                Series("training view, smoothed", smoothed(train, window)),
                Series("test views", points("test_psnr"), dots=True),
            ],
        ),
        "Gaussians": line_chart("Gaussians", [Series("number", points("num_gaussians"))]),
    }
    return chart_figures({f"{title} over steps": svg for title, svg in charts.items()})


def chart_figures(charts: Mapping[str, str]) -> str:
    """SVG documents by their descriptions. As pictures: names inside one must not meet those of another."""
    return "".join(
        f'<figure class="chart"><img src="{svg_uri(svg)}" alt="{escape(title)}"></figure>'
        for title, svg in charts.items()
    )


def svg_uri(svg: str) -> str:
    """A data URI of an SVG document."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _views(scored: Sequence[Scored]) -> str:
    rows = []
    for view in scored:
        columns = [
            ("photograph", view.truth),
            ("rendering", view.render),
            ("difference", error_image(view.truth, view.render, view.mask)),
        ]
        images = "".join(
            f'<figure><img src="{data_uri(image)}" alt="{escape(label)} of {escape(view.name)}">'
            f"<figcaption>{escape(label)}</figcaption></figure>"
            for label, image in columns
        )
        rows.append(
            f"<article><h3>{escape(view.name)} <span>{view.psnr:.2f} dB, SSIM {view.ssim:.4f}, "
            f"colours corrected {view.cc_psnr:.2f} dB</span></h3>"
            f'<div class="triple">{images}</div></article>'
        )
    return f'<div class="views">{"".join(rows)}</div>'


def _better(scored: Sequence[Scored]) -> str:
    """The views that are not among the worst: pictures of some, numbers of the rest."""
    if not scored:
        return ""
    shown, rest = scored[: MAX_VIEWS - WORST], scored[MAX_VIEWS - WORST :]
    return f"<section><h2>The better views</h2>{_views(shown)}{_rest(rest)}</section>"


def _rest(scored: Sequence[Scored]) -> str:
    if not scored:
        return ""
    rows = "".join(
        f"<tr><td>{escape(view.name)}</td><td>{view.psnr:.2f}</td><td>{view.ssim:.4f}</td>"
        f"<td>{view.cc_psnr:.2f}</td></tr>"
        for view in scored
    )
    titles = "".join(f"<th>{title}</th>" for title in ("view", "PSNR", "SSIM", "colours corrected"))
    return f"<h3>The best</h3><table><tr>{titles}</tr>{rows}</table>"


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    return (
        "<dl>" + "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in facts) + "</dl>"
    )


def _protocol(config: TrainConfig, metrics: dict[str, Any]) -> list[tuple[str, str]]:
    split = (
        f"every {config.test_every}th image in name order, starting with the first, not used in training"
        if metrics["split"] == "test"
        else "no image was held out: measured on the training views"
    )
    return [("views", split), *metrics["protocol"].items()]


def _settings(config: TrainConfig) -> list[tuple[str, str]]:
    values = config.to_json()
    shown = ("data", "steps", "seed", "strategy", "optimizer", "sh_degree", "background")
    facts = [(key.replace("_", " "), str(values[key])) for key in shown]
    return [*facts, ("max gaussians", str(config.max_gaussians or "no limit"))]


def _machine(metrics: dict[str, Any]) -> list[tuple[str, str]]:
    facts = [("device", metrics["device"]), ("machine", metrics["machine"])]
    facts += [("gsplat-core", metrics["version"]), ("PyTorch", metrics["torch"])]
    if "train_cpu_seconds" in metrics:
        facts.append(("processor time", f"{metrics['train_cpu_seconds']:.1f} core-seconds"))
    return facts


def error_image(truth: Tensor, render: Tensor, mask: Tensor | None = None) -> Tensor:
    """[H, W, 3]: the mean absolute error of each pixel, amplified, as a colour from black to white.

    None where a mask [H, W] is False.
    """
    errors = ((truth - render).abs().mean(-1) * ERROR_GAIN).clamp(0, 1)
    error = (errors if mask is None else errors * mask).cpu().numpy()
    position = np.linspace(0, 1, len(ERROR_COLORS))
    channels = [np.interp(error, position, ERROR_COLORS[:, c]) for c in range(3)]
    return torch.from_numpy(np.stack(channels, axis=-1) / 255).float()


def data_uri(image: Tensor) -> str:
    """[H, W, 3] in [0, 1] as a WebP data URI, shrunk to `MAX_SIDE` where it is larger."""
    return webp_uri(Image.fromarray(to_uint8(image)))


def webp_uri(picture: Image.Image) -> str:
    """A WebP data URI of a picture, which is shrunk to `MAX_SIDE` where it is larger."""
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=85)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
