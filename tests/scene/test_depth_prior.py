"""How deep photographs of a wall are taken to be before anything is trained."""

from __future__ import annotations

import pytest
import torch
from textured_wall import camera, wall

from gsplat_core.scene.dataset import Dataset, Points, View
from gsplat_core.scene.depth_alignment import inverse
from gsplat_core.scene.depth_prior import depth_prior
from gsplat_core.scene.known_depths import KnownDepth
from gsplat_core.scene.scale import SceneScale

XS = (-0.4, 0.0, 0.4)


@pytest.fixture(scope="module")
def photographed():
    """A capture without points, and its true inverse depths."""
    pictures, truths = zip(*(wall(camera(x)) for x in XS), strict=True)
    views = [
        View(picture.camera, lambda image=picture.image: (image * 255).round().byte().numpy())
        for picture in pictures
    ]
    none = Points(torch.zeros(0, 3), torch.zeros(0, 3))
    return Dataset(views, [], none, SceneScale.of_extent(5.0)), truths


def wrong(found, truth):
    """The mean error of a depth, as a share of it."""
    return float((truth / found - 1).abs().mean())


def test_photographs_alone_tell_it(photographed) -> None:
    dataset, truths = photographed
    prior = depth_prior(dataset)
    assert not prior.unsure
    assert "a plane sweep" in prior.told
    for found, truth in zip(prior.inverse, truths, strict=True):
        assert wrong(found, truth) < 0.05


def test_one_photograph_is_as_deep_as_the_scene_or_as_its_map_says(photographed) -> None:
    dataset, truths = photographed
    alone = Dataset(dataset.train[:1], [], dataset.points, dataset.scale)
    prior = depth_prior(alone)
    assert prior.unsure
    torch.testing.assert_close(prior.inverse[0], torch.full_like(truths[0], 1.2 / 5.0))
    q = inverse(1 / truths[0], dataset.train[0].camera.near)
    q[10:20, 10:20] = torch.nan
    prior = depth_prior(alone, {0: KnownDepth(lambda width, height: q)})
    assert wrong(prior.inverse[0], truths[0]) < 0.01


def test_a_map_is_corrected_where_photographs_contradict_it(photographed) -> None:
    dataset, truths = photographed
    q = inverse(1.5 / truths[1], dataset.train[1].camera.near)
    prior = depth_prior(dataset, {1: KnownDepth(lambda width, height: q)})
    assert wrong(prior.inverse[1], truths[1]) < 0.05
