"""`gsplat-core mesh` from a run to a file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from sheets import gaussians_on, sphere

from gsplat_core.io import save
from gsplat_core.mesh import load_mesh
from trainers.cli import main
from trainers.commands import mesh as command
from trainers.run_folder import RunFolder

SMALL = ["--resolution", "32", "--box", "-1.5", "-1.5", "-1.5", "1.5", "1.5", "1.5"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sphere in the middle of the cameras of `tiny_scene`."""
    path = tmp_path_factory.mktemp("mesh") / "sphere.ply"
    save(path, gaussians_on(sphere(600)))
    return path


@pytest.mark.parametrize(("ending", "method"), [(".ply", "tsdf"), (".obj", "tsdf"), (".glb", "level")])
def test_a_file_with_photographs_becomes_a_mesh(
    ending: str, method: str, file, tiny_scene, tmp_path, capsys
) -> None:
    output = tmp_path / "new" / f"mesh{ending}"
    before = file.read_bytes()
    made = ["mesh", str(file), "-o", str(output), "--scene", str(tiny_scene), *SMALL, "--triangles", "3000"]
    assert main([*made, "--method", method]) == 0
    said = capsys.readouterr().out
    mesh = load_mesh(output)
    assert 2000 < len(mesh.faces) <= 3000
    top = mesh.vertices[mesh.vertices[:, 2] > 0.3]
    assert np.abs(np.linalg.norm(top, axis=1) - 1).mean() < 0.03
    assert f"mesh: {len(mesh.faces):,} triangles, {len(mesh.vertices):,} vertices" in said
    assert "watertight" in said
    assert re.search(
        r"80 sparse points in the box: half are within [\d.]+ of it, [\d.]+% within 1% of its extent", said
    )
    assert file.read_bytes() == before
    assert [path.name for path in output.parent.iterdir()] == [output.name]


def test_a_run_needs_nothing_else(tiny_scene: Path, tmp_path: Path, capsys) -> None:
    run = RunFolder(tmp_path / "run")
    assert main(["train", str(tiny_scene), "-o", str(run.path), "--steps", "20", "--device", "cpu"]) == 0
    mesh = [
        "mesh",
        str(run.path),
        "-o",
        str(tmp_path / "mesh.ply"),
        "--resolution",
        "16",
        "--min-weight",
        "0.01",
    ]
    assert main([*mesh, "--min-alpha", "0.1"]) == 0
    assert "wrote" in capsys.readouterr().out
    assert len(load_mesh(tmp_path / "mesh.ply").faces) > 0


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["-o", "mesh.stl"], 2, "meshes are written as .ply, .obj, .glb"),
        (["-o", "{file}"], 2, "is the source; write another file"),
        (["-o", "mesh.ply", "--method", "magic"], 2, "--method must be one of tsdf"),
        (["-o", "mesh.ply", "--triangles", "-1"], 2, "--triangles must not be negative"),
        (["-o", "mesh.ply", "--specks", "2"], 2, "--specks must be from 0 to 1"),
        (["-o", "mesh.ply", "--resolution", "1"], 2, "resolution = 1"),
        (["-o", "mesh.ply", "--box", "1", "1", "1", "0", "0", "0"], 2, "--box must be a lower corner"),
        (["-o", "mesh.ply", "--box", "8", "8", "8", "9", "9", "9"], 2, "There is no surface"),
        (["-o", "mesh.ply", "--resolution", "2048", "--max-memory", "0.01"], 4, "A lower --resolution"),
        (["-o", "mesh.ply", "--scene", "nowhere"], 3, "nowhere"),
    ],
)
def test_mistakes_are_told_and_write_nothing(
    options, code, message, file, tiny_scene, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    options = [option.format(file=file) for option in options]
    assert main(["mesh", str(file), "--scene", str(tiny_scene), *options]) == code
    assert message in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []


def test_a_file_needs_its_photographs_named(file, tmp_path, capsys) -> None:
    assert main(["mesh", str(file), "-o", str(tmp_path / "mesh.ply")]) == 2
    assert "add --scene DATA" in capsys.readouterr().err


def test_a_missing_package_is_told_before_anything_is_done(file, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("gsplat_core.mesh.packages.NEEDED", ("no_such_package",))
    assert main(["mesh", str(file), "-o", str(tmp_path / "mesh.ply")]) == 2
    assert "pip install 'gsplat-core[mesh]'" in capsys.readouterr().err
    assert command.NEAR == 0.01
