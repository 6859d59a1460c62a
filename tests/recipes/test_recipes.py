"""The examples of CONTRIBUTING.md: each is a short file and one line, which fit into what there is. `make
recipes` builds the operators with those in C++ and gives them the tests of every registered variant.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from build_units import CSRC, responses
from paths import ROOT

from recipes.overlay import HEADERS, LINES, folders, variants_with

CPP = sorted(HEADERS.rglob("*.h"))
PYTHON = [
    ROOT / "tests" / path
    for path in ("example_primitive.py", "apps/example_app.py", "trainers/parts/example_part.py")
]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text()


@pytest.mark.parametrize("example", [*CPP, *PYTHON], ids=lambda path: path.name)
def test_an_example_is_short_and_the_guide_points_at_it(example: Path) -> None:
    assert len(example.read_text().splitlines()) <= 60
    assert f"`{example.relative_to(ROOT)}`" in GUIDE


def test_there_is_one_for_each_kind_in_cpp() -> None:
    assert sorted(path.parent.name for path in CPP) == ["camera", "payload", "response"]
    for line in LINES.values():
        assert f"`{line}`" in GUIDE
        name = re.findall(r"\w+", line)[1]
        assert name in [path.stem for path in CPP]


def test_a_line_is_all_that_is_added_to_the_list(tmp_path: Path) -> None:
    folders(tmp_path)
    listed = tmp_path / "raster" / "variants.h"
    assert responses(listed) == {**responses(), "cauchy": "CauchyResponse"}
    before = (CSRC / "raster" / "variants.h").read_text().split()
    after = listed.read_text()
    for line in LINES.values():
        assert after.count(f" \\\n  {line}\n") == 1
        after = after.replace(f" \\\n  {line}\n", "\n")
    assert after.split() == before
    with pytest.raises(ValueError, match="no list GSPLAT_ORDERS"):
        variants_with({"GSPLAT_ORDERS": "V(random, Random)"})


UNITS = [*sorted(CSRC.glob("cpu/kernels/response/*.cpp")), CSRC / "cpu/kernels/project.cpp"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_kernels_compile_with_the_examples(tmp_path: Path, unit: Path) -> None:
    compiler = os.environ.get("CXX", "c++").split()
    if shutil.which(compiler[0]) is None:
        pytest.skip("no C++ compiler")
    includes = [f"-I{folder}" for folder in [*folders(tmp_path).split(os.pathsep), CSRC]]
    chosen = ["-DGSPLAT_RESPONSE=cauchy", "-DGSPLAT_RESPONSE_TYPE=CauchyResponse"]
    isa = ["-DGSPLAT_ISA=generic", "-DGSPLAT_ISA_GENERIC=1"]
    options = ["-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    subprocess.run([*compiler, *options, *includes, *isa, *chosen, str(unit)], check=True)
