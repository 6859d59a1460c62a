"""Where the density crosses the level: outside of known surfaces by what is predicted, and then on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sheets import BOX, SHEETS, THICKNESS, Sheet, gaussians_on, looking_at_origin, sphere, twelve_views

from gsplat_core.mesh import level
from gsplat_core.mesh.distances import distances_to_mesh, surface_samples
from gsplat_core.mesh.level import LEVEL, LevelDepths, level_bias
from gsplat_core.mesh.making import mesh_of
from gsplat_core.mesh.settings import MeshSettings
from gsplat_core.mesh.surface import pixel_rays, surface_view
from gsplat_core.scene.gaussians import Gaussians

WIDE = 0.66 / 0.6
"""So much wider, the discs of `gaussians_on` add up to a density of 2.6."""


def discs(sheet: Sheet) -> Gaussians:
    made = gaussians_on(sheet)
    return replace(made, scales=made.scales + torch.tensor([np.log(WIDE), np.log(WIDE), 0.0]).float())


def seen_points(scene: Gaussians) -> np.ndarray:
    """[P, 3] where the rays of three views meet the surface, not from aside."""
    found = []
    for seen in twelve_views(size=96)[:3]:
        view = surface_view(scene, seen.camera, 0.5, depths=LevelDepths())
        places = torch.from_numpy(view.camera.center).float() + view.depths[..., None] * pixel_rays(
            view.camera, view.depths
        )
        found.append(places[view.weights > 0.25])
    return torch.cat(found).double().numpy()


@pytest.mark.parametrize("name", ["sphere", "torus"])
def test_the_level_lies_outside_by_what_is_taken_back(name: str, monkeypatch) -> None:
    sheet = SHEETS[name]()
    scene = discs(sheet)
    corrected = sheet.distance(seen_points(scene)) / THICKNESS
    monkeypatch.setattr(level, "level_bias", lambda thickness, densest: 0 * thickness)
    outside = sheet.distance(seen_points(scene)) / THICKNESS
    assert 2.15 < outside.mean() < 2.6
    assert outside.std() < 0.2
    assert corrected.mean() < 0.25
    assert corrected.std() < 0.1
    assert corrected.max() < 0.5


def test_the_bias_is_that_of_a_single_gaussian() -> None:
    densest = torch.tensor([0.0, LEVEL, LEVEL * float(np.exp(0.5)), LEVEL * float(np.exp(2.0))])
    assert level_bias(torch.full((4,), 0.5), densest).tolist() == pytest.approx([0, 0, 0.5, 1.0], abs=1e-6)


def test_what_never_is_as_dense_as_the_level_has_no_surface() -> None:
    """However opaque many such Gaussians behind each other are."""
    sheet = sphere(300)
    camera, scene = looking_at_origin(np.array([0.0, 0.0, -4.0]), 48), gaussians_on(sheet)
    faint = replace(scene, opacities=torch.full_like(scene.opacities, -4.0))
    assert bool((surface_view(scene, camera, 0.01, depths=LevelDepths()).depths > 0).any())
    assert bool((surface_view(faint, camera, 0.01).depths > 0).any())
    assert not bool((surface_view(faint, camera, 0.01, depths=LevelDepths()).depths > 0).any())


def test_depths_do_not_depend_on_the_scene_seen_before() -> None:
    camera = looking_at_origin(np.array([0.0, 0.0, -4.0]), 48)
    used, scene = LevelDepths(), gaussians_on(sphere(400))
    surface_view(gaussians_on(sphere(300)), camera, 0.5, depths=used)
    again, fresh = (surface_view(scene, camera, 0.5, depths=by) for by in (used, LevelDepths()))
    assert torch.equal(again.depths, fresh.depths)


@pytest.mark.parametrize(("name", "resolution"), [("sphere", 80), ("torus", 96)])
def test_a_sheet_is_found_where_it_is(name: str, resolution: int) -> None:
    """The chamfer distance is at most s_n and a tenth of the spacing; 99 % of vertices are within 3 s_n."""
    sheet = SHEETS[name]()
    settings = MeshSettings(resolution=resolution)
    mesh = mesh_of(gaussians_on(sheet), twelve_views(size=128), BOX, settings, by="level")
    off = sheet.distance(surface_samples(mesh, 20_000)[0]).mean()
    missing = distances_to_mesh(sheet.points, mesh).mean()
    assert (off + missing) / 2 <= THICKNESS / 2
    assert np.mean(sheet.distance(mesh.vertices.astype(np.float64)) <= 3 * THICKNESS) >= 0.99
    assert mesh.is_watertight
