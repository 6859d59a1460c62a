"""Builds the operators with the examples and runs the tests that every registered variant gets (`make
recipes`): what is registered is tested, and passes.

    PYTHONPATH=tests:. python -m recipes [arguments of pytest]
"""

from __future__ import annotations

import os
import subprocess
import sys

from paths import ROOT

from recipes.overlay import folders

BUILD = ROOT / "build" / "recipes"
TESTS = ["math/test_derivatives.py", "math/test_responses.py", "render/test_variants.py"]
TESTS += ["reference/test_cameras.py", "reference/test_responses.py", "render/test_cameras.py"]
TESTS += ["render/test_responses.py"]
# The rows of the examples, and what compares whole registries.
ROWS = "radial or cauchy or sensitivity or the_reference_has or every_formula_has_a_case"


def main(*options: str) -> int:
    os.environ |= {
        "GSPLAT_BUILD_OVERLAY": folders(BUILD / "overlay"),
        # Every instruction set compiles the same text.
        "GSPLAT_BUILD_ISAS": "generic",
        "GSPLAT_LIBRARY": str(BUILD / "_ops.abi3.so"),
        "PYTHONPATH": os.pathsep.join((str(ROOT / "tests"), str(ROOT))),
    }
    tests = [str(ROOT / "tests" / test) for test in TESTS]
    for command in (
        [str(ROOT / "csrc" / "build_ops.py"), "recipes"],
        ["-m", "cuda_on_cpu.operators"],
        ["-m", "pytest", "-p", "recipes.reference", "-k", ROWS, *tests, *options],
    ):
        if code := subprocess.run([sys.executable, *command], cwd=ROOT).returncode:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
