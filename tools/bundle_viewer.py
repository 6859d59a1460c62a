"""Bundles the libraries of the pages that `export -o scene.html` writes: `make viewer`.

    python tools/bundle_viewer.py [--check]

Takes the versions of gsplat_core/io/viewer/libraries.json from the npm registry, bundles what libraries.js
names with esbuild, and writes libraries.js.gz and the licences beside them. The same versions give the same
bytes, which --check compares. Needs npm (Node.js 18 or newer).
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "gsplat_core" / "io" / "viewer"


def main() -> int:
    parser = argparse.ArgumentParser(description="Bundle the libraries of exported pages.")
    parser.add_argument("--check", action="store_true", help="only compare with what is there")
    check = parser.parse_args().check
    if shutil.which("npm") is None:
        print("npm is missing; install Node.js 18 or newer.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as temporary:
        made = bundle(Path(temporary))
    different = [name for name, content in made.items() if _content(FOLDER / name) != content]
    if check:
        print("\n".join(f"{name} is another one" for name in different) or "Everything is as bundled.")
        return int(bool(different))
    for name in different:
        (FOLDER / name).write_bytes(made[name])
        print(f"wrote {FOLDER / name}: {len(made[name]):,} bytes")
    return 0


def bundle(folder: Path) -> dict[str, bytes]:
    """The files by their names, made in an empty folder."""
    wanted = json.loads((FOLDER / "libraries.json").read_text())
    packages = [f"{name}@{version}" for name, version in {**wanted["shipped"], **wanted["tools"]}.items()]
    (folder / "package.json").write_text("{}")
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    subprocess.run(["npm", "install", "--save-exact", *quiet, *packages], cwd=folder, check=True)
    shutil.copy(FOLDER / "libraries.js", folder)
    options = ["--bundle", "--minify", "--format=esm", "--legal-comments=none", "--outfile=bundle.js"]
    subprocess.run(["npx", "esbuild", "libraries.js", *options, "--log-level=error"], cwd=folder, check=True)
    licences = [_licence(folder / "node_modules" / name, name) for name in sorted(wanted["shipped"])]
    return {
        "libraries.js.gz": gzip.compress((folder / "bundle.js").read_bytes(), 9, mtime=0),
        "LICENSES.txt": "\n\n".join(licences).encode(),
    }


def _licence(package: Path, name: str) -> str:
    version = json.loads((package / "package.json").read_text())["version"]
    return f"{name} {version}\n\n{(package / 'LICENSE').read_text().strip()}\n"


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
