"""The comparison of density controls: equal terms for all, and what its table says of the runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tools.strategy_comparison.entries import ENTRIES
from tools.strategy_comparison.report import reached, write_report

CURVE = [
    [1.0, 20.0, 0.5, 100, 0.4],
    [3.0, 24.0, 0.6, 200, 0.5],
    [5.0, 23.0, 0.6, 200, 0.5],
    [7.0, 26.0, 0.7, 300, 0.6],
]


def test_a_goal_is_reached_between_two_measurements() -> None:
    assert reached(CURVE, 22.0) == 2.0
    assert reached(CURVE, 24.0) == 3.0  # the first time, though the PSNR falls again
    assert reached(CURVE, 24.5) == 6.0
    assert reached(CURVE, 19.0) == 1.0  # at the first measurement already
    assert reached(CURVE, 27.0) is None


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_all_run_on_equal_terms(entry: Any) -> None:
    config = entry.config(Path("fox"), 900, 4, 12_345, 2)
    assert (config.data, config.steps, config.downscale, config.seed) == ("fox", 900, 4, 2)
    assert config.max_gaussians == 12_345
    for part in config.densify.values():
        assert getattr(part, "budget", 12_345) == 12_345
        assert getattr(part, "seed", 2) == 2


def write_run(folder: Path, entry: str, seed: int, shift: float, seconds: float) -> None:
    curve = [[time * seconds / 7, psnr + shift, *rest] for time, psnr, *rest in CURVE]
    result = {"entry": entry, "scene": "fox", "seed": seed, "steps": 700, "seconds": seconds, "curve": curve}
    path = folder / "fox" / f"{entry}_seed{seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result))


def cells(table: str) -> dict[str, list[str]]:
    return {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]]
        for line in table.splitlines()
        if line.startswith("| ")
    }


def test_the_table_has_mean_and_spread_and_when_adc_was_met(tmp_path: Path) -> None:
    for seed, shift in enumerate((-1.0, 1.0)):
        write_run(tmp_path, "adc", seed, shift, 7.0)
    write_run(tmp_path, "better", 0, 3.0, 14.0)
    overview, table = write_report(tmp_path, ["adc", "better"]).split("### fox")
    rows = cells(table)
    assert rows["adc"] == ["2", "26.00 ± 1.41", "0.700", "0.600", "300", "700", "7", "not reached by 1 of 2"]
    # 26 dB is between the 23 of 2 seconds and the 27 of 6.
    assert rows["better"] == ["1", "29.00", "0.700", "0.600", "300", "700", "14", "5"]
    assert cells(overview)["better"] == ["29.00 / 0.700", "29.00 / 0.700"]
    assert (tmp_path / "fox.svg").read_text().count("better") >= 1
