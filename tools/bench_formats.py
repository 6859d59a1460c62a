"""Times our readers and writers against splat-transform: the same scene, conversions to and from PLY.

Both convert files within their process, so that neither's start-up counts (seconds for PyTorch, tenths for
Node.js); each conversion is made twice in a row and the quicker one counts, since a just-in-time compiler
needs the first. The two programs take turns, and medians are compared. The files are in memory where the
system has a place for that. Needs npm for the other program; without it only our own figures are printed.

    python tools/bench_formats.py [SCENE.ply] [--num 200000] [--rounds 3] [--formats spz sog ...]

A scene is made up where none is given. splat-transform makes the palette of .sog without a GPU here, which
takes it minutes for more than a few thousand Gaussians with view-dependent colour, so that format is timed on
SH degree 0. It reads .splat and .ksplat but does not write them, and writes .glb but does not read it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from interleaved import median_seconds

import gsplat_core.io
from gsplat_core.scene.gaussians import Gaussians

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from ksplat_files import written_ksplat  # noqa: E402 - which this program does not write
from npm_packages import Npm, installed  # noqa: E402 - the tests know how to install it
from splat_files import typical_scene  # noqa: E402


@dataclass(frozen=True)
class Shared:
    """A format that both programs know.

    Args:
        ending: of its files.
        degree: of the scene's spherical harmonics.
        options: of our writer.
        written, read: whether splat-transform does.
        write: what makes the file to be read, where it is not our writer.
    """

    ending: str
    degree: int = 3
    options: dict[str, Any] = field(default_factory=dict)
    written: bool = True
    read: bool = True
    write: Callable[[Path, Gaussians], object] = gsplat_core.io.save


SHARED = {
    "ply": Shared("ply"),
    "compressed.ply": Shared("compressed.ply"),
    "spz 4": Shared("spz", options={"version": 4}),
    "spz 3": Shared("spz", options={"version": 3}),
    "sog": Shared("sog", degree=0),
    "glb": Shared("glb", read=False),
    "splat": Shared("splat", degree=0, written=False),
    "ksplat": Shared(
        "ksplat", written=False, write=lambda path, scene: path.write_bytes(written_ksplat(scene, 0))
    ),
}
# Arguments: source, target, SPZ version. Prints the seconds of two conversions.
THEIRS = """
import fs from 'node:fs';
import path from 'node:path';
import * as st from '@playcanvas/splat-transform';
const [source, target, version] = process.argv.slice(2);
const [from, to] = [path.basename(source), path.basename(target)];
for (let i = 0; i < 2; i++) {
  const start = performance.now();
  const options = {iterations: 10, spzVersion: Number(version)};
  const fileSystem = new st.MemoryReadFileSystem();
  fileSystem.set(from, new Uint8Array(fs.readFileSync(source)));
  const [chunks] = await st.readFile(
    {filename: from, inputFormat: st.getInputFormat(from), options, params: [], fileSystem});
  const output = new st.MemoryFileSystem();
  const pool = st.createChunkDataPool();
  await st.writeSource(
    {filename: to, outputFormat: st.getOutputFormat(to, options), source: chunks, pool, options}, output);
  for (const [name, data] of output.results) fs.writeFileSync(path.join(path.dirname(target), name), data);
  console.log(`seconds ${(performance.now() - start) / 1000}`);
}
"""


def ours(source: Path, target: Path, options: dict[str, Any]) -> float:
    """Seconds of the quicker of two conversions."""
    times = []
    for _ in range(2):
        start = time.perf_counter()
        gsplat_core.io.save(target, gsplat_core.io.load(source), **options)
        times.append(time.perf_counter() - start)
    return min(times)


def theirs(npm: Npm, version: int, source: Path, target: Path) -> float:
    """The same of splat-transform."""
    told = npm.script(THEIRS, source, target, version)
    return min(float(line.split()[1]) for line in told.splitlines() if line.startswith("seconds "))


def other_program() -> Npm | None:
    try:
        return installed()
    except BaseException as reason:  # pytest's skip
        print(f"without splat-transform: {reason}")
        return None


def convert(npm: Npm | None, name: str, scene: Gaussians, folder: Path, rounds: int) -> None:
    """Prints the times of both directions and their ratio."""
    form = SHARED[name]
    scene = scene.with_sh_degree(form.degree)
    source, file = folder / "source.ply", folder / f"ours.{form.ending}"
    gsplat_core.io.save(source, scene)
    form.write(file, scene, **form.options)
    if form.written:
        compare(npm, f"ply -> {name}", source, form.ending, form.options, rounds)
    if form.read and name != "ply":
        compare(npm, f"{name} -> ply", file, "ply", {}, rounds)


def compare(
    npm: Npm | None, label: str, source: Path, ending: str, options: dict[str, Any], rounds: int
) -> None:
    """Prints the times of one conversion and their ratio."""
    own, other = source.with_name(f"ours.out.{ending}"), source.with_name(f"theirs.out.{ending}")
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(rounds):
        times["ours"].append(ours(source, own, options))
        if npm is not None:
            times["theirs"].append(theirs(npm, options.get("version", 4), source, other))
    mine = statistics.median(times["ours"])
    line = f"  {label:22s} ours {mine:6.3f} s  {own.stat().st_size / 1e6:6.2f} MB"
    if npm is not None:
        other_time = statistics.median(times["theirs"])
        line += f"   theirs {other_time:6.3f} s  {other.stat().st_size / 1e6:6.2f} MB"
        line += f"   {other_time / mine:5.2f}x"
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scene", type=Path, nargs="?")
    parser.add_argument("--num", type=int, default=200_000, help="Gaussians of the made-up scene")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--formats", nargs="*", default=list(SHARED), choices=list(SHARED))
    args = parser.parse_args()
    scene = gsplat_core.io.load(args.scene) if args.scene else typical_scene(args.num, 3)
    npm = other_program()
    warnings.simplefilter("ignore")
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        folder = Path(name)
        path = folder / "scene.ply"
        medians = median_seconds(
            {
                "writing": lambda: gsplat_core.io.save(path, scene),
                "reading": lambda: gsplat_core.io.load(path),
            },
            max(5, args.rounds),
        )
        size = path.stat().st_size / 1e6
        print(f"{scene.num} Gaussians, {torch.get_num_threads()} threads of {os.cpu_count()} cores")
        for what, seconds in medians.items():
            print(f"  {what} .ply: {size / seconds:.0f} MB/s")
        for form in args.formats:
            convert(npm, form, scene, folder, args.rounds)


if __name__ == "__main__":
    main()
