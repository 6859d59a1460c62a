"""gsplat 1.5.3's own tests, asked of our functions on the CPU."""

from __future__ import annotations

import ast
import contextlib
import re
from importlib import import_module
from pathlib import Path

import published_gsplat

from gsplat_core.compat.gsplat_package import MISSING_MODULES
from gsplat_core.compat.install import REPLACEMENTS

EXPECTED = {
    r"test_basic.py::test_projection\[.*-fisheye\]": "depths of a fisheye are distances",
    r"test_basic.py::test_projection\[batch_dims.-True-.*-pinhole\]": "compensations are at least 0.005",
    r"test_basic.py::test_rasterize_to_pixels\[.*-128\]": "tiles have 8, 16 or 32 pixels, not 4",
}
"""Which tests are known to end differently here, and why."""

FILES = [f"tests/test_{name}.py" for name in ("basic", "rasterization", "strategy", "compression")]


def test_every_public_name_is_there_or_says_why_not(tmp_path: Path) -> None:
    package = published_gsplat.folder(tmp_path) / "gsplat"
    checked = 0
    for path in sorted(package.rglob("*.py")):
        module = ".".join(("gsplat", *path.relative_to(package).with_suffix("").parts))
        module = module.removesuffix(".__init__")
        if module in MISSING_MODULES or "third_party" in module or module.startswith("gsplat._"):
            continue
        ours = import_module(REPLACEMENTS["gsplat"][module])
        for name in public_names(path):
            with contextlib.suppress(ImportError):
                getattr(ours, name)
            checked += 1
    assert checked > 80


def public_names(path: Path) -> list[str]:
    """What a module defines, and what a package's own file brings together."""
    names = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.ImportFrom) and path.name == "__init__.py":
            names += [alias.name for alias in node.names]
    return [name for name in names if not name.startswith("_")]


def test_gsplats_own_tests_pass_with_our_functions(tmp_path: Path) -> None:
    unpacked = published_gsplat.folder(tmp_path)
    published_gsplat.write_scene(unpacked / "tests" / "test_garden.npz", 40, 30, 300)
    outcomes = published_gsplat.outcomes(unpacked, *FILES)
    assert len(outcomes) > 150
    failed = {test for test, outcome in outcomes.items() if outcome != "passed"}
    explained = {test: [why for why in EXPECTED if re.match(why, test)] for test in failed}
    assert {test for test, reasons in explained.items() if not reasons} == set()
    assert {why for reasons in explained.values() for why in reasons} == set(EXPECTED)
