"""Logs for other programs: the numbers of the history, where those look for them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from rich.console import Console

from gsplat_core.errors import UsageError
from trainers import session
from trainers.cli import main
from trainers.config import TrainConfig
from trainers.history import read_history
from trainers.logs import LOGS, TensorBoard, numbers_of
from trainers.run_folder import RunFolder


def test_numbers_of_a_line() -> None:
    entry = {
        "step": 3,
        "loss": 0.5,
        "count": 7,
        "event": "loss",
        "flag": True,
        "bad": float("nan"),
        "no": None,
    }
    assert numbers_of(entry) == {"loss": 0.5, "count": 7.0}


def test_tensorboard_gets_the_history(config: TrainConfig, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = RunFolder(tmp_path / "run")
    session.train(config, run, Console(quiet=True), observers=[TensorBoard()])
    events = accumulator.EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    history = read_history(run.history)
    for name in ("loss", "psnr", "test_psnr", "num_gaussians"):
        expected = [(entry["step"], entry[name]) for entry in history if name in entry]
        logged = [(event.step, event.value) for event in events.Scalars(name)]
        assert [step for step, _ in logged] == [step for step, _ in expected]
        assert [value for _, value in logged] == pytest.approx([value for _, value in expected], rel=1e-6)


def test_jsonl_is_what_every_run_has(config: TrainConfig, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    session.train(config, run, Console(quiet=True), observers=[LOGS["jsonl"]()])
    assert read_history(run.history)
    assert {path.name for path in run.path.iterdir() if path.is_dir()} == {"checkpoints", "test", "parts"} & {
        path.name for path in run.path.iterdir()
    }


@pytest.mark.parametrize(("name", "module"), [("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb")])
def test_a_missing_package_is_named_before_anything_is_read(
    name: str, module: str, tiny_scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    for variable in ("WANDB_MODE", "WANDB_ERROR_REPORTING", "WANDB_SILENT"):
        monkeypatch.setenv(variable, "")
    with pytest.raises(UsageError, match=f"pip install {name}"):
        LOGS[name]()
    assert main(["train", str(tiny_scene), "-o", str(tmp_path / "run"), "--log", name]) == 2
    assert f"--log {name} needs the package {name}: pip install {name}." in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
