"""What the photographs hardly show goes, and what they show stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gsplat_core.apps.clean import Config, run
from gsplat_core.contributions import contributions
from gsplat_core.errors import UsageError
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians
from trainers.camera_paths import Orbit, default_lens
from trainers.evaluation import render

# A cloud of Gaussians in the middle; then one behind the backs of both cameras, and one that only the first
# of them has close before its lens.
MIDDLE = 60


@pytest.fixture
def cameras() -> list[Camera]:
    up = np.array([0.0, 0.0, 1.0])
    return Orbit(np.zeros(3), up, radius=4.0, elevation=0.3).cameras(6, default_lens(64, 48))[:2]


@pytest.fixture
def scene(cameras: list[Camera]) -> Gaussians:
    random = torch.Generator().manual_seed(0)
    place = torch.linalg.inv(torch.as_tensor(cameras[0].viewmat, dtype=torch.float32))
    before_lens, behind = ((place @ torch.tensor([0, 0, z, 1.0]))[:3] for z in (0.4, -3.0))
    means = torch.cat([torch.rand(MIDDLE, 3, generator=random) - 0.5, torch.stack([behind * 4, before_lens])])
    num = len(means)
    scales = torch.full((num, 3), 0.15).log()
    scales[-1] = torch.tensor(0.02).log()
    return Gaussians(
        means,
        torch.tensor([1.0, 0, 0, 0]).repeat(num, 1),
        scales,
        torch.full((num,), 0.5),
        torch.rand(num, 1, 3, generator=random),
        torch.zeros(num, 0, 3),
        extras={"number": torch.arange(num)},
    )


def left(scene: Gaussians, cameras: list[Camera], **settings: float) -> list[int]:
    cleaned, text = run(scene, cameras, Config(**settings))  # type: ignore[arg-type]
    assert text == f"removed {scene.num - cleaned.num} of {scene.num} Gaussians"
    return cleaned.extras["number"].tolist()


def test_what_no_photograph_shows_goes_and_no_image_changes(scene, cameras) -> None:
    cleaned, _ = run(scene, cameras, Config(min_weight=0.0))
    assert cleaned.extras["number"].tolist() == [*range(MIDDLE), MIDDLE + 1]
    for camera in cameras:
        assert torch.equal(render(cleaned, camera), render(scene, camera))


def test_a_speck_before_one_lens_goes_if_two_must_see_it(scene, cameras) -> None:
    assert MIDDLE + 1 in left(scene, cameras, min_weight=0.02)
    assert left(scene, cameras, min_weight=0.0, min_views=2) == [*range(MIDDLE)]


def test_what_makes_up_less_than_the_bound_of_every_pixel_goes(scene, cameras) -> None:
    weights = contributions(scene, cameras).largest_weight
    bound = float(weights.sort().values[10])
    kept = left(scene, cameras, min_weight=bound, min_views=0)
    assert kept == (weights >= bound).nonzero().squeeze(1).tolist()
    assert len(kept) == scene.num - 10
    assert left(scene, cameras, min_weight=0, min_views=0) == list(range(scene.num))


def test_a_scene_of_which_nothing_would_be_left_is_refused(scene, cameras) -> None:
    with pytest.raises(UsageError, match="No Gaussian would be left"):
        run(scene, cameras, Config(min_views=7))


@pytest.mark.parametrize("values", [{"min_weight": -0.1}, {"min_weight": 2.0}, {"min_views": -1}])
def test_settings_that_make_no_sense(values) -> None:
    with pytest.raises(UsageError, match="must"):
        Config(**values)
