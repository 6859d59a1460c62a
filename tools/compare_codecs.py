"""Writes what `gsplat-core compress` measured into docs/compression.md, and the plot beside it.

    python tools/compare_codecs.py RUN [RUN ...] [-o docs/compression.md]

Every RUN is a folder that `compress` (compression.json, all its rounds) or `train --compress` wrote. The text
between the two `measured` comments of the document is replaced.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 360, 60, 46, 16, 150
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b")


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
    ratios = [ratio for points in curves.values() for ratio, _ in points]
    losses = [loss for points in curves.values() for _, loss in points]
    left, right = math.floor(min(ratios) / 10) * 10 or 5, math.ceil(max(ratios) / 10) * 10
    low, high = min(0.0, math.floor(min(losses) * 5) / 5), math.ceil(max(max(losses), 0.4) * 5) / 5

    def place(ratio: float, loss: float) -> tuple[float, float]:
        u = math.log(ratio / left) / math.log(right / left)
        v = (loss - low) / (high - low)
        return LEFT + u * (WIDTH - LEFT - RIGHT), TOP + v * (HEIGHT - TOP - BOTTOM)

    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>']
    for i in range(round((high - low) / 0.2) + 1):
        loss = low + 0.2 * i
        y = place(left, loss)[1]
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{-loss:.1f} dB</text>')
    for ratio in (5, 10, 20, 30, 45, 70, 100, 150, 200, 300):
        if left <= ratio <= right:
            x = place(ratio, low)[0]
            parts.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>')
            parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{ratio}x</text>')
    for number, (name, points) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        placed = [place(*point) for point in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in placed]
        parts.append(
            f'<text x="{WIDTH - RIGHT + 12}" y="{TOP + 16 + 18 * number}" fill="{colour}">{name}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">smaller than the .ply</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12">{"".join(parts)}</svg>\n'
    )


if __name__ == "__main__":
    main()
