"""Training on the faces of a mesh: what it leaves, that it goes on to the bit, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from meshes import ball
from sheets import looking_at_origin
from splats import covariances
from training_runs import Run, assert_same_bits, interrupted_at

from gsplat_core.io import load
from gsplat_core.mesh import load_mesh, save_mesh
from gsplat_core.mesh.binding import FACE, deformed
from gsplat_core.mesh.faces import FACE_MODELS, Layout
from gsplat_core.metrics import psnr
from gsplat_core.render.scene import render
from gsplat_core.scene.similarity import Similarity
from trainers.cli import main
from trainers.config import TrainConfig
from trainers.on_mesh import with_mesh
from trainers.parts.density import Density
from trainers.parts.faces import Faces
from trainers.run_folder import RunFolder
from trainers.views import Target

MODELS = sorted(FACE_MODELS)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mesh") / "ball.ply"
    save_mesh(path, ball(1))
    return path


def on_mesh(config: TrainConfig, mesh: Path, model: str, **settings) -> TrainConfig:
    config = with_mesh(replace(config, steps=16), mesh, model)
    assert config.on_mesh is not None
    return replace(config, parts={"faces": replace(config.on_mesh, **settings)})


@pytest.fixture(scope="module")
def trained(tiny_scene: Path, mesh: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = RunFolder(tmp_path_factory.mktemp("trained") / "run")
    options = ["--preset", "tiny", "--steps", "60", "--test-every", "4", "--device", "cpu"]
    assert main(["train", str(tiny_scene), "-o", str(run.path), "--mesh", str(mesh), *options]) == 0
    return run


def test_the_result_hangs_on_the_trained_mesh(trained: RunFolder, mesh: Path) -> None:
    scene, before, after = load(trained.point_cloud), load_mesh(mesh), load_mesh(trained.rest_mesh)
    assert (after.faces == before.faces).all()
    assert not np.allclose(after.vertices, before.vertices, atol=1e-3)
    layout = Layout.of(before, 6)
    assert torch.equal(scene.extras[FACE].long(), layout.of_rows())
    corners = layout.corners(torch.from_numpy(after.vertices)).repeat_interleave(6, 0)
    normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = torch.nn.functional.normalize(normals)
    # They lie in the faces of that mesh, and are thin across.
    assert ((scene.means - corners[:, 0]) * normals).sum(1).abs().max() < 1e-6
    across = (covariances(scene.quats, scene.scales.exp()) @ normals[:, :, None]).norm(dim=1)
    assert across.max() < 1e-6
    told = json.loads((trained.parts / "faces.json").read_text())
    moved = np.linalg.norm(after.vertices - before.vertices, axis=1)
    assert told["largest_motion"] == pytest.approx(float(moved.max()), rel=1e-4)
    assert (told["faces"], told["per_face"]) == (80, 6)


def test_it_learns_and_is_measured_like_every_run(trained: RunFolder, mesh, tmp_path) -> None:
    curve = [json.loads(line) for line in trained.history.read_text().splitlines()]
    quality = [line["test_psnr"] for line in curve if "test_psnr" in line]
    assert quality[-1] > quality[0] + 0.3
    measured = trained.read_metrics()["psnr"]
    assert measured == pytest.approx(quality[-1], abs=1e-3)
    assert main(["eval", str(trained.path), "-o", str(tmp_path / "eval.json")]) == 0
    assert json.loads((tmp_path / "eval.json").read_text())["psnr"] == pytest.approx(measured, abs=1e-6)


def test_it_moves_rigidly_as_the_camera_would(trained: RunFolder) -> None:
    """More than 60 dB."""
    scene, rest = load(trained.point_cloud), load_mesh(trained.rest_mesh)
    camera = looking_at_origin(np.array([2.0, 2.5, 1.5]), 96)
    turn = torch.linalg.qr(torch.tensor([[1.3, 0.5, -0.2], [0.1, 0.8, 0.3], [-0.4, 0.2, 1.1]]).double())[0]
    motion = Similarity(turn * torch.linalg.det(turn), torch.tensor([0.4, -0.3, 0.8]))
    moved = deformed(scene, rest, motion.apply(torch.from_numpy(rest.vertices).double()))
    with_it = replace(camera, viewmat=camera.viewmat @ motion.inverse().matrix().numpy())
    before, after = render(scene, camera).colors, render(moved, with_it).colors
    assert float(before.std()) > 0.05
    assert psnr(after[0].clamp(0, 1), before[0].clamp(0, 1)) > 60


def test_a_sequence_moves_it_and_other_commands_take_it(trained: RunFolder, tmp_path) -> None:
    rest = load_mesh(trained.rest_mesh)
    (tmp_path / "meshes").mkdir()
    for number, grown in enumerate((1.0, 1.3)):
        np.save(tmp_path / "meshes" / f"{number}.npy", rest.vertices * grown)
    sequence = ["--mesh-sequence", str(tmp_path / "meshes"), "--still", "002.png"]
    assert main(["render", str(trained.path), *sequence, "-o", str(tmp_path / "images")]) == 0
    assert len(list((tmp_path / "images").iterdir())) == 2
    # Its parts have settled: a training for a codec moves Gaussians as it likes.
    packed = ["--steps", "2", "--max-loss-db", "20"]
    assert main(["compress", str(trained.path), "-o", str(tmp_path / "packed"), *packed]) == 0


@pytest.mark.parametrize(("model", "primitive"), [("sugar", "gaussian"), ("games", "2dgs")])
def test_an_interrupted_run_goes_on_to_the_bit(model, primitive, mesh, config, tmp_path) -> None:
    config = on_mesh(config, mesh, model, move_vertices=True, per_face=3)
    config = replace(config, primitive=primitive)
    whole = Run(config, tmp_path / "whole")
    whole.fit()
    rest = interrupted_at(7, config, tmp_path / "parts")
    assert_same_bits(rest.state(), whole.state())
    named = whole.state()["parts"]["faces"]["trained"]
    assert set(named) == {"vertices", *FACE_MODELS[model].rates}
    start = FACE_MODELS[model].tensors(240, 3, config.seed)
    for name in start:
        assert not torch.equal(named[name], start[name]), name


def test_vertices_stay_where_they_shall_and_gaussians_stay_in_their_faces(mesh, config, tmp_path) -> None:
    run = Run(on_mesh(config, mesh, "games"), tmp_path)
    run.fit()
    part = run.trainer.parts.find(Faces)
    assert (part.mesh.vertices == load_mesh(mesh).vertices).all()
    assert run.trainer.parts.find(Density) is None
    scene = run.trainer.gaussians.detached()
    target = Target.of(run.loop().views[0], scene.device)
    shown = part.shown(17, run.trainer.store.params, target)
    for name in ("means", "quats", "scales"):
        assert torch.equal(scene.params[name], shown[name]), name
    corners = Layout.of(part.mesh, 2).corners(torch.from_numpy(part.mesh.vertices)).repeat_interleave(2, 0)
    weights = torch.linalg.solve(corners.mT, scene.means)
    assert weights.min() > -1e-5
    assert (weights.sum(1) - 1).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--mesh", "{nan}"], 3, "vertex 3 is not finite"),
        (["--mesh", "{flat}"], 3, "no face with an area"),
        (["--mesh", "{points}"], 3, "has no faces"),
        (["--mesh", "{other}/mesh.ply"], 3, "mesh.ply: there is no such file"),
        (["--mesh", "{stl}"], 2, "meshes are written as"),
        (["--faces", "games"], 2, "add --mesh MESH"),
        (["--parts", "faces"], 2, "wants a mesh whose faces carry"),
        (["--mesh", "{mesh}", "--strategy", "mcmc"], 2, "--strategy: on a mesh there are as many"),
        (["--mesh", "{mesh}", "--max-gaussians", "100"], 2, "--max-gaussians: on a mesh"),
        (["--mesh", "{mesh}", "--set", "faces.per_face=5"], 2, "no lattice of 5 points"),
        (["--mesh", "{mesh}", "--model", "6dgs"], 2, "'6dgs' cannot follow a mesh"),
        (["--mesh", "{mesh}", "--compress", "scalar"], 2, "compress the run when it is finished"),
        (["--mesh", "{mesh}", "--optimizer", "lm"], 2, "moves no faces"),
    ],
)
def test_mistakes_are_told(options, code, message, mesh, tiny_scene, tmp_path, capsys) -> None:
    places = {name: tmp_path / f"{name}.ply" for name in ("nan", "flat", "points")}
    places |= {"stl": tmp_path / "mesh.stl", "other": tmp_path / "other", "mesh": mesh}
    save_mesh(places["flat"], replace(ball(0), vertices=ball(0).vertices * 0))
    content = mesh.read_bytes()
    start = content.index(b"end_header\n") + len(b"end_header\n") + 3 * 16
    places["nan"].write_bytes(content[:start] + np.float32("nan").tobytes() + content[start + 4 :])
    places["stl"].write_bytes(b"solid")
    places["points"].write_bytes(
        b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
        b"end_header\n0 0 0\n"
    )
    options = [option.format(**places) for option in options]
    out = tmp_path / "out"
    assert main(["train", str(tiny_scene), "-o", str(out), "--steps", "2", *options]) == code
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (out / "checkpoints").exists()


def test_another_mesh_does_not_go_on_with_a_run(mesh, tiny_scene, tmp_path, capsys) -> None:
    own, run = tmp_path / "own.ply", tmp_path / "run"
    own.write_bytes(mesh.read_bytes())
    train = ["train", str(tiny_scene), "-o", str(run), "--device", "cpu"]
    short = ["--preset", "tiny", "--steps", "2", "--faces", "games"]
    assert main([*train, *short, "--mesh", str(own)]) == 0
    assert main([*train, "--resume", "--mesh", str(mesh)]) == 2
    assert main([*train, "--resume", "--mesh", str(own), "--faces", "sugar"]) == 2
    capsys.readouterr()
    save_mesh(own, replace(ball(1), vertices=ball(1).vertices * np.float32(1.1)))
    assert main([*train, "--resume"]) == 3
    assert "is not the mesh that the run began with" in " ".join(capsys.readouterr().err.split())
