"""gsplat as published, with its tests, and a folder in which they ask our functions.

Each test compares a public function with a private one in plain PyTorch. The private ones stay gsplat's; the
public ones become ours. What is changed in the tests' text: where tensors live (a GPU there), how many
Gaussians there are, and how large images are, since the private functions hold every pair of a pixel and a
Gaussian.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import package_cache
import pytest
from paths import ROOT

PACKAGES = Path(__file__).parent / "interop" / "gsplat.txt"

CHANGES = [
    ('torch.device("cuda:0")', 'torch.device("cpu")'),
    ("not torch.cuda.is_available()", "False"),
    ("../assets/", ""),
    ("/tmp/gsplat/compression", "compressed"),
    ("C, N = 3, 10_000", "C, N = 3, 50"),
    ("width, height = 300, 200", "width, height = 36, 24"),
    ("focal = 300.0", "focal = 36.0"),
    ("N = 100000", "N = 2500"),
]

CONFTEST = """
import importlib

from gsplat_core.compat import gsplat_package

for name in ("gsplat", "gsplat.rendering", "gsplat.cuda._wrapper", "gsplat.cuda._torch_impl",
             "gsplat.strategy", "gsplat.compression"):
    module = importlib.import_module(name)
    for public in gsplat_package.PLACES:
        if not public.startswith("_") and hasattr(module, public):
            setattr(module, public, getattr(gsplat_package, public))
"""


def folder(into: Path) -> Path:
    """The published package and its tests, changed as above, in a new folder; skips the calling test where
    the package cannot be had."""
    fetched = package_cache.installed(
        "gsplat",
        PACKAGES,
        # Without these two it asks for a GPU's compiler to tell its own name.
        ["env", "BUILD_NO_CUDA=1", "CUDA_HOME=/usr", sys.executable, "-m", "pip", "-q", "download",
         "--no-deps", "--no-build-isolation", "--no-binary", ":all:", "--disable-pip-version-check",
         "-r", PACKAGES.name],
    )  # fmt: skip
    (archive,) = fetched.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(into, filter="data")
    (unpacked,) = into.glob("gsplat-*")
    for path in (unpacked / "tests").glob("test_*.py"):
        text = path.read_text()
        for old, new in CHANGES:
            text = text.replace(old, new)
        path.write_text(text)
    (unpacked / "tests" / "conftest.py").write_text(CONFTEST)
    return unpacked


def write_scene(path: Path, width: int, height: int, points: int) -> None:
    """The scene that the tests load and the archive lacks: points of all around, seen by three cameras."""
    generator = np.random.default_rng(0)
    angles = np.array([0.0, 0.5, 1.0])
    viewmats = np.tile(np.eye(4), (3, 1, 1))
    viewmats[:, 0, 0], viewmats[:, 0, 2] = np.cos(angles), np.sin(angles)
    viewmats[:, 2, 0], viewmats[:, 2, 2] = -np.sin(angles), np.cos(angles)
    viewmats[:, 2, 3] = 4.0
    K = np.array([[0.8 * width, 0, width / 2], [0, 0.8 * width, height / 2], [0, 0, 1]])
    np.savez(
        path, height=height, width=width, viewmats=viewmats, Ks=np.tile(K, (3, 1, 1)),
        means3d=generator.uniform(-1.5, 1.5, (points, 3)), colors=generator.integers(0, 256, (points, 3)),
    )  # fmt: skip


def outcomes(unpacked: Path, *arguments: str) -> dict[str, str]:
    """What became of each test: "passed", "failed", "skipped" or "error", by file::test[parameters]."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-rA",
        "-q",
        "--tb=line",
        "--no-header",
    ]
    done = subprocess.run(
        [*command, "-o", "addopts=", "-c", "/dev/null", "--rootdir", "tests", *arguments],
        cwd=unpacked,
        env=os.environ | {"PYTHONPATH": f"{unpacked}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    found = {}
    for line in done.stdout.splitlines():
        word, _, rest = line.partition(" ")
        if word in ("PASSED", "FAILED", "ERROR"):
            found[rest.split(" - ")[0].removeprefix("tests/")] = word.lower()
    if not found:
        pytest.fail(f"none of gsplat's tests ran: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return found
