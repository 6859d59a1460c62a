"""What the photographs hardly show goes, or without any what stands out; the rest stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gsplat_core.apps.clean import Config, run, unphotographed
from gsplat_core.contributions import contributions
from gsplat_core.errors import UsageError
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.similarity import Similarity
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
    assert text.splitlines()[0] == f"removed {scene.num - cleaned.num} of {scene.num} Gaussians"
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


def cloud(*strays: tuple[tuple[float, float, float], float, float], num: int = 300) -> Gaussians:
    """A dense cloud of radius about 1 and after it strays: centre, standard deviation, opacity."""
    random = torch.Generator().manual_seed(1)
    means = torch.nn.functional.normalize(torch.randn(num, 3, generator=random))
    means = torch.cat([means, torch.tensor([stray[0] for stray in strays]).reshape(-1, 3)])
    sizes = torch.cat([torch.full((num,), 0.02), torch.tensor([stray[1] for stray in strays])])
    alphas = torch.cat([torch.full((num,), 0.8), torch.tensor([stray[2] for stray in strays])])
    scene = Gaussians(
        means, torch.tensor([1.0, 0, 0, 0]).repeat(len(means), 1), sizes.log()[:, None].repeat(1, 3),
        alphas.logit(), torch.zeros(len(means), 1, 3), torch.zeros(len(means), 0, 3),
    )  # fmt: skip
    scene.extras = {
        "number": torch.arange(len(means)),
        "label": torch.arange(len(means), dtype=torch.int32) % 5,
        "frozen": torch.arange(len(means)) % 2 == 0,
    }
    return scene


FAINT, LARGE, FAR, ALONE = ((1, 0, 0), 0.02, 0.003), ((0, 1, 0), 8, 0.5), ((0, 0, 150), 50, 0.5), (
    (0, 0, 5), 0.02, 0.5,
)  # fmt: skip
STRAYS = cloud(FAINT, LARGE, FAR, ALONE)


def removed(scene: Gaussians, cameras=(), **settings: float) -> list[int]:
    cleaned, _ = run(scene, cameras, unphotographed(Config(**settings)))  # type: ignore[arg-type]
    return sorted(set(range(scene.num)) - set(cleaned.extras["number"].tolist()))


def test_without_photographs_what_stands_out_goes() -> None:
    off = {"min_opacity": 0.0, "max_size": torch.inf, "max_distance": torch.inf, "max_isolation": torch.inf}
    num = STRAYS.num - 4
    assert removed(STRAYS, **off) == []
    assert removed(STRAYS, **off | {"min_opacity": 1 / 255}) == [num]
    assert removed(STRAYS, **off | {"max_size": 5.0}) == [num + 1, num + 2]
    assert removed(STRAYS, **off | {"max_distance": 100.0}) == [num + 2]
    assert removed(STRAYS, **off | {"max_isolation": 12.0}) == [num + 3]
    assert removed(STRAYS) == [num, num + 1, num + 2, num + 3]
    assert removed(cloud()) == []


def test_each_rule_says_what_it_removed_and_fields_follow() -> None:
    cleaned, text = run(STRAYS, (), unphotographed(Config()))
    lines = text.splitlines()
    assert lines[0] == f"removed 4 of {STRAYS.num} Gaussians"
    counts = {line.split("(--")[1].rstrip(")"): int(line.split()[0]) for line in lines[1:]}
    assert counts == {"min-opacity": 1, "max-size": 2, "max-distance": 1, "max-isolation": 1}
    rows = cleaned.extras["number"]
    for name in ("label", "frozen"):
        assert torch.equal(cleaned.extras[name], STRAYS.extras[name][rows])


def test_a_scene_may_be_of_any_length_and_anywhere() -> None:
    """Rules are relative to the scene."""
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    moved = STRAYS.transformed(Similarity(turn, torch.tensor([500.0, 0, 0]), 20.0))
    assert removed(moved) == removed(STRAYS)


def test_with_photographs_such_rules_are_asked_for(cameras) -> None:
    kept = run(STRAYS, cameras, Config(min_weight=0, min_views=0))[0]
    assert kept.num == STRAYS.num
    kept = run(STRAYS, cameras, Config(min_weight=0, min_views=0, max_size=5))[0]
    assert kept.num == STRAYS.num - 2


def test_views_around_a_scene_are_asked_for(scene, cameras) -> None:
    assert removed(scene, cameras, max_isolation=torch.inf) == []
    assert MIDDLE in removed(scene, cameras, max_isolation=torch.inf, min_views=1)


@pytest.mark.parametrize("num", [1, 2, 9, 17])
def test_a_few_gaussians_stay(num: int) -> None:
    assert removed(cloud(num=num)) == []
    one_place = cloud(num=num)
    one_place.means[:] = 0.0
    assert removed(one_place) == []


@pytest.mark.parametrize(
    "values",
    [
        {"min_weight": -0.1},
        {"min_weight": 2.0},
        {"min_views": -1},
        {"min_opacity": 1.5},
        {"max_size": -1.0},
        {"max_distance": -1.0},
        {"max_isolation": float("nan")},
    ],
)
def test_settings_that_make_no_sense(values) -> None:
    with pytest.raises(UsageError, match="must"):
        Config(**values)
