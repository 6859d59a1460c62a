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


def test_isolation_is_the_mean_distance_in_own_sizes_where_it_is_unusual() -> None:
    scene = typical_scene(400, 0)
    scene.means[:20] *= 5
    near = torch.cdist(scene.means.double(), scene.means.double()).sort(dim=1).values[:, 1:9].mean(dim=1)
    unusual = near > 3 * near.sort().values[199]
    assert 5 < unusual.sum() < 40
    expected = torch.where(unusual, near / scene.scales.double().exp().amax(dim=1), 0.0)
    torch.testing.assert_close(outliers.isolation(scene).double(), expected, rtol=1e-4, atol=1e-4)


def test_isolation_does_not_depend_on_the_unit() -> None:
    scene = tiny(typical_scene(200, 0))
    assert (outliers.isolation(scene) > 0).any()
    larger = Gaussians.of(
        {**scene.params, "means": 1000 * scene.means, "scales": scene.scales + math.log(1000)}
    )
    torch.testing.assert_close(outliers.isolation(larger), outliers.isolation(scene), rtol=1e-3, atol=1e-3)


def test_a_large_scene_is_counted_in_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """A surface whose Gaussians are as large as they are apart, and specks."""
    scene = typical_scene(8000, 0)
    g = torch.Generator().manual_seed(0)
    scene.means[:] = 10 * torch.rand(8000, 3, generator=g) * torch.tensor([1.0, 1.0, 0.0])
    scene.means[:400] = 60 * torch.rand(400, 3, generator=g) + 30
    scene.scales[:] = -3
    whole = outliers.survey(scene)
    assert outliers.sampled(scene) == 1
    monkeypatch.setattr(outliers, "SAMPLE", 2000)
    assert outliers.sampled(scene) == 4
    sampled = outliers.survey(scene)
    assert whole["isolated"] == 400
    assert sampled["isolated"] == pytest.approx(400, rel=0.2)
    assert {**sampled, "isolated": 0} == {**whole, "isolated": 0}
