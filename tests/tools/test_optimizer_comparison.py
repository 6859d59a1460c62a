"""The tables of `tools/compare_optimizers.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import compare_optimizers
import pytest
from compare_optimizers import Page

SCORES = {"adam": [20.0, 21.0, 22.0], "lm": [20.0, 22.5, 23.0]}


def points(scores: list[float]) -> list[dict[str, Any]]:
    return [
        {"step": 10 + i, "seconds": 2.0 * i, "psnr": score, "ssim": score / 100, "loss": 1 / score}
        for i, score in enumerate(scores)
    ]


def folder(path: Path, scores: dict[str, list[float]], handed_over: bool = False) -> Path:
    path.mkdir()
    for variant, values in scores.items():
        facts = {
            "scene": "meadow", "images": 3, "size": [40, 30], "gaussians": 50, "switch": 10, "steps": 12,
            "determined": 3.66, "handed_over": handed_over and variant == "lm", "seconds_before": 5.0,
        }  # fmt: skip
        content = {"facts": facts, "points": points(values)}
        (path / f"{variant}.json").write_text(json.dumps(content))
    return path


def page(output: Path, *folders: Path) -> str:
    (output / "optimizers.md").write_text("before\n<!-- measured -->\nold\n<!-- end of measured -->\nafter\n")
    Page(folders, output).run()
    return (output / "optimizers.md").read_text()


def test_a_line_tells_of_all_seeds_and_a_section_of_the_first(tmp_path: Path) -> None:
    worse = {**SCORES, "lm": [20.0, 20.5, 21.0]}
    folders = folder(tmp_path / "0", SCORES), folder(tmp_path / "1", worse)
    text = page(tmp_path, *folders)
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    ends = "22.00 0.2200 0.0455"
    shares = " | ".join(3 * ["0.50, not"])
    line = f"| meadow | 3.7 | {ends} | {ends} | 1.00 | {shares} |"
    assert line in text
    assert text.count("### meadow") == 1
    assert "| 2.0 s (0.50) |" in text
    assert (tmp_path / "optimizers_meadow_psnr.svg").exists()


def test_it_says_where_adam_goes_on(tmp_path: Path) -> None:
    same = {"adam": SCORES["adam"], "lm": SCORES["adam"]}
    text = page(tmp_path, folder(tmp_path / "0", same, handed_over=True))
    assert "| Adam goes on | 1.00 | 1.00 | 1.00 | 1.00 |" in text


def test_a_page_without_a_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "optimizers.md").write_text("nothing")
    with pytest.raises(SystemExit, match="no place for the measurements"):
        Page((folder(tmp_path / "0", SCORES),), tmp_path).run()


def test_its_variants_are_settings_that_can_be_had() -> None:
    assert compare_optimizers.VARIANTS["lm"][1] == compare_optimizers.OURS
