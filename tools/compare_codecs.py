"""Measures formats and codecs, and writes the tables and the plot of docs/compression.md.

    python tools/compare_codecs.py RUN [RUN ...] [-o docs/compression.md]

A RUN is a folder that `train` wrote: its scene is saved in every format, read back and rendered; or that
`compress` wrote (compression.json has all its rounds); or `train --compress`, which is compared with the RUN
of the same photographs without it. The text between the two `measured` comments of the document is replaced.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import gsplat_core.io
from gsplat_core.compress.registry import CODECS
from gsplat_core.io import gsz
from gsplat_core.io.source import read_whole
from gsplat_core.scene.gaussians import Gaussians
from trainers.charts import COLOURS, chart, plain_log_ticks, to_svg
from trainers.evaluation import evaluate, mean
from trainers.results import test_background
from trainers.run_folder import RunFolder
from trainers.sources import load_photographs, run_config

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
# Name in the table, name of the file, and what writes it, as it is: no codec has trained the scene.
Writer = Callable[[Path, Gaussians], object]
FORMATS: dict[str, tuple[str, Writer]] = {
    "`.ply`": ("a.ply", gsplat_core.io.save),
    "`.glb`": ("a.glb", gsplat_core.io.save),
    "`.compressed.ply`": ("a.compressed.ply", gsplat_core.io.save),
    "`.spz` version 3": ("a.spz", lambda path, scene: gsplat_core.io.save(path, scene, version=3)),
    "`.spz` version 4": ("a.spz", lambda path, scene: gsplat_core.io.save(path, scene, version=4)),
    "`.sog`": ("a.sog", gsplat_core.io.save),
    "`.gsz` as exported": ("a.gsz", gsz.save),
    **{
        f"`.gsz` {name}": ("a.gsz", lambda path, scene, make=codec.create: gsz.save(path, scene, make(1.0)))
        for name, codec in CODECS.items()
    },
    "`.splat`": ("a.splat", gsplat_core.io.save),
}
# A scene of photographs, a codec, its points (times smaller, loss in dB).
Curve = tuple[str, str, list[tuple[float, float]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/compression.md"))
    options = parser.parse_args()
    plain, searches, trained = {}, [], []
    for run in options.runs:
        config = json.loads((run / "config.json").read_text())
        scene = Path(config["data"]).name
        if (run / "compression.json").exists():
            searches.append((scene, json.loads((run / "compression.json").read_text())))
        elif config["compression"] is None:
            plain[scene] = run
        else:
            trained.append((scene, run))
    lines, curves = [BEGIN, ""], []
    for scene, run in plain.items():
        rows, points = format_table(scene, run)
        lines += [*rows, ""]
        curves.append((scene, "formats", points))
    if searches:
        lines += [*search_table(searches), ""]
        curves += [
            (scene, f"compress, {outcome['codec']}", points_of(outcome)) for scene, outcome in searches
        ]
    if trained:
        rows, points_by_run = training_table(trained, plain)
        lines += [*rows, ""]
        curves += points_by_run
    plot = options.output.with_suffix(".svg")
    plot.write_text(rate_distortion_plot(curves))
    lines[2:2] = [f"![Loss against size]({plot.name})", ""]
    text = options.output.read_text()
    before, rest = text.split(BEGIN)
    options.output.write_text(before + "\n".join(lines) + END + rest.split(END)[1])


def format_table(scene: str, run: Path) -> tuple[list[str], list[tuple[float, float]]]:
    """One line for each format: the scene of a run saved, loaded and rendered from the test views."""
    config = run_config(run)
    views = load_photographs(config).test
    gaussians = gsplat_core.io.load(RunFolder(run).point_cloud)
    lines = [
        f"| {scene}, {gaussians.num:,} Gaussians | bytes | bytes per Gaussian | times smaller | PSNR | "
        "SSIM | loss | encode, decode |",
        "|---|---|---|---|---|---|---|---|",
    ]
    points, ply, reference = [], 0, 0.0
    for label, (name, write) in FORMATS.items():
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a format has no place for shows in the loss
            path = Path(folder) / name
            start = time.process_time()
            write(path, gaussians)
            saved = time.process_time()
            shown = gsplat_core.io.load(path)
            loaded = time.process_time()
            size = len(read_whole(path))
        scored = list(evaluate(shown, views, test_background(config)))
        quality, similarity = mean(view.psnr for view in scored), mean(view.ssim for view in scored)
        ply, reference = ply or size, reference or quality
        lines.append(
            f"| {label} | {size:,} | {size / gaussians.num:.1f} | {ply / size:.1f} | {quality:.2f} | "
            f"{similarity:.4f} | {round(reference - quality, 2) + 0.0:.2f} dB | {saved - start:.2f}, "
            f"{loaded - saved:.2f} s |"
        )
        if size < ply:
            points.append((ply / size, reference - quality))
    return lines, sorted(points)


def points_of(outcome: dict[str, Any]) -> list[tuple[float, float]]:
    """Times smaller and loss of each round of a search."""
    return sorted(
        (outcome["source_ply_bytes"] / entry["size"], entry["loss_db"]) for entry in outcome["tried"]
    )


def search_table(searches: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """One line for each scene as it was and for each round."""
    lines = [
        "| scene | codec | Gaussians | bytes | bytes per Gaussian | times smaller | PSNR | SSIM | loss |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    shown = set()
    for scene, outcome in searches:
        ply = outcome["source_ply_bytes"]
        if scene not in shown:
            shown.add(scene)
            first = outcome["tried"][0]
            count = round(first["num_gaussians"] / first["kept"])
            lines.append(
                f"| {scene} | INRIA .ply | {count:,} | {ply:,} | {ply / count:.0f} | 1 | "
                f"{outcome['source_psnr']:.2f} | {outcome['source_ssim']:.4f} | |"
            )
        for entry in outcome["tried"]:
            name = f"**{outcome['codec']}**" if entry == outcome["chosen"] else outcome["codec"]
            lines.append(
                f"| {scene} | {name} | {entry['num_gaussians']:,} | {entry['size']:,} | "
                f"{entry['size'] / entry['num_gaussians']:.1f} | {ply / entry['size']:.1f} | "
                f"{entry['psnr']:.2f} | {entry['ssim']:.4f} | {entry['loss_db']:.2f} dB |"
            )
    return lines


def training_table(trained: list[tuple[str, Path]], plain: dict[str, Path]) -> tuple[list[str], list[Curve]]:
    """One line for each run that was trained for a codec, against the one that was not."""
    lines = [
        "| scene | trained for | steps | Gaussians | bytes | bytes per Gaussian | times smaller | PSNR | "
        "SSIM | loss |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    curves: list[Curve] = []
    for scene, run in trained:
        codec = json.loads((run / "config.json").read_text())["compression"]["codec"]
        metrics = json.loads((run / "metrics.json").read_text())
        before = json.loads((plain[scene] / "metrics.json").read_text())
        size, count = RunFolder(run).compressed.stat().st_size, metrics["num_gaussians"]
        ratio = RunFolder(plain[scene]).point_cloud.stat().st_size / size
        loss = before["psnr"] - metrics["psnr"]
        lines.append(
            f"| {scene} | {codec} | {metrics['steps']:,} | {count:,} | {size:,} | {size / count:.1f} | "
            f"{ratio:.1f} | {metrics['psnr']:.2f} | {metrics['ssim']:.4f} | {loss:.2f} dB |"
        )
        curves.append((scene, f"trained for {codec}", [(ratio, loss)]))
    return lines, curves


def rate_distortion_plot(curves: list[Curve]) -> str:
    """SVG: loss in dB against how many times smaller. Colours tell codecs, squares and dashes scenes."""
    scenes = list(dict.fromkeys(scene for scene, _, _ in curves))
    colours = dict(zip(dict.fromkeys(kind for _, kind, _ in curves), cycle(COLOURS), strict=False))
    with chart("Loss against size", "times smaller than the .ply", "dB", width=7.0, height=3.6) as (
        figure,
        axes,
    ):
        for scene, kind, points in curves:
            ratios, losses = zip(*points, strict=True)
            marker = "s" if scenes.index(scene) else "o"
            dashes = "" if kind == "formats" else "--" if scenes.index(scene) else "-"
            axes.plot(
                ratios, [-loss for loss in losses], f"{marker}{dashes}", color=colours[kind], markersize=4,
                label=f"{scene}, {kind}",
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_ylim(bottom=-1.0)  # .splat, which has no view-dependent colour, is far below
        plain_log_ticks(axes.xaxis, "{x:g}x", (1, 2, 5))
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return to_svg(figure)


if __name__ == "__main__":
    main()
