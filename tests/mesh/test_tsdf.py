"""Surfaces that are known, covered with Gaussians and seen from twelve sides, are found again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sheets import BOX, SHEETS, THICKNESS, gaussians_on, sphere, twelve_views

from gsplat_core.errors import ResourceError, UsageError
from gsplat_core.mesh.distances import distances_to_mesh, surface_samples
from gsplat_core.mesh.making import Seen, mesh_of
from gsplat_core.mesh.mesh import Mesh
from gsplat_core.mesh.settings import MeshSettings
from gsplat_core.mesh.tidy import simplified

SMALL = MeshSettings(resolution=48)


@pytest.fixture(scope="module")
def small() -> Mesh:
    return mesh_of(gaussians_on(sphere(600)), twelve_views(size=64), BOX, SMALL)


@pytest.mark.parametrize(
    ("name", "resolution", "size"), [("sphere", 80, 128), ("torus", 96, 128), ("box", 128, 160)]
)
def test_a_sheet_is_found_where_it_is(name: str, resolution: int, size: int) -> None:
    """The chamfer distance is at most s_n and a tenth of the spacing; 99 % of vertices are within 3 s_n."""
    sheet = SHEETS[name]()
    mesh = mesh_of(gaussians_on(sheet), twelve_views(size=size), BOX, MeshSettings(resolution=resolution))
    for shape in (mesh, simplified(mesh, 8000)):
        off = sheet.distance(surface_samples(shape, 20_000)[0]).mean()
        missing = distances_to_mesh(sheet.points, shape).mean()
        assert (off + missing) / 2 <= THICKNESS + 0.1 * sheet.spacing
        assert np.mean(sheet.distance(shape.vertices.astype(np.float64)) <= 3 * THICKNESS) >= 0.99
    if name == "sphere":
        assert mesh.is_watertight


def test_colours_are_those_of_the_surface(small: Mesh) -> None:
    """Those of `gaussians_on` are the normals, which on a sphere are the places."""
    expected = 0.5 + small.vertices / np.linalg.norm(small.vertices, axis=1, keepdims=True) / 2
    assert np.abs(small.colors / 255 - expected).mean() < 0.05


def test_the_order_of_views_does_not_matter(small: Mesh) -> None:
    scene, views = gaussians_on(sphere(600)), twelve_views(size=64)
    turned = mesh_of(scene, views[::-1], BOX, SMALL)
    assert turned.vertices.shape == small.vertices.shape
    assert np.abs(turned.vertices - small.vertices).max() < 1e-4


def test_progress_is_told_for_both_passes() -> None:
    told = []

    def counted(items, what, total):
        told.append((what, total))
        return items

    mesh_of(
        gaussians_on(sphere(200)),
        twelve_views(size=32)[:2],
        BOX,
        MeshSettings(resolution=16),
        counted=counted,
    )
    assert told == [("finding surfaces", 2), ("fusing depths", 2)]


def test_nothing_lies_outside_the_box_by_more_than_a_block() -> None:
    half = np.array([[-1.6, -1.6, 0.0], [1.6, 1.6, 1.6]])
    mesh = mesh_of(gaussians_on(sphere(600)), twelve_views(size=64), half, SMALL)
    assert mesh.vertices[:, 2].min() > -9 * 3.2 / 48
    assert mesh.vertices[:, 2].max() > 0.9


def test_masks_and_the_depth_limit_leave_out_what_they_say() -> None:
    scene, views = gaussians_on(sphere(600)), twelve_views(size=64)
    nothing = torch.zeros(64, 64, dtype=torch.bool)
    settings = MeshSettings(resolution=48, min_weight=0.1)
    masked = mesh_of(
        scene, [Seen(view.camera, lambda: nothing) for view in views[1:]] + views[:1], BOX, settings
    )
    alone = mesh_of(scene, views[:1], BOX, settings)
    assert np.array_equal(masked.vertices, alone.vertices)
    nearer = mesh_of(scene, views[:1], BOX, MeshSettings(resolution=48, min_weight=0.1, depth_limit=3.2))
    away = np.linalg.norm(nearer.vertices - views[0].camera.center, axis=1)
    assert 0 < len(nearer.faces) < len(alone.faces)
    assert away.max() < 3.2 + 4 * 3.2 / 48 + 0.1


def test_too_many_voxels_are_refused_with_the_remedy() -> None:
    settings = MeshSettings(resolution=512, max_memory=0.01)
    with pytest.raises(ResourceError, match=r"0\.01 GiB.*--resolution"):
        mesh_of(gaussians_on(sphere(200)), twelve_views(size=64), BOX, settings)


def test_a_box_without_a_surface_is_told() -> None:
    with pytest.raises(UsageError, match="There is no surface"):
        mesh_of(gaussians_on(sphere(200)), twelve_views(size=32), BOX + 10, SMALL)
    with pytest.raises(UsageError, match="--method must be one of tsdf, level"):
        mesh_of(gaussians_on(sphere(200)), [], BOX, SMALL, by="magic")
    with pytest.raises(UsageError, match="resolution = 2"):
        MeshSettings(resolution=2)
