"""Textures: atlases, what views paint into them, and their files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gsplat_core.errors import UsageError
from gsplat_core.mesh import Mesh, load_mesh, packages, save_mesh
from gsplat_core.mesh.files import TEXTURED, load_textured
from gsplat_core.mesh.surface import SurfaceView
from gsplat_core.mesh.texture import Texture, painted, unwrapped
from gsplat_core.scene.cameras import Camera
from trainers.cli import main

# A square of side 2 that looks along -z, where the camera is, unwrapped to the middle of the image.
CORNERS = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32)
SQUARE = Mesh(CORNERS, np.array([[0, 2, 1], [0, 3, 2]], np.int32), np.full((4, 3), [9, 99, 199], np.uint8))
UV = (CORNERS[:, :2] * [0.4, -0.4] + 0.5).astype(np.float32)
TEXELS = 100
SIZE = 120


def pattern(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of places on the square."""
    return np.stack([0.5 + 0.4 * np.sin(3 * x), 0.5 + 0.4 * np.cos(4 * y), 0.5 + 0.3 * x * y], axis=-1)


def view(side: float = 0.0, depth: float = 4.0) -> SurfaceView:
    """What a camera at depth before the square and to its side sees, all of it."""
    viewmat = np.eye(4)
    viewmat[:3, 3] = [-side, 0, depth]
    camera = Camera(viewmat, np.array([[160.0, 0, 60], [0, 160, 60], [0, 0, 1]]), SIZE, SIZE)
    rays = (np.arange(SIZE) + 0.5 - 60) / 160 * depth
    x, y = np.meshgrid(rays + side, rays)
    there = torch.from_numpy((np.abs(x) <= 1) & (np.abs(y) <= 1))
    colors = torch.from_numpy(pattern(x, y)).float() * there[..., None]
    return SurfaceView(camera, depth * there.float(), there.float(), colors)


def expected(texture: Texture) -> tuple[np.ndarray, np.ndarray]:
    """The pattern of each texel, and which are in the square."""
    centres = (np.arange(TEXELS) + 0.5) / TEXELS
    x, y = np.meshgrid((centres - 0.5) / 0.4, (centres - 0.5) / 0.4)
    return pattern(x, y) * 255, (np.abs(x) < 1) & (np.abs(y) < 1)


def test_views_paint_what_they_see() -> None:
    texture = painted(SQUARE, UV, TEXELS, [view(), view(0.6)], 0.1)
    truth, inside = expected(texture)
    assert np.abs(texture.image - truth)[inside].max() < 4
    assert (texture.image[0, 50] == texture.image[9, 50]).all()  # around it, the nearest that is painted


@pytest.mark.parametrize("hidden", ["before", "behind", "masked", "away"])
def test_what_no_view_sees_keeps_the_colour_of_vertices(hidden: str) -> None:
    seen, mesh = view(), SQUARE
    if hidden == "before":
        seen = replace(seen, depths=seen.depths - 0.5)
    elif hidden == "behind":
        seen = replace(seen, depths=seen.depths + 0.5)
    elif hidden == "masked":
        seen = replace(seen, weights=torch.zeros_like(seen.weights))
    else:
        mesh = replace(SQUARE, faces=SQUARE.faces[:, ::-1].copy())
    assert (painted(mesh, UV, TEXELS, [seen], 0.1).image == [9, 99, 199]).all()


def test_a_view_counts_by_its_resolution_and_angle() -> None:
    def plain(seen: SurfaceView, value: float) -> SurfaceView:
        return replace(seen, colors=torch.full_like(seen.colors, value))

    near, far = plain(view(0.0, 2.0), 1.0), plain(view(0.0, 4.0), 0.0)
    image = painted(SQUARE, UV, TEXELS, [near, far], 0.1).image
    assert image[50, 50] / 255 == pytest.approx(4 / 5, abs=0.01)
    aside, before = plain(view(1.5), 1.0), plain(view(), 0.0)
    cosine = 16 / (16 + 1.5**2)
    image = painted(SQUARE, UV, TEXELS, [aside, before], 0.1).image
    assert image[50, 50] / 255 == pytest.approx(cosine / (1 + cosine), abs=0.01)


@pytest.mark.parametrize("ending", TEXTURED)
def test_what_is_written_is_read_again(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"my square{ending}"
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    save_mesh(path, SQUARE, Texture(UV, image))
    mesh, texture = load_textured(path)
    assert texture is not None
    assert (texture.image == image).all()
    assert mesh.vertices[mesh.faces] == pytest.approx(SQUARE.vertices[SQUARE.faces])
    assert texture.uv[mesh.faces] == pytest.approx(UV[SQUARE.faces], abs=1e-6)
    names = {path.name} | ({"my_square.mtl", "my_square.png"} if ending == ".obj" else set())
    assert {file.name for file in tmp_path.iterdir()} == names
    assert np.ptp(load_mesh(path).colors.astype(int)) > 0  # of the image


def test_an_atlas_keeps_faces_and_its_charts_do_not_overlap() -> None:
    pytest.importorskip("xatlas")
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
    sides = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    faces = np.array([[a, b, c] for a, b, c, d in sides] + [[a, c, d] for a, b, c, d in sides], np.int32)
    cube = Mesh(corners, faces, (corners * 255).astype(np.uint8))
    split, uv = unwrapped(cube, 128)
    assert (split.vertices[split.faces] == cube.vertices[cube.faces]).all()
    assert (split.colors[split.faces] == cube.colors[cube.faces]).all()
    assert ((uv >= 0) & (uv <= 1)).all()
    image = painted(split, uv, 128, [], 0.1).image
    a, b, c = Texture(uv, image).places()[split.faces].transpose(1, 0, 2)
    x, y = ((a + b + c) / 3).astype(int).T
    middles = cube.vertices[cube.faces].mean(axis=1) * 255
    assert np.abs(image[y, x] - middles).max() < 12  # a texel is 1/30 of a side


def test_what_cannot_be_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match=r"\.ply holds no texture; write \.glb or \.obj"):
        save_mesh(tmp_path / "mesh.ply", SQUARE, Texture(UV, np.zeros((64, 64, 3), np.uint8)))
    (tmp_path / "scene.ply").write_bytes(b"no scene, but nobody reads it")

    def refused(name: str, texture: str) -> str:
        assert main(["mesh", str(tmp_path / "scene.ply"), "-o", str(tmp_path / name), "--texture", texture])
        return capsys.readouterr().err

    assert ".ply holds no texture" in refused("mesh.ply", "512")
    assert "from 64 to 16,384 texels" in refused("mesh.glb", "-1")

    def missing(name: str) -> object:
        if name == "xatlas":
            raise ImportError(name)
        return object()

    monkeypatch.setattr(packages.importlib, "import_module", missing)
    with pytest.raises(UsageError, match=r"--texture needs xatlas: .*gsplat-core\[mesh,texture\]"):
        packages.require_packages("tsdf", "texture")
    packages.require_packages("tsdf")
    assert [file.name for file in tmp_path.iterdir()] == ["scene.ply"]
