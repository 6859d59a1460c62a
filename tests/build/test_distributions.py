"""The wheel and the source distribution."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from paths import ROOT

import gsplat_core


def call_hook(hook: str, target: Path) -> Path:
    """Calls a hook of the build backend as pip does, in the project's folder; returns the file it made."""
    code = f"import build_backend; print(build_backend.{hook}({str(target)!r}))"
    env = {**os.environ, "PYTHONPATH": str(ROOT / "csrc")}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    return target / result.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("c++") is None:
        pytest.skip("no C++ compiler on this machine")
    return call_hook("build_wheel", tmp_path_factory.mktemp("wheel"))


def test_one_wheel_serves_every_python(wheel: Path) -> None:
    assert wheel.name.startswith(f"gsplat_core-{gsplat_core.__version__}-cp310-abi3-")


def test_the_wheel_holds_the_library_the_licence_and_no_sources(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "gsplat_core/_ops.abi3.so" in names
    assert any(name.endswith("dist-info/licenses/LICENSE") for name in names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"gsplat_core", "trainers"}
    files = [*ROOT.glob("gsplat_core/**/*.*"), *ROOT.glob("trainers/**/*.*")]
    packaged = {str(path.relative_to(ROOT)) for path in files if path.suffix != ".pyc"}
    assert packaged <= set(names)


def test_the_wheel_works_where_it_is_unpacked(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = "import torch; from gsplat_core.ops.library import PATH; print(PATH, torch.ops.gsplat_core.isa())"
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    env.pop("GSPLAT_LIBRARY", None)
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path)
    assert str(tmp_path) in result.stdout, result.stderr


def test_the_source_distribution_can_be_built_and_tested(tmp_path: Path) -> None:
    with tarfile.open(call_hook("build_sdist", tmp_path)) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    sources = [path for path in ROOT.glob("csrc/**/*.*") if path.suffix != ".pyc"]
    others = [ROOT / name for name in ("setup.py", "constraints.txt", "LICENSE", "README.md", "Makefile")]
    needed = [*sources, *ROOT.glob("tests/**/*.py"), *others]
    assert {str(path.relative_to(ROOT)) for path in needed} <= names
