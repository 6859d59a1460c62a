"""trainers/foreign_options.py: options as other programs call them are answered with ours."""

from __future__ import annotations

import re

import pytest

from gsplat_core.shown import shown
from trainers.cli import main
from trainers.foreign_options import FOREIGN, hint


@pytest.mark.parametrize(
    ("arguments", "ours"),
    [
        (["train", "--iterations", "7000"], "--steps"),
        (["train", "data", "--max_steps=7000"], "--steps"),
        (["train", "-s", "data", "-m", "out"], "without an option: gsplat-core train FOLDER"),
        (["train", "data", "--data-factor", "4"], "--downscale"),
        (["train", "data", "--model_path", "out"], "-o"),
        (["eval", "-m", "out"], "without an option"),
        (["render", "-m", "out"], "without an option"),
    ],
)
def test_the_option_of_ours_is_named(
    arguments: list[str], ours: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert ours in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("command", FOREIGN)
def test_nothing_that_we_have_counts_as_foreign(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    ours = set(re.findall(r"(?<![\w-])--?([a-z][a-z-]*)", shown(capsys.readouterr().out)))
    assert len(ours) > 3
    assert not ours & set(FOREIGN[command])


def test_hints_point_to_options_that_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    help_text = capsys.readouterr().out
    for answer in FOREIGN["train"].values():
        for option in re.findall(r"--[a-z-]+", answer):
            assert option in help_text


def test_values_are_left_alone() -> None:
    assert hint("train", ["data", "-o", "iterations"]) is None
    assert hint("doctor", ["--iterations", "3"]) is None
