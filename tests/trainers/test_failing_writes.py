"""Whatever system call fails, what was good stays good, and the user is told which file and what to do.

With `GSPLAT_FAULTS=all` (`make faults`) every call fails in every way, else a sample of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from faults.injection import build
from paths import ROOT
from processes import environment

SAMPLE = 6  # trials per operation


def tried(data: Path, folder: Path) -> list[dict[str, Any]]:
    most = [] if os.environ.get("GSPLAT_FAULTS") == "all" else ["--most", str(SAMPLE)]
    result = subprocess.run(
        [sys.executable, "-m", "faults", data, "--every", *most],
        env=environment() | {"PYTHONPATH": f"{ROOT / 'tests'}:{ROOT}", "LD_PRELOAD": str(build(folder))},
        stdout=subprocess.PIPE,
        text=True,
    )
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return [line["trial"] for line in lines if "trial" in line]


@pytest.fixture(scope="module")
def trials(tiny_scene: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return tried(tiny_scene, tmp_path_factory.mktemp("faults"))


@pytest.mark.skipif(sys.platform != "linux", reason="calls are intercepted as Linux has it")
def test_whatever_call_fails_the_last_good_state_stays_and_the_error_names_file_and_remedy(trials) -> None:
    operations = {trial["operation"] for trial in trials}
    assert {"checkpoint", "train", "report", "compress"} < operations
    assert sum(name.startswith("export ") for name in operations) >= 7
    for name in operations:
        own = [trial for trial in trials if trial["operation"] == name]
        assert any(trial["outcome"].startswith("4") for trial in own), f"nothing failed in {name}"
    assert [trial for trial in trials if trial["problems"]] == []
