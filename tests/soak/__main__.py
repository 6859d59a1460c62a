"""Soaks for some time: ``make soak SECONDS=1800``; ``--help`` tells the options."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from paths import SAMPLE

from soak.life import BrokenPromiseError, Life

MOST_INTERRUPTIONS = 8


def soak(seconds: float, seed: int, folder: Path, photographs: Path = SAMPLE) -> Counter[str]:
    """Lives one run after another until the time is up; what happened, and how often.

    Raises:
        BrokenPromiseError: something that may not happen.
    """
    chance = random.Random(seed)
    untouched = Life(photographs, folder / "untouched", chance)
    untouched.folder.mkdir(parents=True)
    expected = untouched.to_the_end(interruptions=0)
    events: Counter[str] = Counter()
    until = time.monotonic() + seconds
    while not events["finished"] or time.monotonic() < until:
        life = Life(photographs, folder / "touched", chance, expected, events)
        life.folder.mkdir()
        life.to_the_end(chance.randint(1, MOST_INTERRUPTIONS), until)
        if left := life.leftovers():
            raise BrokenPromiseError(f"left behind by a finished run: {', '.join(map(str, left))}")
        shutil.rmtree(life.folder)
    return events


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="gsplat-soak-"))
    try:
        events = soak(options.seconds, options.seed, folder)
    except BrokenPromiseError as error:
        print(f"{error}\nEverything is in {folder}.")
        return 1
    shutil.rmtree(folder)
    print("\n".join(f"{count:6}  {event}" for event, count in sorted(events.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
