"""A frame as what is different from the one before: what is shown, what is written, what is held on to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from training_runs import Run, assert_same_bits, interrupted_at

from gsplat_core.compress.residual import Residual as Written
from gsplat_core.densify.adc import ADCConfig
from gsplat_core.errors import UsageError
from gsplat_core.io import gsz, load
from gsplat_core.sequence.additions import AdditionsConfig
from gsplat_core.strict_json import write_json
from trainers.config import LearningRates
from trainers.parts.residual import Residual, ResidualConfig
from trainers.run_folder import RunFolder
from trainers.sources import load_photographs
from trainers.start import initial_gaussians

STILL = LearningRates(means=0, means_final=0, quats=0, scales=0, opacities=0, sh0=0, shN=0)
GROWING = AdditionsConfig(gradient_threshold=1e-9, start=0, every=1, most=0.5)


@pytest.fixture
def frame(config, tiny_scene, tmp_path):
    """The configuration of a frame, in whose photographs the left half is as before and the right moved."""
    before = RunFolder(tmp_path / "before")
    before.path.mkdir()
    write_json(before.config, config.to_json())
    gsz.save(before.compressed, initial_gaussians(config, load_photographs(config)))
    (tmp_path / "now").mkdir()
    for path in sorted((tiny_scene / "images").iterdir()):
        pixels = np.asarray(Image.open(path)).copy()
        half = pixels.shape[1] // 2
        pixels[:, half:] = np.roll(pixels[:, half:], 3, axis=0)
        Image.fromarray(pixels).save(tmp_path / "now" / path.name)
    return replace(
        config, steps=20, images=str(tmp_path / "now"), start=str(before.path), learning_rates=STILL,
        sh_degree_every=0, densify={"adc": ADCConfig(refine_stop=0, max_gaussians=150)},
        parts={"residual": ResidualConfig(before=str(before.path), additions=GROWING)},
    )  # fmt: skip


def part_of(run: Run) -> Residual:
    part = run.trainer.parts.find(Residual)
    assert part is not None
    return part


def test_what_was_trained_is_what_the_file_decodes_to(frame, tmp_path) -> None:
    run = Run(frame, tmp_path / "run")
    run.fit()
    part, scene = part_of(run), run.trainer.gaussians.detached()
    before = load(Path(frame.parts["residual"].before) / "point_cloud.gsz")
    assert scene.num > before.num
    assert torch.equal(scene.means[: before.num], before.means)
    with torch.no_grad():
        shown = part.shown(20, scene.params, SimpleNamespace(view=0))
    decoded = part.coded(scene, run.folder)
    assert decoded.num == scene.num
    assert torch.equal(decoded.means[: before.num], shown["means"][: before.num])
    for name in ("sh0", "scales", "opacities", "quats"):
        torch.testing.assert_close(decoded.params[name][: before.num], shown[name][: before.num])
    assert not torch.equal(decoded.means[: before.num], before.means)
    assert torch.equal(load(run.folder.compressed).means, decoded.means)


def test_what_is_never_drawn_is_not_written(frame, tmp_path, monkeypatch) -> None:
    run = Run(frame, tmp_path / "run")
    run.loop()
    part, scene = part_of(run), run.trainer.gaussians.detached()
    scene.opacities[3] = -9.0
    monkeypatch.setattr(part, "_now", lambda params: params)
    found = part._found(scene)
    assert isinstance(found, Written)
    assert found.removed.tolist() == [3]
    assert len(found.shifts) == scene.num - 1


def test_gates_open_and_pixels_count_where_something_moves(frame, tmp_path) -> None:
    run = Run(frame, tmp_path / "run")
    run.loop()
    part = part_of(run)
    assert 0 < float((part._rows["gates"] > 0).float().mean()) <= 0.6
    right = [mask for mask in part._counted.values() if mask.any()]
    assert right
    width = right[0].shape[1]
    assert sum(int(mask[:, : width // 3].sum()) for mask in right) < sum(int(m.sum()) for m in right) / 3
    still = replace(frame, images=None)
    same = Run(still, tmp_path / "same")
    same.loop()
    assert not any(mask.any() for mask in part_of(same)._counted.values())


def test_random_gates_take_turns(frame, tmp_path) -> None:
    settings = replace(frame.parts["residual"], random_gates=True)
    run = Run(replace(frame, parts={"residual": settings}), tmp_path / "run")
    run.loop()
    part = part_of(run)
    first, again, other = part._draws(1), part._draws(21), part._draws(2)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("random_gates", [False, True])
def test_an_interrupted_run_goes_on_to_the_bit(frame, tmp_path, random_gates) -> None:
    settings = replace(frame.parts["residual"], random_gates=random_gates)
    frame = replace(frame, parts={"residual": settings})
    whole = Run(frame, tmp_path / "whole")
    whole.fit()
    assert_same_bits(interrupted_at(13, frame, tmp_path / "parts").state(), whole.state())


def test_it_needs_a_frame_before_that_lies_beside_it(frame, config, tmp_path) -> None:
    with pytest.raises(UsageError, match="--residual"):
        Residual(ResidualConfig(), config, ())
    run = Run(frame, tmp_path / "far" / "run")
    run.loop()
    with pytest.raises(UsageError, match="beside"):
        part_of(run).coded(run.trainer.gaussians.detached(), run.folder)
