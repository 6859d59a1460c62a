"""Runs whose scene is on disk: block by block, the same to the bit when they are interrupted."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from io import StringIO

import pytest
import torch
from make_survey import make_survey
from rich.console import Console
from training_runs import assert_same_bits

from gsplat_core.densify.mcmc import MCMCConfig
from gsplat_core.errors import DataError, UsageError
from gsplat_core.io import load
from gsplat_core.store import filling
from gsplat_core.store.store import SceneStore
from trainers import results
from trainers.active_set import session as sessions
from trainers.active_set.refusals import refuse_active_set
from trainers.config import LearningRates, TrainConfig
from trainers.history import read_history
from trainers.loop import Interrupted
from trainers.parts.exposure import ExposureConfig
from trainers.run_folder import RunFolder
from trainers.session import train
from trainers.trainer import Trainer


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    folder = tmp_path_factory.mktemp("survey")
    make_survey(folder, 3600, 36, 40, 30, sh_degree=1)
    return folder


@pytest.fixture
def blocks(survey, monkeypatch):
    """A run with room for 1700 of its 3600 Gaussians, of which it makes more."""
    monkeypatch.setattr(sessions, "BYTES_PER_GAUSSIAN", 2**20 // 1700)
    monkeypatch.setattr(results, "write_report", lambda *arguments: None)  # charts take longer than all else
    monkeypatch.setattr(filling, "ROWS_PER_CELL", 16)
    mcmc = MCMCConfig(max_gaussians=3700, refine_start=8, refine_stop=60, refine_every=8)
    return TrainConfig(
        data=str(survey), start=str(survey / "start.ply"), steps=80, strategy="mcmc",
        densify={"mcmc": mcmc}, cap="none", background="black", sh_degree=1, sh_degree_every=0,
        test_every=6, log_every=10, evaluations=2, active_set=2**-10,
        learning_rates=LearningRates(sh0=0.05),
    )  # fmt: skip


def run(config, folder, **options):
    return train(config, RunFolder(folder), Console(file=StringIO()), **options)


def content(folder):
    with SceneStore(folder / "store") as store:
        rows, cells = store.read(store.cells)
        moments = {f"{name}.{i}": m for name, pair in rows.moments.items() for i, m in enumerate(pair)}
        return rows.scene.state_dict() | moments | {"cells": torch.from_numpy(cells)}


def losses(folder):
    return [
        (entry["step"], entry["loss"]) for entry in read_history(folder / "history.jsonl") if "loss" in entry
    ]


def test_a_run_block_by_block_ends_as_others_do(blocks, tmp_path, monkeypatch):
    sizes = []
    advance = Trainer.advance

    def followed(trainer, target):
        sizes.append(trainer.num_gaussians)
        return advance(trainer, target)

    monkeypatch.setattr(Trainer, "advance", followed)
    metrics = run(blocks, tmp_path / "run")
    assert metrics["steps"] == 80 == len(sizes)
    assert max(sizes) <= metrics["most_active_gaussians"] <= 1703
    assert 3600 < metrics["num_gaussians"] <= 3700
    assert load(tmp_path / "run" / "point_cloud.ply").num == metrics["num_gaussians"]
    first, *_, last = losses(tmp_path / "run")
    assert last[1] < 0.6 * first[1]
    whole = run(replace(blocks, active_set=None), tmp_path / "whole")
    assert metrics["psnr"] > whole["psnr"] - 2


def test_an_interrupted_run_goes_on_to_the_bit(blocks, tmp_path, monkeypatch):
    run(blocks, tmp_path / "through")
    with monkeypatch.context() as patch:
        advance = Trainer.advance

        def interrupted(trainer, target):
            if trainer.step + 1 == 47:
                os.kill(os.getpid(), signal.SIGINT)
            return advance(trainer, target)

        patch.setattr(Trainer, "advance", interrupted)
        with pytest.raises(Interrupted):
            run(blocks, tmp_path / "run")
    metrics = run(blocks, tmp_path / "run", resume=True)
    assert_same_bits(content(tmp_path / "run"), content(tmp_path / "through"))
    assert losses(tmp_path / "run") == losses(tmp_path / "through")
    assert metrics["steps"] == 80
    with pytest.raises(DataError, match="other settings"):
        run(replace(blocks, seed=1), tmp_path / "run", resume=True)


def test_a_finished_scene_is_trained_on_from_its_file(blocks, tmp_path):
    run(blocks, tmp_path / "run")
    start = str(tmp_path / "run" / "point_cloud.ply")
    again = run(replace(blocks, start=start, steps=20), tmp_path / "again")
    assert again["num_gaussians"] <= 3700
    fewer = replace(blocks, start=start).with_shared(max_gaussians=50)
    with pytest.raises(UsageError, match="--max-gaussians"):
        run(fewer, tmp_path / "fewer")
    with pytest.raises(UsageError, match="removes"):
        run(replace(blocks, start=start), tmp_path / "run", overwrite=True)


def test_a_photograph_that_sees_more_than_there_is_room_for_is_named(blocks, tmp_path):
    with pytest.raises(UsageError, match=r"the photograph images/\d+\.png alone sees \d+ of 3,600 Gaussians"):
        run(replace(blocks, active_set=1e-4), tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"strategy": "adc", "densify": {}}, "'adc'"),
        ({"parts": {"exposure": ExposureConfig()}}, "'exposure'"),
        ({"optimizer": "lm"}, "--optimizer lm"),
        ({"primitive": "6dgs"}, "'6dgs'"),
        ({"primitive": "mip"}, "mip"),
    ],
)
def test_what_needs_the_whole_scene_is_refused_by_name(blocks, changes, named):
    with pytest.raises(UsageError, match=named):
        refuse_active_set(replace(blocks, **changes))
