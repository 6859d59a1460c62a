"""Points of many views, their cells, and the surface that the solver makes of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sheets import BOX, gaussians_on, sphere, twelve_views

from gsplat_core.errors import UsageError
from gsplat_core.mesh import packages
from gsplat_core.mesh.making import mesh_of
from gsplat_core.mesh.poisson import PointCells
from gsplat_core.mesh.settings import MeshSettings
from gsplat_core.mesh.surface import surface_view


@pytest.fixture(scope="module")
def cells() -> PointCells:
    scene, found = gaussians_on(sphere(600)), PointCells(BOX, 0.1)
    for seen in twelve_views(size=48):
        found.add(surface_view(scene, seen.camera, 0.5))
    return found


def test_points_lie_on_the_surface_with_normals_to_the_outside(cells: PointCells) -> None:
    points, normals, colors = cells.means(0.25)
    assert len(points) > 500
    outward = torch.nn.functional.normalize(points, dim=1)
    assert float((points.norm(dim=1) - 1).abs().mean()) < 0.02
    assert float((normals * outward).sum(1).min()) > 0.5
    assert float((normals * outward).sum(1).mean()) > 0.95
    assert float((colors - (0.5 + outward / 2)).abs().mean()) < 0.06


def test_a_cell_has_one_point_and_what_few_pixels_show_has_none(cells: PointCells) -> None:
    points = cells.means(0.0)[0]
    rows = ((points - cells.box[0]) / cells.side).floor()
    assert len(rows.unique(dim=0)) == len(points)
    assert len(cells.means(5.0)[0]) < len(points)
    assert len(cells.means(1e9)[0]) == 0


def test_the_mesh_is_the_surface_without_what_has_the_least_support() -> None:
    pytest.importorskip("pymeshlab")
    settings = MeshSettings(octree_depth=5, unsupported=0.0)
    scene, views = gaussians_on(sphere(600)), twelve_views(size=48)
    mesh = mesh_of(scene, views, BOX, settings, by="poisson")
    assert mesh.is_watertight
    assert np.abs(np.linalg.norm(mesh.vertices, axis=1) - 1).mean() < 0.02
    a, b, c = mesh.vertices[mesh.faces].transpose(1, 0, 2)
    assert np.sum(a * np.cross(b, c)) / 6 == pytest.approx(4 * np.pi / 3, rel=0.05)  # faces look outside
    expected = 0.5 + mesh.vertices / np.linalg.norm(mesh.vertices, axis=1, keepdims=True) / 2
    assert np.abs(mesh.colors / 255 - expected).mean() < 0.06
    half = np.array([[-1.6, -1.6, 0.0], [1.6, 1.6, 1.6]])
    assert mesh_of(scene, views, half, settings, by="poisson").vertices[:, 2].min() >= 0


def test_a_missing_solver_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        if name == "pymeshlab":
            raise ImportError(name)
        return object()

    monkeypatch.setattr(packages.importlib, "import_module", missing)
    packages.require_packages("tsdf")
    with pytest.raises(UsageError, match=r"--method poisson needs pymeshlab: .*gsplat-core\[mesh,poisson\]"):
        packages.require_packages("poisson")
