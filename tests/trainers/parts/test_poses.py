"""Photographs whose poses are a little wrong: they are put right while the scene is found."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from training_runs import Run, assert_same_bits, interrupted_at

from gsplat_core import se3
from gsplat_core.densify.adc import ADCConfig
from gsplat_core.errors import DataError
from gsplat_core.io import save
from gsplat_core.pose_metrics import aligned, centers_of
from gsplat_core.scene.colmap import read_model
from gsplat_core.scene.colmap.write import posed, write_model
from gsplat_core.scene.gaussians import Gaussians
from trainers.cli import main
from trainers.parts.poses import Poses, PosesConfig, common_twists
from trainers.parts.results import AtTest, settled
from trainers.run_folder import RunFolder
from trainers.sources import load_photographs
from trainers.views import Feed, Target

CPU = torch.device("cpu")


def viewmats(views) -> torch.Tensor:
    return torch.tensor(np.array([view.camera.viewmat for view in views]))


@pytest.fixture(scope="module")
def shaken_scene(tiny_scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny scene, its training cameras turned by two degrees and moved by two percent of the extent."""
    folder = tmp_path_factory.mktemp("shaken") / "scene"
    shutil.copytree(tiny_scene, folder)
    model = read_model(tiny_scene)
    random = np.random.default_rng(5)
    images = []
    for number, image in enumerate(model.images):
        turn, shift = random.standard_normal((2, 3))
        twist = np.r_[math.radians(2) * turn / np.linalg.norm(turn), 0.09 * shift / np.linalg.norm(shift)]
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation(image.quaternion), image.translation
        moved = se3.exp(torch.from_numpy(twist)).numpy() @ pose if number % 4 else pose
        images.append(replace(posed(image.id, image.camera_id, image.name, moved)))
    write_model(folder / "sparse" / "0", model.lenses, images, model.points)
    return folder


def rotation(quaternion) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    w, x, y, z = quaternion
    return Rotation.from_quat([x, y, z, w]).as_matrix()


@pytest.fixture
def shaken(config, shaken_scene: Path):
    """120 steps without density control on the shaken scene, whose poses are learnt from the first on."""
    never = ADCConfig(refine_start=120, refine_stop=120, reset_every=120)
    return replace(
        config,
        data=str(shaken_scene),
        steps=120,
        densify={"adc": never},
        parts={"poses": PosesConfig(start=0.0)},
    )


def poses(run: Run) -> Poses:
    part = run.trainer.parts.find(Poses)
    assert part is not None
    return part


def learnt_cameras(run: Run) -> torch.Tensor:
    views = load_photographs(run.config).train
    at_test = AtTest(run.trainer.parts, views)
    return torch.tensor(np.array([at_test.camera(view).viewmat for view in views]))


def test_poses_are_put_right(config, shaken, tmp_path) -> None:
    """Points are seen where they are; turns and shifts may make up for each other."""
    dataset = load_photographs(config)
    truth, given = viewmats(dataset.train), viewmats(load_photographs(shaken).train)
    K, points = torch.from_numpy(dataset.train[0].camera.K), dataset.points.xyz.double()

    def pixels(cameras: torch.Tensor) -> torch.Tensor:
        seen = (points @ cameras[:, :3, :3].mT + cameras[:, None, :3, 3]) @ K.T
        return seen[..., :2] / seen[..., 2:]

    def error(cameras: torch.Tensor) -> float:
        return float((pixels(cameras) - pixels(truth)).norm(dim=-1).mean())

    # The scene as it is, which goes on being trained with wrong poses as with right ones.
    scene = Gaussians(
        means=dataset.points.xyz,
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).expand(len(points), 4),
        scales=torch.full((len(points), 3), math.log(0.25)),
        opacities=torch.full((len(points),), math.log(0.8 / 0.2)),
        sh0=(dataset.points.rgb[:, None] - 0.5) / 0.28209479,
        shN=torch.zeros(len(points), 0, 3),
    )
    save(tmp_path / "truth.ply", scene)
    shaken = replace(shaken, start=str(tmp_path / "truth.ply"))
    run = Run(replace(shaken, parts={"poses": PosesConfig(rate=0.015, start=0.0)}), tmp_path / "run")
    run.fit()
    before, after = error(aligned(given, truth)), error(aligned(learnt_cameras(run), truth))
    assert before > 1
    assert after < 0.5 * before


def test_only_the_photograph_of_a_step_moves(shaken, tmp_path) -> None:
    seen, twists = [], []
    run = Run(replace(shaken, steps=20), tmp_path)
    run.loop()
    advance = run.trainer.advance

    def followed(target):
        seen.append(target.view)
        result = advance(target)
        twists.append(poses(run).parameters()[0].tensor.detach().clone())
        return result

    run.trainer.advance = followed
    feed = Feed(load_photographs(shaken).train, 0, CPU)
    for step in range(1, 13):
        run.trainer.advance(feed(step))
    feed.close()
    assert len(set(seen)) > 3
    for number, (before, after) in enumerate(pairwise(twists), 1):
        moved = (before != after).any(dim=1).nonzero().flatten().tolist()
        assert moved == [seen[number]], "momentum carries no other camera"


@pytest.mark.parametrize("model", ["pinhole", "opencv", "fisheye"])
def test_cameras_get_the_gradient_of_the_loss_also_while_colours_are_trained_in_backward(
    shaken, tmp_path, model, monkeypatch
) -> None:
    """Against differences of the loss, through the directions that the colours depend on."""
    config = replace(
        shaken, steps=100, sh_degree_every=1, parts={"poses": PosesConfig(start=0.0, weight=0.0)}
    )
    run = Run(config, tmp_path)
    run.loop()
    trainer = run.trainer
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        shN = trainer.store.params["shN"]
        shN += 0.2 * torch.randn(shN.shape, generator=generator)
    target = Target.of(load_photographs(config).train[2], CPU, 2)
    lens = {"opencv": [0.05, -0.02, 1e-3, -2e-3] + [0.0] * 8, "fisheye": [0.03, -0.01, 0.0, 0.0]}.get(model)
    target = replace(target, model=model, lens=None if lens is None else torch.tensor([lens]))
    trainer.step = 50
    twists = poses(run).parameters()[0].tensor
    state = trainer.state_dict()

    def gradient() -> torch.Tensor:
        trainer.load_state_dict(state)
        found = []
        handle = twists.register_hook(found.append)
        trainer.advance(target)
        handle.remove()
        return found[0][2]

    def loss(change: torch.Tensor) -> float:
        trainer.load_state_dict(state)
        with torch.no_grad():
            twists[2] += change
        return float(trainer.advance(target)[0])

    fused = gradient()
    monkeypatch.setattr(trainer, "_steps_while_differentiating", lambda shown: False)
    torch.testing.assert_close(fused, gradient(), rtol=1e-4, atol=1e-6)
    # What is common to all twists is taken out, by which each of them moves a little less than it says.
    common = poses(run)._common[2]
    step = 4e-3  # so far that Gaussians which come into view or leave it do not count
    differences = torch.tensor(
        [(loss(step * axis) - loss(-step * axis)) / (2 * step) for axis in torch.eye(6)]
    )
    expected = fused - common @ (common.T @ fused)
    assert float((differences - expected).norm()) < 0.25 * float(fused.norm())


def test_what_moves_all_cameras_as_one_is_taken_out(shaken) -> None:
    views = load_photographs(shaken).train
    cameras, length = viewmats(views), 1.3
    basis = common_twists(cameras, length)
    assert basis.shape == (6 * len(views), 7)
    torch.testing.assert_close(basis.T @ basis, torch.eye(7).double())
    small = 1e-5
    scaling = cameras.clone()
    scaling[:, :3, 3] *= 1 + small  # of the world about its origin
    moves = [se3.exp(small * axis) for axis in torch.eye(6).double()]
    for moved in [*(cameras @ torch.linalg.inv(move) for move in moves), scaling]:
        twists = se3.log(moved @ torch.linalg.inv(cameras))
        twists[:, 3:] /= length
        twists = twists.flatten() / small
        rest = twists - basis @ (basis.T @ twists)
        assert float(rest.norm()) < 1e-3 * float(twists.norm())
    part = Poses(PosesConfig(), shaken, views)
    part.initialize(0, CPU)
    with torch.no_grad():
        part.parameters()[0].tensor.copy_(common_twists(cameras, part._length)[:, 2].reshape(-1, 6))
        assert max(float(part.twist(view).abs().max()) for view in range(len(views))) < 1e-6


def test_cameras_stay_until_the_scene_is_there_and_where_nothing_is_said_about_them(shaken, tmp_path) -> None:
    config = replace(shaken, steps=20, parts={"poses": PosesConfig(start=0.5)})
    moved = []

    def noted(trainer) -> None:
        moved.append(bool(trainer.parts.find(Poses).parameters()[0].tensor.any()))

    run = Run(config, tmp_path)
    run.after_step = noted
    run.fit()
    assert moved == [step > 10 for step in range(1, 21)]
    part = poses(run)
    with torch.no_grad():
        part.parameters()[0].tensor.copy_(torch.randn(9, 6))
    loss = part.loss(20, None, type("T", (), {"view": 4}))
    loss.backward()
    gradient = part.parameters()[0].tensor.grad
    assert float((gradient[4] * part.twist(4).detach()).sum()) > 0, "it is pulled back"
    assert not gradient[[0, 1, 2, 3, 5, 6, 7, 8]].any()


def test_it_goes_on_to_the_bit(config, shaken, tmp_path) -> None:
    config = replace(config, data=shaken.data, parts=shaken.parts)
    straight = Run(config, tmp_path / "straight")
    straight.fit()
    assert_same_bits(interrupted_at(23, config, tmp_path / "interrupted").state(), straight.state())
    assert straight.state()["adam"]["poses.twists"]["step"].sum() == 40


def test_density_control_looks_from_where_cameras_are_now(shaken, tmp_path) -> None:
    run = Run(replace(shaken, steps=30), tmp_path)
    run.fit()
    expected = learnt_cameras(run).float()
    found = torch.stack([run.trainer.views.lens(view).viewmat for view in range(9)])
    torch.testing.assert_close(found, expected)
    given = viewmats(load_photographs(shaken).train).float()
    assert float((found - given).abs().max()) > 1e-3


def test_second_order_steps_are_made_from_learnt_poses(shaken, tmp_path, monkeypatch) -> None:
    run = Run(replace(shaken, steps=10), tmp_path)
    run.fit()
    asked = []
    monkeypatch.setattr(
        run.trainer.lm, "iterate", lambda gaussians, targets, *rest: asked.extend(targets) or targets
    )
    views = load_photographs(shaken).train
    run.trainer.refine([Target.of(view, CPU, number) for number, view in enumerate(views)])
    found = torch.cat([target.viewmat for target in asked])
    torch.testing.assert_close(found, learnt_cameras(run).float())


def test_its_result_moves_cameras_of_any_coordinates_and_sizes(shaken, tmp_path) -> None:
    run = Run(replace(shaken, steps=30), tmp_path)
    run.fit()
    result = json.loads(json.dumps(run.trainer.parts.result()))
    config = replace(shaken, downscale=2)
    dataset = load_photographs(config)
    dataset.move_to([10.0, -3.0, 2.0])
    at_test = AtTest(settled(config, dataset.train, result, CPU), dataset.train)
    found = torch.tensor(np.array([at_test.camera(view).viewmat for view in dataset.train]))
    shift = torch.tensor([10.0, -3.0, 2.0])
    torch.testing.assert_close(centers_of(found) + shift, centers_of(learnt_cameras(run)))
    test = dataset.test[0]
    assert at_test.camera(test) is test.camera


@pytest.mark.parametrize("twist", [[0.0] * 5, "north", None, [math.inf] * 6])
def test_a_result_that_is_none_is_refused(shaken, twist) -> None:
    views = load_photographs(shaken).train
    with pytest.raises(DataError, match=r"the pose of .*001\.png"):
        settled(shaken, views, {"poses": {"001.png": twist}}, CPU)


def test_the_command_line_keeps_cameras_for_afterwards_and_for_others(shaken_scene, tmp_path) -> None:
    run, again = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "again")
    options = ["--preset", "tiny", "--steps", "100", "--test-every", "0", "--device", "cpu"]
    train = ["train", str(shaken_scene), "-o", str(run.path), *options]
    assert main([*train, "--optimize-poses", "--set", "poses.rate=0.01", "poses.start=0"]) == 0
    assert json.loads(run.config.read_text())["parts"]["poses"]["rate"] == 0.01
    assert set(json.loads((run.parts / "poses.json").read_text())) == {f"{i:03}.png" for i in range(12)}
    before = run.read_metrics()
    assert main(["eval", str(run.path)]) == 0
    assert run.read_metrics()["psnr"] == before["psnr"]
    (run.parts / "poses.json").unlink()
    assert main(["eval", str(run.path)]) == 0
    assert abs(run.read_metrics()["psnr"] - before["psnr"]) > 0.05, "otherwise cameras do not matter"
    # The model that it wrote, with the photographs that there were, is a capture.
    photographs = ["--images", str(shaken_scene / "images")]
    assert main(["eval", str(run.path / "point_cloud.ply"), "--data", str(run.path), *photographs,
                 "--test-every", "0", "-o", str(again.path.with_suffix(".json"))]) == 0  # fmt: skip
    measured = json.loads(again.path.with_suffix(".json").read_text())
    assert measured["psnr"] == pytest.approx(before["psnr"], abs=0.01)
    assert main([*train, "--overwrite"]) == 0
    assert not run.sparse.exists()
    assert not run.parts.exists()
    assert main([*train, "--resume", "--optimize-poses"]) == 2


@pytest.mark.parametrize("values", [{"rate": 0.0}, {"rate_final": -1.0}, {"start": 1.5}, {"weight": -1.0}])
def test_settings_that_are_none_are_refused(values) -> None:
    with pytest.raises(ValueError, match="expected a number"):
        PosesConfig(**values)
