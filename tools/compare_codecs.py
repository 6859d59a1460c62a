"""Measures formats and codecs, and writes the tables and the plot of docs/compression.md.

    python tools/compare_codecs.py RUN [RUN ...] [-o docs/compression.md]
    python tools/compare_codecs.py --models RUN [RUN ...] [-o docs/compression.md]

A RUN is a folder that `train` wrote: its scene is saved in every format, read back and rendered; or that
`compress` wrote (compression.json has all its rounds); or `train --compress`, which is compared with the RUN
of the same photographs without it. The text between the two `measured` comments of the document is replaced.
With `--models`, RUNs of other primitives are compared with those of plain Gaussians of the same photographs,
and the text between the `models` comments is replaced. The plot shows what all these tables say.
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

PLOT = "compression.svg"
PARTS = ("measured", "models")
MARKS = ("<!-- {}: begin -->", "<!-- {}: end -->")
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
    parser.add_argument("--models", action="store_true", help="compare models, not codecs")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/compression.md"))
    options = parser.parse_args()
    part = PARTS[int(options.models)]
    lines = (
        models(options.runs)
        if options.models
        else [f"![Loss against size]({PLOT})", "", *codecs(options.runs)]
    )
    begin, end = (mark.format(part) for mark in MARKS)
    before, rest = options.output.read_text().split(begin)
    text = before + "\n".join([begin, "", *lines, end]) + rest.split(end)[1]
    options.output.with_name(PLOT).write_text(rate_distortion_plot(curves_of(text)))
    options.output.write_text(text)


def codecs(runs: list[Path]) -> list[str]:
    """The tables of formats, of searches and of what was trained for a codec."""
    plain, searches, trained = {}, [], []
    for run in runs:
        config = json.loads((run / "config.json").read_text())
        scene = Path(config["data"]).name
        if (run / "compression.json").exists():
            searches.append((scene, json.loads((run / "compression.json").read_text())))
        elif config["compression"] is None:
            plain[scene] = run
        else:
            trained.append((scene, run))
    lines = []
    for scene, run in plain.items():
        lines += [*format_table(scene, run), ""]
    if searches:
        lines += [*search_table(searches), ""]
    if trained:
        lines += [*training_table(trained, plain), ""]
    return lines


def models(runs: list[Path]) -> list[str]:
    """The table of what scenes of other primitives come to, each file read back."""
    plain, others = {}, []
    for run in runs:
        config = json.loads((run / "config.json").read_text())
        scene = Path(config["data"]).name
        if config["primitive"] == "gaussian":
            plain[scene] = run
        else:
            others.append((scene, _model(config), run))
    lines = [
        "| scene | model | file | steps | rows | bytes | times smaller | PSNR | SSIM | loss |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for scene, run in plain.items():
        lines.append(_model_row(scene, "plain", run, RunFolder(run).point_cloud, None))
        for of, model, other in others:
            if of == scene:
                lines += [
                    _model_row(scene, model, other, path, run)
                    for path in (RunFolder(other).point_cloud, RunFolder(other).compressed)
                    if path.exists()
                ]
    return [*lines, ""]


def _model(config: dict[str, Any]) -> str:
    """How a run's scene is told apart: by its primitive, and whether it was trained for that one's codec."""
    return f"{config['primitive']}, coded" if "context" in config["parts"] else str(config["primitive"])


def _model_row(scene: str, model: str, run: Path, path: Path, plain: Path | None) -> str:
    config = run_config(run)
    gaussians = gsplat_core.io.load(path)
    dataset = load_photographs(config)
    # What parts make of a rendering does not count: a file is what is in it.
    scored = list(evaluate(gaussians, dataset.test, test_background(config)))
    quality, similarity = mean(view.psnr for view in scored), mean(view.ssim for view in scored)
    size, steps = path.stat().st_size, json.loads((run / "metrics.json").read_text())["steps"]
    row = f"| {scene} | {model} | `{path.suffix}` | {steps:,} | {gaussians.num:,} | {size:,} | "
    if plain is None:
        return row + f"1 | {quality:.2f} | {similarity:.4f} | |"
    before = json.loads((plain / "metrics.json").read_text())["psnr"]
    ratio = RunFolder(plain).point_cloud.stat().st_size / size
    return row + f"{ratio:.1f} | {quality:.2f} | {similarity:.4f} | {before - quality:.2f} dB |"


def curves_of(text: str) -> list[Curve]:
    """What the document's tables say, as curves."""
    points: dict[tuple[str, str], list[tuple[float, float]]] = {}
    columns: list[str] = []
    title = ""
    for line in _measured(text):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| "):
            columns = columns if line.startswith("|--") else []
        elif not columns:
            columns, title = cells, cells[0].split(",")[0]
        elif "times smaller" in columns and "loss" in columns:
            row = dict(zip(columns, cells, strict=True))
            ratio = float(row["times smaller"])
            if row["loss"] and ratio > 1:
                loss = float(row["loss"].removesuffix(" dB"))
                points.setdefault((row.get("scene", title), _kind(row)), []).append((ratio, loss))
    return [(scene, kind, sorted(found)) for (scene, kind), found in points.items()]


def _measured(text: str) -> list[str]:
    """The lines that this tool has written."""
    lines = []
    for part in PARTS:
        begin, end = (mark.format(part) for mark in MARKS)
        lines += text.split(begin)[1].split(end)[0].splitlines()
    return lines


def _kind(row: dict[str, str]) -> str:
    """What the points of a row's curve have in common."""
    if "model" in row:
        return f"--model {row['model']}"
    if "trained for" in row:
        return f"trained for {row['trained for']}"
    return f"compress, {row['codec'].strip('*')}" if "codec" in row else "formats"


def format_table(scene: str, run: Path) -> list[str]:
    """One line for each format: the scene of a run saved, loaded and rendered from the test views."""
    config = run_config(run)
    views = load_photographs(config).test
    gaussians = gsplat_core.io.load(RunFolder(run).point_cloud)
    lines = [
        f"| {scene}, {gaussians.num:,} Gaussians | bytes | bytes per Gaussian | times smaller | PSNR | "
        "SSIM | loss | encode, decode |",
        "|---|---|---|---|---|---|---|---|",
    ]
    ply, reference = 0, 0.0
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
    return lines


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


def training_table(trained: list[tuple[str, Path]], plain: dict[str, Path]) -> list[str]:
    """One line for each run that was trained for a codec, against the one that was not."""
    lines = [
        "| scene | trained for | steps | Gaussians | bytes | bytes per Gaussian | times smaller | PSNR | "
        "SSIM | loss |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
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
    return lines


def rate_distortion_plot(curves: list[Curve]) -> str:
    """SVG: loss in dB against how many times smaller. Colours tell codecs, squares and dashes scenes;
    models are triangles."""
    scenes = list(dict.fromkeys(scene for scene, _, _ in curves))
    colours = dict(zip(dict.fromkeys(kind for _, kind, _ in curves), cycle(COLOURS), strict=False))
    with chart("Loss against size", "times smaller than the .ply", "dB", width=7.0, height=5.2) as (
        figure,
        axes,
    ):
        for scene, kind, points in curves:
            ratios, losses = zip(*points, strict=True)
            model = kind.startswith("--model")
            marker = ("^v" if model else "os")[min(scenes.index(scene), 1)]
            dashes = "" if model or kind == "formats" else "--" if scenes.index(scene) else "-"
            axes.plot(
                ratios, [-loss for loss in losses], f"{marker}{dashes}", color=colours[kind], markersize=4,
                label=f"{scene}, {kind}",
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_ylim(bottom=-1.3)  # .splat, which has no view-dependent colour, is far below
        plain_log_ticks(axes.xaxis, "{x:g}x", (1, 2, 5))
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return to_svg(figure)


if __name__ == "__main__":
    main()
