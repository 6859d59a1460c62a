"""`gsplat-core bind`, and `render` of what it wrote while the mesh moves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sheets import gaussians_on, sphere

from gsplat_core.io import load, save
from gsplat_core.mesh import Mesh, load_mesh, save_mesh
from gsplat_core.mesh.binding import FACE
from trainers.cli import main
from trainers.run_folder import RunFolder

trimesh = pytest.importorskip("trimesh")


def ball() -> Mesh:
    made = trimesh.creation.icosphere(2)
    vertices = made.vertices.astype(np.float32)
    return Mesh(vertices, made.faces.astype(np.int32), np.full((len(vertices), 3), 90, np.uint8))


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mesh") / "ball.ply"
    save_mesh(path, ball())
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sphere in the middle of the cameras of `tiny_scene`."""
    path = tmp_path_factory.mktemp("scene") / "sphere.ply"
    save(path, gaussians_on(sphere(300)))
    return path


@pytest.fixture(scope="module")
def bound(file: Path, mesh: Path, tiny_scene: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = RunFolder(tmp_path_factory.mktemp("bound") / "run")
    assert main(["bind", str(file), str(mesh), "-o", str(run.path), "--scene", str(tiny_scene)]) == 0
    return run


def images(folder: Path) -> np.ndarray:
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.iterdir())])


def sequence(folder: Path, *vertices: np.ndarray) -> Path:
    folder.mkdir()
    for number, array in enumerate(vertices):
        np.save(folder / f"{number}.npy", array)
    return folder


def test_a_run_has_the_faces_and_the_mesh_and_looks_as_before(bound: RunFolder, file: Path) -> None:
    before, after = load(file), load(bound.point_cloud)
    assert after.extras[FACE].dtype == torch.int32
    assert (after.extras[FACE] >= 0).all()
    for name, tensor in before.params.items():
        assert torch.equal(after.params[name], tensor), name
    rest = load_mesh(bound.rest_mesh)
    assert (rest.vertices == ball().vertices).all()
    assert (rest.faces == ball().faces).all()
    derived = json.loads(bound.metrics.read_text())["derived"]
    assert (derived["command"], derived["bound"]) == ("bind", 300)
    assert 0 < derived["median_distance"] <= derived["largest_distance"] < 0.05


def test_distances_are_printed_and_what_is_far_is_left_out(file, mesh, tiny_scene, tmp_path, capsys) -> None:
    run = RunFolder(tmp_path / "run")
    made = ["bind", str(file), str(mesh), "-o", str(run.path), "--scene", str(tiny_scene)]
    assert main([*made, "--within", "0.004"]) == 0
    said = capsys.readouterr().out
    count = int((load(run.point_cloud).extras[FACE] >= 0).sum())
    assert 0 < count < 300
    assert f"{count} of 300 Gaussians hang on 320 faces" in said
    assert "half of all are within 0.0" in said
    # Another binding takes the place of this one, with its mesh.
    save_mesh(tmp_path / "moved.ply", replace(ball(), vertices=ball().vertices * 1.01))
    made[2] = str(tmp_path / "moved.ply")
    assert main(made) == 2
    assert main([*made, "--overwrite"]) == 0
    assert (load_mesh(run.rest_mesh).vertices == ball().vertices * np.float32(1.01)).all()


def test_a_mesh_that_stays_shows_the_scene_and_one_that_moves_moves_it(bound, tmp_path) -> None:
    still = ["render", str(bound.path), "--frames", "3", "--width", "40", "--height", "30", "-o"]
    vertices = ball().vertices
    folder = sequence(tmp_path / "meshes", vertices, vertices * [1, 1, 0.3])
    assert main([*still, str(tmp_path / "still")]) == 0
    assert main([*still, str(tmp_path / "moving"), "--mesh-sequence", str(folder)]) == 0
    before, after = images(tmp_path / "still").astype(int), images(tmp_path / "moving").astype(int)
    apart = np.abs(before - after).mean(axis=(1, 2, 3))
    assert apart[0] < 0.1  # of 255
    assert apart[1] > 5
    assert apart[2] < 0.1  # the first mesh again


def test_as_many_images_as_meshes_from_the_camera_of_a_photograph(bound, tmp_path) -> None:
    folder = tmp_path / "meshes"
    folder.mkdir()
    for number, grown in enumerate((1, 1.2, 1.4, 1.6)):
        save_mesh(folder / f"{number}.ply", replace(ball(), vertices=ball().vertices * np.float32(grown)))
    command = ["render", str(bound.path), "--mesh-sequence", str(folder), "--still", "002.png"]
    assert main([*command, "-o", str(tmp_path / "out"), "--normal-mode", "similar"]) == 0
    light = [(image.sum(-1) > 30).sum() for image in images(tmp_path / "out")]
    assert len(light) == 4
    assert light[0] < light[1] < light[2] < light[3]
    assert main(command) == 0
    assert (bound.path / "still.mp4").exists()


def test_a_triangle_for_each_and_the_scene_that_follows_when_they_are_edited(
    file, tiny_scene, tmp_path, capsys
) -> None:
    run, soup = RunFolder(tmp_path / "run"), tmp_path / "soup.ply"
    made = ["bind", str(file), "--pseudo-mesh", str(soup), "-o", str(run.path), "--scene", str(tiny_scene)]
    assert main(made) == 0
    mesh, scene = load_mesh(soup), load(run.point_cloud)
    assert (len(mesh.faces), scene.num) == (300, 300)
    assert soup.read_bytes() == run.rest_mesh.read_bytes()
    save_mesh(tmp_path / "edited.ply", replace(mesh, vertices=mesh.vertices * np.float32(1.5)))
    moved = RunFolder(tmp_path / "moved")
    follow = ["bind", str(run.path), str(tmp_path / "edited.ply"), "--follow", "-o", str(moved.path)]
    assert main([*follow, "--normal-mode", "similar"]) == 0
    after = load(moved.point_cloud)
    torch.testing.assert_close(after.means, 1.5 * scene.means)
    torch.testing.assert_close(
        after.scales.sort(1).values, scene.scales.sort(1).values + np.log(1.5), atol=1e-3, rtol=0
    )
    # It hangs on the mesh as it is now.
    assert main(["bind", str(moved.path), str(soup), "--follow", "-o", str(tmp_path / "back")]) == 0
    torch.testing.assert_close(load(tmp_path / "back" / "point_cloud.ply").means, scene.means)
    save_mesh(tmp_path / "other.ply", mesh.with_faces(mesh.faces[:-1]))
    follow[2] = str(tmp_path / "other.ply")
    assert main([*follow, "--overwrite"]) == 3
    assert "vertices [897, 3] of a mesh that has [900, 3]" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["{mesh}", "--within", "-1"], 2, "--within must be 0 or a positive share"),
        (["{far}"], 0, "Most Gaussians are far from the mesh"),
        (["{far}", "--within", "0.1"], 2, "Is it in the scene's coordinates?"),
        (["{nan}"], 3, "vertex 3 is not finite"),
        (["{flat}"], 3, "no face with an area"),
        (["{file}"], 3, "has no faces"),
        (["nothing.ply"], 3, "cannot be read"),
        (["mesh.stl"], 2, "meshes are written as"),
        ([], 2, "or --pseudo-mesh MESH to make one of it"),
        (["{mesh}", "--pseudo-mesh", "{far}"], 2, "or --pseudo-mesh MESH to make one of it"),
        (["--pseudo-mesh", "soup.stl"], 2, "meshes are written as"),
        (["--pseudo-mesh", "soup.ply", "--within", "0.1"], 2, "leave it out"),
        (["{mesh}", "--follow"], 2, "does not hang on a mesh"),
    ],
)
def test_mistakes_of_binding_are_told_and_write_nothing(
    options, code, message, file, mesh, tiny_scene, tmp_path, capsys
) -> None:
    places = {name: tmp_path / f"{name}.ply" for name in ("far", "nan", "flat")}
    save_mesh(places["far"], replace(ball(), vertices=ball().vertices + 90))
    save_mesh(places["flat"], replace(ball(), vertices=ball().vertices * 0))
    content = mesh.read_bytes()
    start = content.index(b"end_header\n") + len(b"end_header\n") + 3 * 16
    places["nan"].write_bytes(content[:start] + np.float32("nan").tobytes() + content[start + 4 :])
    options = [option.format(mesh=mesh, file=file, **places) for option in options]
    out = tmp_path / "out"
    assert main(["bind", str(file), *options, "-o", str(out), "--scene", str(tiny_scene)]) == code
    assert message in " ".join(capsys.readouterr().err.split())
    assert out.exists() == (code == 0)


@pytest.mark.parametrize(
    ("arrays", "options", "code", "message"),
    [
        ([], [], 3, "there is no mesh of a sequence in it"),
        ([0, "short"], [], 3, "1.npy: vertices [161, 3] of a mesh that has [162, 3]"),
        ([0, 0, "nan"], [], 3, "2.npy: vertex 5 is not finite"),
        ([0, "flat"], [], 3, "has no area"),
        ([0], ["--what", "depth"], 2, "no colours of depths"),
        ([0], ["--still", "nobody.png"], 2, "there is no photograph 'nobody.png'"),
    ],
)
def test_mistakes_of_sequences_are_told_before_anything_is_rendered(
    arrays, options, code, message, bound, tmp_path, capsys
) -> None:
    vertices = ball().vertices
    lost = vertices.copy()
    lost[5] = np.nan
    known = {0: vertices, "short": vertices[1:], "nan": lost, "flat": vertices * 0}
    folder = sequence(tmp_path / "meshes", *(known[name] for name in arrays))
    command = ["render", str(bound.path), "--mesh-sequence", str(folder), "-o", str(tmp_path / "out")]
    assert main([*command, *options]) == code
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_a_scene_that_hangs_on_nothing_is_told(bound, file, tmp_path, capsys) -> None:
    folder = sequence(tmp_path / "meshes", ball().vertices)
    assert main(["render", str(file), "--mesh-sequence", str(folder)]) == 2
    assert "gsplat-core bind" in capsys.readouterr().err
    alone = tmp_path / "alone.ply"
    alone.write_bytes(bound.point_cloud.read_bytes())
    assert main(["render", str(alone), "--mesh-sequence", str(folder)]) == 3
    assert "rest_mesh.ply: is not there" in " ".join(capsys.readouterr().err.split())
    assert main(["render", str(bound.path), "--still", "002.png"]) == 2
    assert "add --mesh-sequence DIR" in capsys.readouterr().err
