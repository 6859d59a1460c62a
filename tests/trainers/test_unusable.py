"""A run ends with a scene that can be written, whatever became of single Gaussians."""

from __future__ import annotations

from pathlib import Path

import pytest

import gsplat_core.io
from gsplat_core.io import DataWarning
from trainers.cli import main
from trainers.run_folder import RunFolder
from trainers.trainer import Trainer

STEPS = 4


@pytest.fixture
def spoiled(monkeypatch: pytest.MonkeyPatch):
    """Lets the last step leave so many Gaussians with a size that cannot be rendered."""

    def spoil(count: int | None) -> None:
        advance = Trainer.advance

        def then(self, target):
            result = advance(self, target)
            if self.step == STEPS:
                self.store.params["scales"].data[:count] = 65.0
            return result

        monkeypatch.setattr(Trainer, "advance", then)

    return spoil


def train(data: Path, folder: Path) -> int:
    options = ["--preset", "tiny", "--steps", str(STEPS), "--set", "checkpoint_seconds=0", "sky=never"]
    return main(["train", str(data), "-o", str(folder), *options])


def test_what_cannot_be_rendered_is_left_out_and_counted(tiny_scene, tmp_path, spoiled) -> None:
    spoiled(2)
    reason = r"2 of [\d,]+ splats cannot be rendered \(2 with scale infinite"
    with pytest.warns(DataWarning, match=reason):
        assert train(tiny_scene, tmp_path / "run") == 0
    run = RunFolder(tmp_path / "run")
    metrics = run.read_metrics()
    assert metrics["dropped"] == 2
    assert metrics["num_gaussians"] == gsplat_core.io.load(run.point_cloud, strict=True).num

    run.point_cloud.unlink()  # as of a run that is not finished
    with pytest.warns(DataWarning, match=reason):
        assert main(["export", str(run.path), "-o", str(tmp_path / "a.spz"), "--measure", "no"]) == 0
    assert gsplat_core.io.load(tmp_path / "a.spz").num == metrics["num_gaussians"]


@pytest.mark.filterwarnings("ignore::gsplat_core.io.DataWarning")
def test_nothing_left_is_a_numerical_failure(tiny_scene, tmp_path, spoiled, capsys) -> None:
    spoiled(None)
    assert train(tiny_scene, tmp_path / "run") == 5
    assert "no Gaussian can be rendered any more" in capsys.readouterr().err
    assert RunFolder(tmp_path / "run").exists
