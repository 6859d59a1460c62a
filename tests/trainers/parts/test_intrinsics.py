"""Lenses that are a little wrong: what photographs share of them is put right while the scene is found."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_runs import Run, assert_same_bits, interrupted_at

from gsplat_core.densify.adc import ADCConfig
from gsplat_core.errors import DataError
from gsplat_core.scene.colmap import read_model
from gsplat_core.scene.optics import camera_of
from trainers.learnt_model import write_learnt_model
from trainers.parts.intrinsics import Intrinsics, IntrinsicsConfig
from trainers.parts.results import AtTest, settled
from trainers.run_folder import RunFolder
from trainers.sources import load_photographs
from trainers.views import Target

CPU = torch.device("cpu")


def captured(folder: Path, scene: Path, cameras: str) -> Path:
    """The scene, of which the capture says that these are its cameras."""
    shutil.copytree(scene, folder)
    (folder / "sparse/0/cameras.txt").write_text(cameras)
    return folder


@pytest.fixture
def short(config, tiny_scene: Path, tmp_path: Path):
    """60 steps on the tiny scene, whose principal point the capture says to be 3 pixels farther right."""
    number, model, width, height, *numbers = (tiny_scene / "sparse/0/cameras.txt").read_text().split()
    fx, fy, cx, cy = map(float, numbers)
    shifted = f"{number} {model} {width} {height} {fx} {fy} {cx + 3} {cy}\n"
    never = ADCConfig(refine_start=60, refine_stop=60, reset_every=60)
    return replace(
        config,
        data=str(captured(tmp_path / "scene", tiny_scene, shifted)),
        steps=60,
        densify={"adc": never},
        parts={"intrinsics": IntrinsicsConfig(rate=8e-3, rate_final=8e-4)},
    )


def test_the_principal_point_of_all_photographs_is_put_right(short, tmp_path) -> None:
    run = Run(short, tmp_path / "run")
    run.fit()
    views = load_photographs(short)
    at_test = AtTest(run.trainer.parts, views.train)
    found = {at_test.camera(view).K.tobytes() for view in [*views.train, *views.test]}
    assert len(found) == 1, "they are of one lens, those of the test, too"
    moved = at_test.camera(views.test[0]).K - views.test[0].camera.K
    assert -4 < moved[0, 2] < -2, moved
    assert abs(moved[1, 2]) < 1


def test_it_goes_on_to_the_bit(short, tmp_path) -> None:
    config = replace(short, steps=20)
    straight = Run(config, tmp_path / "straight")
    straight.fit()
    assert_same_bits(interrupted_at(11, config, tmp_path / "interrupted").state(), straight.state())
    assert straight.state()["parts"]["intrinsics"]["trained"]["lenses"].any()


@pytest.fixture
def distorted(config, tiny_scene: Path, tmp_path: Path):
    lens = "1 OPENCV 48 36 40 41 24 18 0.05 -0.02 0 0.001\n"
    data = str(captured(tmp_path / "scene", tiny_scene, lens))
    return replace(config, data=data, distortion="keep", parts={"intrinsics": IntrinsicsConfig()})


RESULT = [math.log(1.1), 0.02, -0.03, 0.01, 0.02, 0.03, 0.004, *[0.05] * 8]


def test_what_is_rendered_measured_and_written_is_one_lens(distorted, tmp_path) -> None:
    for config in (distorted, replace(distorted, downscale=2)):
        views = load_photographs(config).train
        part = settled(config, views, {"intrinsics": {views[3].name: RESULT}}, CPU)
        camera = part.camera_at_test(views[5].camera, 5)
        target = part.posed(1, Target.of(views[5], CPU, 5))
        torch.testing.assert_close(target.K[0].double(), torch.from_numpy(camera.K))
        torch.testing.assert_close(target.lens, torch.tensor([camera.lens]))
        given = views[5].camera
        assert camera.K[0, 0] == pytest.approx(1.1 * given.K[0, 0])
        assert camera.K[1, 2] == pytest.approx(given.K[1, 2] - 0.03 * given.K[1, 1])
        assert camera.lens[:2] == pytest.approx((0.06, 0.0), abs=1e-6)
        assert camera.lens[2] == 0, "the capture has none, so that none is learnt"
        written = part.recorded(views[5].photo.shot, 5).lens
        resized = written.resized(given.width, given.height)
        assert np.allclose(resized.K, camera.K)
        assert np.allclose(camera_of(written)[1], camera.lens)


def test_the_model_that_is_written_keeps_all_else(distorted, tmp_path) -> None:
    views = load_photographs(distorted).train
    part = settled(distorted, views, {"intrinsics": {views[3].name: RESULT}}, CPU)
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    assert write_learnt_model(run, distorted, part, views)
    before, after = read_model(Path(distorted.data)), read_model(run.path)
    assert [image.name for image in after.images] == [image.name for image in before.images]
    for old, new in zip(before.images, after.images, strict=True):
        assert np.allclose(old.translation, new.translation)
    assert np.array_equal(before.points.xyz, after.points.xyz)
    assert np.array_equal(before.points.tracks, after.points.tracks)
    assert after.lenses[1].focal == pytest.approx((44, 45.1))
    nothing = settled(replace(distorted, parts={}), views, {}, CPU)
    assert not write_learnt_model(RunFolder(tmp_path / "other"), distorted, nothing, views)


def test_lenses_of_undistorted_photographs_stay_and_are_told(distorted, tmp_path) -> None:
    config = replace(distorted, distortion="undistort")
    dataset, notes = load_photographs(config), []
    part = Intrinsics(IntrinsicsConfig(), config, dataset.train)
    part.prepare(dataset, notes.append)
    part.initialize(0, CPU)
    assert "--distortion keep learns them" in notes[0]
    assert not part.parameters()
    assert part.camera_at_test(dataset.train[0].camera, 0) is dataset.train[0].camera
    assert part.result() == {}


@pytest.mark.parametrize("numbers", [[0.0] * 3, "wide", None, [math.nan] * 15])
def test_a_result_that_is_none_is_refused(distorted, numbers) -> None:
    views = load_photographs(distorted).train
    with pytest.raises(DataError, match=r"the lens of .*001\.png"):
        settled(distorted, views, {"intrinsics": json.loads(json.dumps({"001.png": numbers}))}, CPU)


@pytest.mark.parametrize("values", [{"rate": 0.0}, {"rate_final": -1.0}])
def test_settings_that_are_none_are_refused(values) -> None:
    with pytest.raises(ValueError, match="expected a number"):
        IntrinsicsConfig(**values)
