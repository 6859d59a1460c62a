"""What a training does for those who watch it: a copy now and then, and nothing while nobody asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from gsplat_core.scene.dataset import Dataset
from trainers.config import TrainConfig
from trainers.run_folder import RunFolder
from trainers.start import initial_gaussians
from trainers.trainer import Trainer
from trainers.viewer import following
from trainers.viewer.following import Following


@pytest.fixture
def watched(config: TrainConfig, tmp_path: Path) -> Iterator[tuple[Following, Trainer, list[str]]]:
    dataset = Dataset.load(config.data, test_every=4)
    gaussians = initial_gaussians(config, dataset, lambda text: None)
    trainer = Trainer(config, gaussians, dataset.scale)
    said: list[str] = []
    observer = Following("127.0.0.1", 8765, said.append)
    observer.started(trainer, dataset, RunFolder(tmp_path / "a run"))
    yield observer, trainer, said
    observer.close()


def test_it_copies_only_while_somebody_waits(watched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    observer, trainer, said = watched
    subject = observer._subject
    assert said[0].startswith("watch it at http://127.0.0.1:")
    assert subject.about()["live"]
    assert subject.about()["source"].endswith("/a run'")  # as a shell takes it
    shown = subject.snapshot
    trainer.step = 5
    observer.passed(trainer, 0.25, 20.0)
    assert subject.snapshot is shown
    told = subject.state()["training"]
    assert (told["step"], told["loss"], told["psnr"], told["steps"]) == (5, 0.25, 20.0, 40)
    subject.wanted.set()
    observer.passed(trainer, 0.25, 20.0)
    assert subject.snapshot.version == shown.version + 1
    # What is shown stays as it was while the training goes on.
    before = subject.snapshot.gaussians.means.clone()
    with torch.no_grad():
        trainer.store.params["means"].add_(1)
    assert torch.equal(subject.snapshot.gaussians.means, before)
    # Too soon for the next; later there is one.
    subject.wanted.set()
    observer.passed(trainer, 0.25, 20.0)
    assert subject.snapshot.version == shown.version + 1
    monkeypatch.setattr(following.time, "monotonic", lambda: observer._next + 1)
    observer.passed(trainer, 0.25, 20.0)
    assert subject.snapshot.version == shown.version + 1
    monkeypatch.setattr(following.time, "process_time", lambda: observer._next_cpu + 1)
    observer.passed(trainer, 0.25, 20.0)
    assert subject.snapshot.version == shown.version + 2
    assert torch.equal(subject.snapshot.gaussians.means, before + 1)


def test_what_a_copy_cost_is_a_small_share_of_the_time_until_the_next(
    watched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    observer, trainer, _ = watched
    monkeypatch.setattr(observer._viewer, "spent", lambda: 3.0)
    monkeypatch.setattr(following.time, "process_time", lambda: 100.0)
    observer._show(trainer)
    assert observer._next_cpu >= 100 + 3 / following.SHARE
    assert observer.spent >= 3


def test_the_end_is_shown_even_if_nobody_asked(watched: Any) -> None:
    observer, trainer, _ = watched
    observer.finished(trainer)
    assert observer._subject.snapshot.version == 2
    assert observer._subject.state()["training"]["ended"]
