"""Fuzzes Python targets under Atheris, each in a child of one process that has loaded everything.

For each target `fuzz` writes a line of JSON, [name, file for the output, arguments of libFuzzer], and reads
its exit code.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import random
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gsplat_core", "trainers"]):
    # Targets load what they need when they run; here it is loaded with counters of coverage.
    for module in (
        "scene.dataset",
        "scene.colmap",
        "scene.masks",
        "scene.transforms",
        "scene.imports.registry",
        "io",
    ):
        importlib.import_module(f"gsplat_core.{module}")
    importlib.import_module("trainers.checkpoint")
    from damage import at_most_more_memory

    from fuzz.targets import TARGETS, attempt

import torch

# Each file may take so much more memory than there was before; the readers' own bound is below that for files
# as small as these (`gsplat_core/expansion.py`).
MOST_MEMORY = 600 << 20
SHARE_INSIDE = 0.8  # of changes that are made beneath compression and checksums


def fuzz(name: str, arguments: list[str], folder: Path) -> None:
    """Never returns: libFuzzer ends the process."""
    target = TARGETS[name]

    def one(data: bytes) -> None:
        with at_most_more_memory(MOST_MEMORY):
            attempt(target, data, folder)

    def changed(data: bytes, limit: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if target.parts is not None and rng.random() < SHARE_INSIDE:
            with contextlib.suppress(Exception):  # too damaged to be taken apart
                part, put_back = rng.choice(target.parts(data))
                return put_back(atheris.Mutate(part, max(16, 2 * len(part))))[:limit]
        return atheris.Mutate(data, limit)

    options = {"custom_mutator": changed} if target.parts is not None else {}
    atheris.Setup(["fuzz", *arguments], one, **options)
    atheris.Fuzz()


def in_child(name: str, output: str, arguments: list[str]) -> int:
    """The exit code of a process that fuzzes a target."""
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    folder = Path(tempfile.mkdtemp(prefix="gsplat-fuzz-", dir=memory))
    child = os.fork()
    if not child:
        with open(output, "w") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        fuzz(name, arguments, folder)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    shutil.rmtree(folder, ignore_errors=True)
    return code


def main() -> None:
    torch.set_num_threads(1)
    os.fsync = lambda descriptor: None  # type: ignore[assignment]
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", RuntimeWarning)
    for line in sys.stdin:
        print(in_child(*json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
