"""Writes what `gsplat-core compress` measured into docs/compression.md, and the plot beside it.

    python tools/compare_codecs.py RUN [RUN ...] [-o docs/compression.md]

Every RUN is a folder that `compress` (compression.json, all its rounds) or `train --compress` wrote. The text
between the two `measured` comments of the document is replaced.
"""

from __future__ import annotations

import argparse
import json
from itertools import cycle
from pathlib import Path
from typing import Any

from trainers.charts import COLOURS, chart, plain_log_ticks, to_svg

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/compression.md"))
    options = parser.parse_args()
    searches, trained = [], []
    for run in options.runs:
        config = json.loads((run / "config.json").read_text())
        scene = Path(config["data"]).name
        if (run / "compression.json").exists():
            searches.append((scene, json.loads((run / "compression.json").read_text())))
        else:
            trained.append((scene, run, config, json.loads((run / "metrics.json").read_text())))
    lines = [BEGIN, ""]
    if searches:
        plot = options.output.with_suffix(".svg")
        plot.write_text(rate_distortion_plot(searches))
        lines += [f"![Loss against size]({plot.name})", "", *search_table(searches), ""]
    if trained:
        lines += [*training_table(trained), ""]
    text = options.output.read_text()
    before, rest = text.split(BEGIN)
    options.output.write_text(before + "\n".join(lines) + END + rest.split(END)[1])


def search_table(searches: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """One line for each scene as it was and for each round."""
    lines = [
        "| scene | codec | Gaussians | bytes | bytes per Gaussian | times smaller | PSNR | SSIM | loss | "
        "encode, decode |",
        "|---|---|---|---|---|---|---|---|---|---|",
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
                f"{outcome['source_psnr']:.2f} | {outcome['source_ssim']:.4f} | | |"
            )
        for entry in outcome["tried"]:
            name = f"**{outcome['codec']}**" if entry == outcome["chosen"] else outcome["codec"]
            lines.append(
                f"| {scene} | {name} | {entry['num_gaussians']:,} | {entry['size']:,} | "
                f"{entry['size'] / entry['num_gaussians']:.1f} | {ply / entry['size']:.1f} | "
                f"{entry['psnr']:.2f} | {entry['ssim']:.4f} | {entry['loss_db']:.2f} dB | "
                f"{entry['encode_seconds']:.1f}, {entry['decode_seconds']:.1f} s |"
            )
    return lines


def training_table(trained: list[tuple[str, Path, dict[str, Any], dict[str, Any]]]) -> list[str]:
    """One line for each run that was trained for a codec."""
    lines = [
        "| scene | trained for | steps | Gaussians | bytes | bytes per Gaussian | PSNR | SSIM |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for scene, run, config, metrics in trained:
        size, count = (run / "point_cloud.gsz").stat().st_size, metrics["num_gaussians"]
        lines.append(
            f"| {scene} | {config['compression']['codec']} | {metrics['steps']:,} | {count:,} | {size:,} | "
            f"{size / count:.1f} | {metrics['psnr']:.2f} | {metrics['ssim']:.4f} |"
        )
    return lines


def rate_distortion_plot(searches: list[tuple[str, dict[str, Any]]]) -> str:
    """SVG: how many times smaller (logarithmic) against the loss in dB; one curve per scene and codec."""
    curves = {
        f"{scene}, {outcome['codec']}": sorted(
            (outcome["source_ply_bytes"] / entry["size"], entry["loss_db"]) for entry in outcome["tried"]
        )
        for scene, outcome in searches
    }
    with chart("Loss against size", "times smaller than the .ply", "dB", width=7.0, height=3.6) as (
        figure,
        axes,
    ):
        for (name, points), colour in zip(curves.items(), cycle(COLOURS), strict=False):
            ratios, losses = zip(*points, strict=True)
            axes.plot(ratios, [-loss for loss in losses], "o-", color=colour, markersize=4, label=name)
        axes.set_xscale("log")
        plain_log_ticks(axes.xaxis, "{x:g}x")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return to_svg(figure)


if __name__ == "__main__":
    main()
