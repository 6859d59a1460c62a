"""Who watches a training: told of what happens, and without a say in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

import gsplat_core.io
from trainers import session
from trainers.config import TrainConfig
from trainers.history import read_history
from trainers.observer import Observer, Observers
from trainers.run_folder import RunFolder


class Recorder(Observer):
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.entries: list[dict[str, Any]] = []

    def started(self, trainer: Any, dataset: Any, run: Any) -> None:
        self.calls.append(f"started {trainer.step}")

    def logged(self, entry: dict[str, Any]) -> None:
        self.entries.append(entry)

    def passed(self, trainer: Any, loss: float, psnr: float) -> None:
        self.calls.append(f"passed {trainer.step}")
        assert loss > 0

    def finished(self, trainer: Any) -> None:
        self.calls.append(f"finished {trainer.step}")

    def close(self) -> None:
        self.calls.append("close")


class Failing(Observer):
    def passed(self, trainer: Any, loss: float, psnr: float) -> None:
        raise OSError("the disk is gone")


def test_they_see_a_run_that_is_the_same_as_without_them(
    config: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = Recorder()
    scenes = []
    for name, observers in (("alone", []), ("watched", [Failing(), recorder])):
        run = RunFolder(tmp_path / name)
        session.train(config, run, Console(), observers=observers)
        scenes.append(gsplat_core.io.load(run.point_cloud))
    assert all(torch.equal(value, scenes[1].params[name]) for name, value in scenes[0].params.items())
    assert recorder.calls[0] == "started 0"
    assert "passed 40" in recorder.calls
    assert recorder.calls[-2:] == ["finished 40", "close"]
    assert recorder.entries == read_history(run.history)
    # One that fails is told of once, and left out.
    assert capsys.readouterr().out.count("Failing is left out from here on: OSError: the disk is gone") == 1


def test_they_are_closed_when_a_run_fails(config: TrainConfig, tmp_path: Path) -> None:
    class Ending(Recorder):
        def passed(self, trainer: Any, loss: float, psnr: float) -> None:
            raise KeyboardInterrupt

    ending = Ending()
    with pytest.raises(KeyboardInterrupt):
        session.train(config, RunFolder(tmp_path / "run"), Console(quiet=True), observers=[ending])
    assert ending.calls[-1] == "close"


def test_none_is_asked_after_it_failed() -> None:
    warned: list[str] = []
    observers = Observers([Failing(), recorder := Recorder()], warned.append)
    observers.logged({"step": 1})
    observers._ask(lambda observer: observer.passed(type("", (), {"step": 1})(), 1.0, 1.0))
    observers.logged({"step": 2})
    assert len(warned) == 1
    assert [entry["step"] for entry in recorder.entries] == [1, 2]
