"""Commands that follow from the registry of applications."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from paths import ROOT

import gsplat_core.io
from gsplat_core.apps.registry import APPS, App
from gsplat_core.contributions import contributions
from trainers.cli import main
from trainers.run_folder import RunFolder
from trainers.sources import load_photographs, run_config


@pytest.fixture(scope="module")
def run(tiny_scene: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = RunFolder(tmp_path_factory.mktemp("apps") / "run")
    assert main(["train", str(tiny_scene), "-o", str(run.path), "--steps", "30", "--device", "cpu"]) == 0
    return run


def test_clean_writes_another_file_and_says_what_became_of_the_images(run, tmp_path, capsys) -> None:
    source, output = run.point_cloud.read_bytes(), tmp_path / "clean.ply"
    scene = gsplat_core.io.load(run.point_cloud)
    views = load_photographs(run_config(run.path)).train
    median = float(contributions(scene, [view.camera for view in views]).largest_weight.median())
    num = scene.num
    assert main(["clean", str(run.path), "-o", str(output), "--min-weight", f"{median:.9f}"]) == 0
    said = capsys.readouterr().out
    left = gsplat_core.io.load(output).num
    assert 0.4 * num < left < 0.6 * num
    assert f"removed {num - left:,} of {num:,} Gaussians" in said
    assert "2 test views: " in said
    assert run.point_cloud.read_bytes() == source


def test_a_file_is_cleaned_with_photographs_or_by_itself(run, tiny_scene, tmp_path, capsys) -> None:
    clean = ["clean", str(run.point_cloud), "-o", str(tmp_path / "clean.spz")]
    assert main(clean) == 0
    said = capsys.readouterr().out
    assert "(--max-isolation)" in said
    assert "8 views of an orbit: " in said
    assert main([*clean, "--scene", str(tiny_scene)]) == 0
    said = capsys.readouterr().out
    assert "(--max-isolation)" not in said
    assert "2 test views: " in said
    assert (tmp_path / "clean.spz").exists()


def test_help_says_what_happens_without_an_option_in_words(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["clean", "--help"])
    told = capsys.readouterr().out
    assert "--max-isolation X" in told
    assert "--min-views N" in told
    assert "None" not in told


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["-o", "clean.nothing"], 2, "clean.nothing"),
        (["-o", "clean.ply", "--min-weight", "2"], 2, "--min-weight must be from 0 to 1"),
        (["-o", "clean.ply", "--min-views", "99"], 2, "No Gaussian would be left"),
        (["-o", "{run}/point_cloud.ply"], 2, "is the source; write another file"),
        (["-o", "clean.ply", "--scene", "nowhere"], 3, "nowhere"),
    ],
)
def test_mistakes_are_told_and_write_nothing(
    run, tmp_path, monkeypatch, capsys, options, code, message
) -> None:
    monkeypatch.chdir(tmp_path)
    before = run.point_cloud.read_bytes()
    assert main(["clean", str(run.path), *(option.format(run=run.path) for option in options)]) == code
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert run.point_cloud.read_bytes() == before


def test_an_application_is_a_file_and_a_line(run, tmp_path, monkeypatch, capsys) -> None:
    """The example of CONTRIBUTING.md."""
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "apps"))
    monkeypatch.setitem(APPS, "near", App("example_app", "keep what is near"))
    assert main([]) == 0
    assert "keep what is near" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["near", "--help"])
    assert "How many of the Gaussians stay." in capsys.readouterr().out
    output = tmp_path / "near.ply"
    assert main(["near", str(run.point_cloud), "-o", str(output)]) == 2
    assert "add --scene DATA" in capsys.readouterr().err
    assert main(["near", str(run.path), "-o", str(output), "--share", "0.25"]) == 0
    num = gsplat_core.io.load(run.point_cloud).num
    assert gsplat_core.io.load(output).num == round(num / 4)
    assert f"kept the nearest {round(num / 4)} of {num} Gaussians" in capsys.readouterr().out
    assert main(["near", str(run.path), "-o", str(output), "--share", "0"]) == 2
    sys.modules.pop("example_app")
