"""What stands out of a scene, against brute force and planted strays."""

from __future__ import annotations

import math

import pytest
import torch
from splat_files import typical_scene

from gsplat_core import outliers
from gsplat_core.scene.gaussians import Gaussians


def tiny(scene: Gaussians) -> Gaussians:
    """So small that none reaches another."""
    scene.scales[:] = -12
    return scene


def test_the_middle_and_the_radius_are_medians_by_opacity() -> None:
    scene = typical_scene(501)
    bulk = outliers.extent(scene)
    weights = scene.opacities.double().sigmoid()
    for axis in range(3):
        below = weights[scene.means[:, axis] < bulk.middle[axis]].sum() / weights.sum()
        assert below <= 0.5 < below + weights.max() / weights.sum()
    near = (scene.means.double() - bulk.middle).norm(dim=1)
    assert bulk.radius in near.tolist()
    share = weights[near < bulk.radius].sum() / weights.sum()
    assert share <= 0.5 < share + weights.max() / weights.sum()


def test_strays_hardly_move_the_measure() -> None:
    scene = typical_scene(1000)
    before = outliers.extent(scene)
    scene.means[:5] = 1e6
    after = outliers.extent(scene)
    assert after.radius == pytest.approx(before.radius, rel=0.05)
    assert float((after.middle - before.middle).abs().max()) < 0.2 * before.radius


def test_distances_and_sizes_are_in_radii() -> None:
    scene = typical_scene(50)
    bulk = outliers.extent(scene)
    for row in range(50):
        distance = math.dist(scene.means[row].double().tolist(), bulk.middle.tolist()) / bulk.radius
        assert float(outliers.distances(scene, bulk)[row]) == pytest.approx(distance, rel=1e-5)
        size = math.exp(scene.scales[row].max()) / bulk.radius
        assert float(outliers.sizes(scene, bulk)[row]) == pytest.approx(size, rel=1e-5)


def test_isolation_is_of_the_logarithm_of_the_mean_distance() -> None:
    scene = tiny(typical_scene(200, 0))
    near = torch.cdist(scene.means.double(), scene.means.double()).sort(dim=1).values[:, 1:9].mean(dim=1)
    middle = near.log().median()
    expected = (near.log() - middle) / (1.4826 * (near.log() - middle).abs().median())
    torch.testing.assert_close(outliers.isolation(scene).double(), expected, rtol=1e-3, atol=1e-3)


def test_what_reaches_its_neighbours_is_not_isolated() -> None:
    scene = tiny(typical_scene(200, 0))
    lonely = outliers.isolation(scene) > 1
    assert lonely.any()
    scene.scales[lonely, 1] = 3.0
    assert not (outliers.isolation(scene)[lonely] > 0).any()


def test_isolation_does_not_depend_on_the_unit() -> None:
    scene = tiny(typical_scene(200, 0))
    larger = Gaussians.of(
        {**scene.params, "means": 1000 * scene.means, "scales": scene.scales + math.log(1000)}
    )
    torch.testing.assert_close(outliers.isolation(larger), outliers.isolation(scene), rtol=1e-3, atol=1e-3)


def test_a_large_scene_is_counted_in_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a surface, where distances grow by the square root."""
    scene = tiny(typical_scene(8000, 0))
    scene.means[:, 2] = 0
    scene.means[:400] += torch.rand(400, 3, generator=torch.Generator().manual_seed(0)) * 60 + 30
    whole = outliers.survey(scene)
    assert outliers.sampled(scene) == 1
    monkeypatch.setattr(outliers, "SAMPLE", 2000)
    assert outliers.sampled(scene) == 4
    sampled = outliers.survey(scene)
    assert 200 < whole["isolated"] <= 450
    assert sampled["isolated"] == pytest.approx(whole["isolated"], rel=0.3)
    assert {**sampled, "isolated": 0} == {**whole, "isolated": 0}
