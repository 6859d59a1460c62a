"""Trains each density control at the same cap of Gaussians and the same budget of time; writes a table and
plots.

    python tools/compare_strategies.py SCENE[:K] [SCENE[:K] ...] [-o runs/strategies] [--seconds 90]
        [--cap 30000] [--downscale 4] [--seeds 0 1 2] [--only adc --only mcmc] [--most 4] [--report]

Time is processor time of training steps on one thread, so that other programs on the machine hardly disturb
it. How many steps fit into the budget is found by a short pilot run of each density control; its schedule is
stretched to that number. Each run leaves one file, and runs whose file is there are skipped: stop and start
again at will.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

import torch
from strategy_comparison.entries import ENTRIES, Entry
from strategy_comparison.report import write_report
from strategy_comparison.runs import result_path, run


def _scene(text: str, downscale: int) -> tuple[Path, int]:
    """A folder and by how much its photographs are shrunk, of FOLDER or FOLDER:K."""
    folder, colon, factor = text.rpartition(":")
    return (Path(folder), int(factor)) if colon and factor.isdigit() else (Path(text), downscale)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenes", nargs="*", metavar="SCENE[:K]", help="shrunk K times instead")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/strategies"))
    parser.add_argument("--seconds", type=float, default=90.0, help="core-seconds per run")
    parser.add_argument("--cap", type=int, default=30_000, help="most Gaussians")
    parser.add_argument("--downscale", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", action="append", metavar="NAME", help="one of the entries")
    parser.add_argument(
        "--add",
        action="append",
        default=[],
        metavar="NAME;PRESET;STRATEGY;SETTINGS",
        help="another entry; settings as for --set, separated by spaces",
    )
    parser.add_argument("--most", type=int, default=10**9, help="runs to do now; the next call goes on")
    parser.add_argument("--report", action="store_true", help="no runs, only the table of those there are")
    args = parser.parse_args()
    torch.set_num_threads(1)

    entries = [*ENTRIES, *(_entry(text) for text in args.add)]
    if unknown := sorted(set(args.only or []) - {entry.name for entry in entries}):
        parser.error(f"--only {unknown[0]}: known are {'; '.join(entry.name for entry in entries)}")
    chosen = [entry for entry in entries if not args.only or entry.name in args.only]
    left = 0 if args.report else args.most
    scenes = [_scene(text, args.downscale) for text in args.scenes]
    # Seeds outside: what disturbs the machine for a while disturbs all entries alike.
    for seed, (scene, downscale), entry in itertools.product(args.seeds, scenes, chosen):
        if left and not result_path(args.output, scene, entry, seed).exists():
            print(f"{scene.name}, {entry.name}, seed {seed}", file=sys.stderr, flush=True)
            run(args.output, scene, entry, seed, args.seconds, downscale, args.cap)
            left -= 1
    print(write_report(args.output, [entry.name for entry in entries]))


def _entry(text: str) -> Entry:
    name, preset, strategy, settings = (text + ";;;").split(";")[:4]
    return Entry(name, preset or "default", strategy or None, tuple(settings.split()))


if __name__ == "__main__":
    main()
