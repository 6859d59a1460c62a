"""What `train --view` costs: core-seconds of the same steps with a page that watches, over those without.

    python tools/bench_watching.py [DATA] [--steps 300] [--rounds 3] [--downscale 1]

The page is played by another process, which asks for all that a browser would, so that only the cost to the
training is counted and not that of drawing. Each run with a page is between two without, whose own ratio
shows how much of it is noise.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.console import Console

from trainers import session
from trainers.observer import Observer
from trainers.presets import preset, scaled_to
from trainers.run_folder import RunFolder
from trainers.viewer.following import Following


class Clock(Observer):
    """Processor time of this process between the first and the last step."""

    def started(self, *run: object) -> None:
        self.seconds = -time.process_time()

    def finished(self, *run: object) -> None:
        self.seconds += time.process_time()


def watch(address: str) -> None:
    """Asks as `page/training.js` does, until nobody answers."""
    version, scenes, curves = 0, 0, 0.0
    try:
        while True:
            state = json.load(urlopen(f"{address}newer?after={version}"))
            if state["version"] > version:
                version, scenes = state["version"], scenes + 1
                urlopen(f"{address}scene").read()
            for _ in range(2):
                json.load(urlopen(f"{address}state"))
            if time.monotonic() > curves:
                curves = time.monotonic() + 5
                urlopen(f"{address}history").read()
    except OSError:
        print(scenes)


def core_seconds(data: Path, steps: int, downscale: float, watched: bool) -> tuple[float, int, float]:
    """Of one run; how many states of the scene the page got; and the core-seconds of the threads that made
    and sent them, which are known without noise."""
    config = scaled_to(preset("fast"), steps)
    config = replace(config, data=str(data.resolve()), downscale=downscale, evaluations=0)
    pages: list[subprocess.Popen[str]] = []

    def opened(text: str) -> None:
        command = [sys.executable, __file__, "--watch", text.split()[-1]]
        pages.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))

    clock = Clock()
    observers = [Following("127.0.0.1", 8800, opened)] if watched else []
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder) / "run")
        session.train(config, run, Console(quiet=True), observers=[clock, *observers])
    scenes = int(pages[0].communicate()[0]) if pages else 0
    return clock.seconds, scenes, sum(observer.spent for observer in observers)


def main() -> None:
    parser = argparse.ArgumentParser(description="What watching a training costs it.")
    parser.add_argument("data", type=Path, nargs="?", default=Path("data"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--downscale", type=float, default=1.0)
    parser.add_argument("--watch", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.watch:
        return watch(options.watch)
    ratios, noise, known = [], [], []
    for number in range(options.rounds):
        (before, *_), (watched, scenes, spent), (after, *_) = (
            core_seconds(options.data, options.steps, options.downscale, seen)
            for seen in (False, True, False)
        )
        ratios.append(watched / (before + after) * 2)
        noise.append(after / before)
        known.append(spent / (before + after) * 2)
        print(
            f"round {number + 1}: {before:.1f} and {after:.1f} core-seconds alone, {watched:.1f} watched "
            f"({scenes} states of the scene sent, {spent:.3f} core-seconds), ratio {ratios[-1]:.3f}",
            flush=True,
        )
    print(f"median ratio {statistics.median(ratios):.3f}; by its threads {1 + statistics.median(known):.4f}")
    print(f"of two runs alone {min(noise):.3f} to {max(noise):.3f}")


if __name__ == "__main__":
    main()
