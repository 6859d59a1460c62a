"""A response is one header and one line: the example's formulas fit together, and every kernel compiles with
it."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT

CSRC = ROOT / "csrc"
sys.path.insert(0, str(CSRC))
from build_units import VARIANTS, responses  # noqa: E402

EXAMPLE = Path(__file__).with_name("response")
LINE = "  V(cauchy, CauchyResponse __VA_OPT__(, ) __VA_ARGS__)"


@pytest.fixture(scope="module")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The folders of headers with the example's ahead of ours, and the list with its line."""
    if shutil.which(os.environ.get("CXX", "c++").split()[0]) is None:
        pytest.skip("no C++ compiler")
    folder = tmp_path_factory.mktemp("overlay")
    variants = folder / "raster" / "variants.h"
    variants.parent.mkdir()
    text = VARIANTS.read_text()
    last = next(line for line in text.splitlines() if line.startswith("  V(generalized, "))
    variants.write_text(text.replace(last, f"{last} \\\n{LINE}"))
    assert responses(variants) == {**responses(), "cauchy": "CauchyResponse"}
    return [f"-I{path}" for path in (folder, EXAMPLE, CSRC)]


def compiler(*options: str) -> None:
    command = os.environ.get("CXX", "c++").split()
    subprocess.run([*command, "-std=c++20", "-Wall", "-Wextra", "-Werror", *options], check=True)


@pytest.mark.parametrize(
    "kernel", sorted((CSRC / "cpu" / "kernels" / "response").glob("*.cpp")), ids=lambda p: p.stem
)
def test_every_kernel_compiles_with_it(overlay: list[str], kernel: Path) -> None:
    chosen = ["-DGSPLAT_RESPONSE=cauchy", "-DGSPLAT_RESPONSE_TYPE=CauchyResponse"]
    compiler(
        "-fsyntax-only", *overlay, "-DGSPLAT_ISA=generic", "-DGSPLAT_ISA_GENERIC=1", *chosen, str(kernel)
    )


def test_its_slope_and_its_level_are_those_of_its_power(overlay: list[str], tmp_path: Path) -> None:
    source = tmp_path / "cauchy.cpp"
    source.write_text("""
#include "math/ellipse.h"
#include "math/response/cauchy.h"
using Response = gsplat::CauchyResponse;
extern "C" double alpha(double u, double v) {
  return gsplat::exp2(Response::power(u, v, gsplat::log2(0.8), &u));
}
extern "C" double slope(double u, double v) { return Response::slope(u, v, &u, &u); }
extern "C" double level(double opacity) { return gsplat::response_level<Response>(opacity, &opacity); }
""")
    compiler("-shared", "-fPIC", *overlay, str(source), "-o", str(tmp_path / "cauchy.so"))
    library = ctypes.CDLL(str(tmp_path / "cauchy.so"))
    for name, count in (("alpha", 2), ("slope", 2), ("level", 1)):
        getattr(library, name).restype = ctypes.c_double
        getattr(library, name).argtypes = [ctypes.c_double] * count
    scale = np.sqrt(np.log2(np.e) / 2)  # u and v are scaled so that u^2 + v^2 = q log2(e) / 2
    for u, v in ((0.0, 0.0), (0.3, -0.2), (-1.5, 2.0)):
        q = (u * u + v * v) / scale**2
        assert library.alpha(u, v) == pytest.approx(0.8 / (1 + q), rel=1e-12)
        assert library.slope(u, v) == pytest.approx(2 / (1 + q), rel=1e-12)
    edge = np.sqrt(library.level(0.8)) * scale
    assert library.alpha(edge, 0.0) <= 1 / 255 < library.alpha(0.9999 * edge, 0.0)
