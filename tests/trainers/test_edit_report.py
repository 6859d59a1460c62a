"""Inside and outside of a region are told apart by what it makes up of the pixels."""

from __future__ import annotations

import edited_scenes
import pytest
import torch

from gsplat_core.render.scene import render
from gsplat_core.scene.dataset import View
from trainers.edit_report import measure, share_of


@pytest.fixture(scope="module")
def example() -> edited_scenes.Edit:
    return edited_scenes.edit(seed=3, each=20, side=24, views=3)


def test_shares_of_a_region_and_of_the_rest_are_all_that_is_seen(example) -> None:
    scene, camera = example.before, example.cameras[0]
    alphas = render(scene, camera).alphas[0, ..., 0]
    shares = [share_of(scene, rows, camera) for rows in (example.region, ~example.region)]
    torch.testing.assert_close(shares[0] + shares[1], alphas)
    everything = torch.ones(scene.num, dtype=torch.bool)
    torch.testing.assert_close(share_of(scene, everything, camera), alphas)


def test_both_places_are_measured_against_the_pictures(example) -> None:
    before, after = example.before, example.after
    views, targets = [], []
    for camera in example.cameras:
        mask = torch.zeros(24, 24, dtype=torch.bool)
        mask[:, 4:] = True
        views.append(View(camera, lambda: pytest.fail("no photograph is needed"), lambda m=mask: m.numpy()))
        picture = (render(after, camera).colors[0].clamp(0, 1) * 255).round().byte()
        picture[:, :4] = 0  # wrong where nothing counts
        targets.append(picture)
    found = measure(before, after, example.region, views, targets, "black")
    assert found["inside_before"] < 20
    assert min(found["inside_after"], found["outside_after"]) > 50
    nowhere = torch.zeros(before.num, dtype=torch.bool)
    alone = measure(before, before, nowhere, views, targets, "black")
    assert alone["inside_before"] is None
    assert alone["outside_before"] == alone["outside_after"] < 30
