"""gsplat 1.5.3's own tests, asked of our functions on the CPU."""

from __future__ import annotations

import re
from pathlib import Path

import published_gsplat

EXPECTED = {
    r"test_basic.py::test_projection\[.*-fisheye\]": "depths of a fisheye are distances",
    r"test_basic.py::test_projection\[batch_dims.-True-.*-pinhole\]": "compensations are at least 0.005",
    r"test_basic.py::test_rasterize_to_pixels\[.*-128\]": "tiles have 8, 16 or 32 pixels, not 4",
}
"""Which tests are known to end differently here, and why."""

FILES = [f"tests/test_{name}.py" for name in ("basic", "rasterization", "strategy", "compression")]


def test_gsplats_own_tests_pass_with_our_functions(tmp_path: Path) -> None:
    unpacked = published_gsplat.folder(tmp_path)
    published_gsplat.write_scene(unpacked / "tests" / "test_garden.npz", 40, 30, 300)
    outcomes = published_gsplat.outcomes(unpacked, *FILES)
    assert len(outcomes) > 150
    failed = {test for test, outcome in outcomes.items() if outcome != "passed"}
    explained = {test: [why for why in EXPECTED if re.match(why, test)] for test in failed}
    assert {test for test, reasons in explained.items() if not reasons} == set()
    assert {why for reasons in explained.values() for why in reasons} == set(EXPECTED)
