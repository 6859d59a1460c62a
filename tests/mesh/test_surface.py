"""The surface of a pixel lies where its ray meets the Gaussian, not at the depth of the centre."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sheets import looking_at_origin

from gsplat_core.mesh.surface import pixel_rays, surface_view
from gsplat_core.scene.gaussians import Gaussians

CAMERA = looking_at_origin(np.array([0.0, 0.0, -4.0]), 64)


def one(scales: list[float], turn: float) -> Gaussians:
    """A Gaussian at the origin, turned about x."""
    return Gaussians(
        means=torch.zeros(1, 3),
        quats=torch.tensor([[np.cos(turn / 2), np.sin(turn / 2), 0, 0]], dtype=torch.float32),
        scales=torch.tensor([scales]).log(),
        opacities=torch.full((1,), 8.0),
        sh0=torch.zeros(1, 1, 3),
        shN=torch.zeros(1, 0, 3),
    )


@pytest.mark.parametrize("turn", [0.0, 0.5, -1.0])
@pytest.mark.parametrize(("primitive", "third"), [("gaussian", 1e-4), ("2dgs", 0.3)])
def test_a_thin_disc_is_the_plane_that_it_lies_in(primitive: str, third: float, turn: float) -> None:
    """A surfel is one whatever its third scale is."""
    disc = replace(one([0.5, 0.5, third], turn), primitive=primitive)
    view = surface_view(disc, CAMERA, 0.5)
    known = view.weights > 0
    assert known.sum() > 100
    rays = pixel_rays(CAMERA, view.depths)
    normal = torch.tensor([0.0, -np.sin(turn), np.cos(turn)], dtype=torch.float32)
    center = torch.from_numpy(CAMERA.center).float()
    plane = -(center @ normal) / (rays @ normal)
    assert (view.depths[known] - plane[known]).abs().max() < 2e-3
    assert torch.equal(view.depths[~known], torch.zeros(int((~known).sum())))


def test_a_ball_is_met_at_the_point_of_the_ray_nearest_to_its_centre() -> None:
    view = surface_view(one([0.4, 0.4, 0.4], 0.3), CAMERA, 0.5)
    known = view.weights > 0
    rays = pixel_rays(CAMERA, view.depths)
    places = torch.from_numpy(CAMERA.center).float() + view.depths[..., None] * rays
    assert (places * rays).sum(-1)[known].abs().max() < 1e-4


def test_straight_views_count_more_than_those_from_aside() -> None:
    straight, tilted = (surface_view(one([0.5, 0.5, 1e-3], turn), CAMERA, 0.5) for turn in (0.0, 1.0))
    assert float(straight.weights[32, 32]) == pytest.approx(0.99, abs=0.02)
    assert float(tilted.weights[32, 32] / straight.weights[32, 32]) == pytest.approx(
        np.cos(1.0) ** 2, rel=0.05
    )


def test_what_is_transparent_or_masked_has_no_surface() -> None:
    scene = one([0.5, 0.5, 1e-3], 0.0)
    everything, opaque = (surface_view(scene, CAMERA, share).weights > 0 for share in (0.1, 0.9))
    assert 0 < opaque.sum() < everything.sum()
    kept = torch.zeros(64, 64, dtype=torch.bool)
    kept[:, :32] = True
    masked = surface_view(scene, CAMERA, 0.1, kept).weights > 0
    assert torch.equal(masked, everything & kept)


def test_other_lenses_are_looked_at_through_a_pinhole_without_their_masks() -> None:
    scene = one([0.5, 0.5, 1e-3], 0.4)
    fisheye = replace(CAMERA, model="fisheye", lens=(0.1, 0.0, 0.0, 0.0))
    through = surface_view(scene, fisheye, 0.5, torch.zeros(64, 64, dtype=torch.bool))
    assert through.camera.model == "pinhole"
    assert torch.equal(through.depths, surface_view(scene, CAMERA, 0.5).depths)
