"""What a run of `fast` does before its first step: the resolution schedule of its photographs.

    python tools/bench_startup.py PHOTOS [--downscale 1] [--checkout FOLDER] [--rounds 3]

Prints processor seconds of one thread and the factors with the steps from which they hold. With another
checkout, both are measured in turns, each time in a process of its own, with the ratio and whether their
factors are the same at every step.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]

MEASURED = """
import json, sys, time
import torch
from gsplat_core.scene.dataset import Dataset
from trainers.presets import preset
from trainers.resolution import ResolutionConfig, ResolutionSchedule

torch.set_num_threads(1)
views = Dataset.load(sys.argv[1], downscale=float(sys.argv[2]), prefetch=False).train
pixels = sum(view.image().shape[:2].numel() for view in views)
told = {"photographs": len(views), "pixels": pixels, "factors": {}}
ResolutionSchedule(preset("fast").resolution, views[:1])  # what the first call of a library does once
for name, config in {"fast": preset("fast").resolution, "30,000 steps": ResolutionConfig()}.items():
    start = time.process_time()
    schedule = ResolutionSchedule(config, views)
    told["seconds"] = time.process_time() - start
    told["factors"][name] = [schedule(step) for step in range(1, config.until + 1)]
print(json.dumps(told))
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("--downscale", type=float, default=1.0)
    parser.add_argument("--checkout", type=Path, help="another checkout, built, to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    checkouts = [HERE] if args.checkout is None else [args.checkout.resolve(), HERE]
    told: dict[Path, list[dict[str, Any]]] = {checkout: [] for checkout in checkouts}
    for _ in range(args.rounds):
        for checkout, found in told.items():
            found.append(measured(checkout, args.photos, args.downscale))
    now = told[HERE][-1]
    print(f"{now['photographs']} photographs of {now['pixels'] / now['photographs'] / 1e6:.2f} MP on average")
    medians = {path: statistics.median(one["seconds"] for one in found) for path, found in told.items()}
    for checkout, seconds in medians.items():
        print(f"  {seconds:8.3f} core-seconds  {checkout}")
    if len(checkouts) > 1:
        other = told[checkouts[0]][-1]
        print(f"  {medians[checkouts[0]] / medians[HERE]:8.1f} times less")
        same = {name: factors == other["factors"][name] for name, factors in now["factors"].items()}
        print(f"  the same factor at every step: {same}")
    for name, factors in now["factors"].items():
        changes = [step for step, factor in enumerate(factors) if not step or factors[step - 1] != factor]
        print(f"  {name}: " + ", ".join(f"{factors[step]} from step {step + 1}" for step in changes))


def measured(checkout: Path, photos: Path, downscale: float) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", MEASURED, str(photos.resolve()), str(downscale)]
    done = subprocess.run(words, cwd=checkout, env=environment, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
