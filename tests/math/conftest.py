"""Compiles the formulas of csrc/math in double precision for these tests."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from types import ModuleType

import pybind11
import pytest
from paths import ROOT

SOURCE = Path(__file__).with_name("formulas.cpp")


@pytest.fixture(scope="session")
def formulas(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    compiler = os.environ.get("CXX", "c++")
    if shutil.which(compiler.split()[0]) is None:
        pytest.skip("no C++ compiler to build the formulas with")
    library = tmp_path_factory.mktemp("formulas") / f"formulas{sysconfig.get_config_var('EXT_SUFFIX')}"
    includes = [pybind11.get_include(), sysconfig.get_path("include"), str(ROOT / "csrc")]
    flags = ["-std=c++20", "-O1", "-shared", "-fPIC", "-fvisibility=hidden"]
    command = [
        *compiler.split(),
        *flags,
        *(f"-I{path}" for path in includes),
        str(SOURCE),
        "-o",
        str(library),
    ]
    subprocess.run(command, check=True)
    spec = importlib.util.spec_from_file_location("formulas", library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
