"""Other people's programs, installed from a registry into a cache outside the repository and shared by all
checkouts.

A list of packages with their versions names the installation; a changed list makes a new one. Tests skip
where the registry cannot be reached.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest


def installed(registry: str, packages: Path, command: Sequence[object]) -> Path:
    """The folder with the packages, installed if they are not yet; skips the calling test where that fails.

    Args:
        registry: for the folder's name and messages.
        packages: the list of packages.
        command: what installs them, run in a folder that holds a copy of the list.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gsplat-core"
    folder = cache / f"{registry}-{hashlib.sha256(packages.read_bytes()).hexdigest()[:12]}"
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / f"{registry}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            temporary = folder.with_suffix(".new")
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            shutil.copy(packages, temporary)
            done = subprocess.run(
                [*map(str, command)], cwd=temporary, capture_output=True, text=True, timeout=280
            )
            if done.returncode != 0:
                shutil.rmtree(temporary, ignore_errors=True)
                pytest.skip(f"{registry} cannot install the packages: {done.stderr[-300:]}")
            temporary.rename(folder)
    return folder


def script(folder: Path, text: str, ending: str) -> Path:
    """A program's text as a file beside the packages, where it finds them."""
    path = folder / f"script-{hashlib.sha256(text.encode()).hexdigest()[:12]}{ending}"
    path.write_text(text)
    return path


def output_of(command: Sequence[object], folder: Path, environment: dict[str, str] | None = None) -> str:
    """What a program prints; fails the test, with what it said, when it fails."""
    done = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout
