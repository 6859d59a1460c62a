"""Colours fitted to a scene beside: a cast goes, what is in the target stays, and nothing but colours
changes."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import pytest
import torch
from harmonized_halves import GAINS, edge_correlation, hue_distance, with_cast
from scipy import ndimage
from splats import one_thread

from gsplat_core.apps import boundary
from gsplat_core.apps.boundary import drivers, find_boundary
from gsplat_core.apps.harmonize import Config, Harmonized, cameras_around, harmonize, harmonized, sobel
from gsplat_core.errors import UsageError
from gsplat_core.io.pieces import Pieces
from gsplat_core.render.cameras import Cameras
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import rgb_of, sh0_of

SMALL = Config(steps=60, views=6, image_size=48)


@pytest.fixture(autouse=True)
def _one_thread():
    with one_thread():
        yield


def sheet(side: int = 36) -> Gaussians:
    """An opaque, wavy sheet with colours of its own everywhere, which depend a little on the direction."""
    g = torch.Generator().manual_seed(0)
    x, y = torch.meshgrid(torch.linspace(-1, 1, side), torch.linspace(-1, 1, side), indexing="ij")
    x, y = x.flatten(), y.flatten()
    num = len(x)
    texture = torch.rand(num, 3, generator=g) - 0.5
    waves = torch.stack([(3 * x + 2 * y).sin(), (2 * y - x).cos(), (4 * x * y).sin()], dim=1)
    return Gaussians(
        means=torch.stack([x, y, 0.2 * (3 * x).sin()], dim=1) + 0.004 * torch.randn(num, 3, generator=g),
        quats=torch.tensor([[1.0, 0, 0, 0]]).expand(num, 4).contiguous(),
        scales=torch.tensor([1.5 / side, 1.5 / side, 0.01]).log().expand(num, 3).contiguous(),
        opacities=torch.full((num,), 5.0),
        sh0=sh0_of(0.5 + 0.25 * waves + 0.15 * texture)[:, None],
        shN=0.02 * torch.randn(num, 3, 3, generator=g),
    )


def halves() -> tuple[Gaussians, Gaussians]:
    whole = sheet()
    left = whole.means[:, 0] < 0
    return whole.subset(left), whole.subset(~left)


@cache
def fitted() -> Harmonized:
    source, truth = halves()
    return harmonize(source, with_cast(truth), SMALL)


def elsewhere() -> list[Cameras]:
    """Cameras that the training did not have."""
    return cameras_around(torch.zeros(3), 2.5, 4, 64, seed=7)


def test_the_cast_goes() -> None:
    _, truth = halves()
    before, after = (hue_distance(s, truth, elsewhere()) for s in (with_cast(truth), fitted().target))
    assert before > 0.3
    assert after < before / 3


def test_the_seam_goes() -> None:
    """Of Gaussians on both sides of it, mean colours come together."""
    source, truth = halves()
    near, there = source.means[:, 0] > -0.12, truth.means[:, 0] < 0.12

    def apart(target: Gaussians) -> float:
        sides = [rgb_of(s.sh0[rows, 0]).mean(0) for s, rows in ((source, near), (target, there))]
        return float((sides[0] - sides[1]).norm())

    assert apart(fitted().target) < apart(with_cast(truth)) / 5
    assert fitted().seam[1] < fitted().seam[0] / 5


def test_what_is_to_be_seen_in_the_target_stays() -> None:
    """The strength of its edges is that of before."""
    _, truth = halves()
    assert edge_correlation(with_cast(truth), fitted().target, elsewhere()) > 0.9


def test_nothing_but_colours_changes() -> None:
    source, truth = halves()
    target = replace(with_cast(truth), extras={"label": torch.arange(truth.num, dtype=torch.int32)})
    before = target.cloned()
    after = harmonize(source, target, replace(SMALL, steps=3)).target
    for name in ("means", "quats", "scales", "opacities"):
        assert torch.equal(after.params[name], before.params[name])
    assert torch.equal(after.extras["label"], before.extras["label"])
    assert not torch.equal(after.sh0, before.sh0)
    assert all(torch.equal(tensor, before.params[name]) for name, tensor in target.params.items())


def test_frozen_rows_keep_their_colours() -> None:
    source, truth = halves()
    frozen = torch.arange(truth.num) % 3 == 0
    target = replace(with_cast(truth), extras={"frozen": frozen})
    after = harmonize(source, target, replace(SMALL, steps=3)).target
    assert torch.equal(after.sh0[frozen], target.sh0[frozen])
    assert torch.equal(after.shN[frozen], target.shN[frozen])
    assert (after.sh0 != target.sh0).flatten(1).any(1)[~frozen].all()


def test_each_scene_keeps_its_degree() -> None:
    source, truth = halves()
    for degrees in ((0, 2), (3, 0)):
        after = harmonize(
            source.with_sh_degree(degrees[0]),
            with_cast(truth).with_sh_degree(degrees[1]),
            replace(SMALL, steps=2),
        ).target
        assert after.sh_degree == degrees[1]


def test_gains_are_those_of_the_cast() -> None:
    torch.testing.assert_close(torch.tensor(fitted().gains), 1 / torch.tensor(GAINS), rtol=0.1, atol=0)
    source, truth = halves()
    assert harmonize(source, truth, replace(SMALL, remove_cast=False, steps=0)).gains == (1, 1, 1)


def only(**weights: float) -> Config:
    """One loss, from the target's own colours."""
    none = {"feature": 0.0, "color": 0.0, "gradient": 0.0, "tune": 0.0}
    return replace(SMALL, remove_cast=False, lr=5e-3, steps=100, **{**none, **weights})


def test_features_of_the_boundary_become_those_of_its_neighbours() -> None:
    source, truth = halves()
    target = with_cast(truth)
    after = harmonize(source, target, only(feature=1.0)).target
    seam = find_boundary(source, target, 0.1, 0.95, 8, 8)
    wanted = source.sh0[seam.neighbours].mean(1)
    before, now = ((s.sh0[seam.rows] - wanted).square().mean() for s in (target, after))
    assert now < before / 3
    changed = (after.sh0 != target.sh0).flatten(1).any(1)
    assert not changed[target.means[:, 0] > 0.5].any()


def test_gradients_alone_ask_for_no_change() -> None:
    source, truth = halves()
    target = with_cast(truth)
    after = harmonize(source, target, only(gradient=2.0)).target
    torch.testing.assert_close(after.sh0, target.sh0, atol=1e-3, rtol=0)


def test_colours_come_from_the_boundary_and_from_the_palette() -> None:
    source, truth = halves()
    target = with_cast(truth)
    for loss in ("color", "tune"):
        after = harmonize(source, target, only(**{loss: 1.0})).target
        far = target.means[:, 0] > 0.5
        assert not torch.equal(after.sh0[far], target.sh0[far])


def test_it_does_the_same_again() -> None:
    source, truth = halves()
    again = [harmonize(source, with_cast(truth), replace(SMALL, steps=4)).target for _ in range(2)]
    assert torch.equal(again[0].sh0, again[1].sh0)


def test_parts_are_fitted_one_after_the_other() -> None:
    whole = sheet()
    x = whole.means[:, 0]
    parts = [whole.subset(x < -0.3), whole.subset((x >= -0.3) & (x < 0.3)), whole.subset(x >= 0.3)]
    wrong = [Pieces.of(part if number == 0 else with_cast(part)) for number, part in enumerate(parts)]
    done, told = harmonized(wrong, replace(SMALL, steps=20))
    assert done[0] is wrong[0]
    assert len(told) == 2
    for part, pieces, before in zip(parts[1:], done[1:], wrong[1:], strict=True):
        after = pieces.whole()
        assert (after.sh0 - part.sh0).abs().mean() < (before.whole().sh0 - part.sh0).abs().mean() / 3


def test_scenes_that_do_not_touch_are_refused() -> None:
    source, truth = halves()
    away = Gaussians.of({**truth.params, "means": truth.means + 5})
    with pytest.raises(UsageError, match=r"do not touch.*--transform"):
        harmonize(source, away)
    with pytest.raises(UsageError, match="more than 8"):
        harmonize(source.subset(slice(0, 3)), truth)
    with pytest.raises(UsageError, match="two scenes"):
        harmonized([Pieces.of(source)])


@pytest.mark.parametrize(
    "setting", [{"reach": 0.0}, {"opacity": 1.5}, {"tune": -1.0}, {"lr": math.nan}, {"palette": 0}]
)
def test_settings_out_of_range_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(setting))):
        Config(**setting)  # type: ignore[arg-type]


def test_the_boundary_is_near_and_opaque() -> None:
    source, target = halves()
    target = replace(target, opacities=torch.linspace(8, -1, target.num))
    found = find_boundary(source, target, 0.2, 0.95, 8, 8)
    distances = torch.cdist(target.means, source.means).sort(dim=1)[0][:, :8].mean(1)
    expected = ((distances < 0.2) & (target.opacities.sigmoid() > 0.95)).nonzero()[:, 0]
    assert len(expected) > 8
    assert torch.equal(found.rows, expected)
    assert torch.equal(found.neighbours[:, 0], torch.cdist(target.means[expected], source.means).argmin(1))


def test_where_too_few_are_opaque_the_most_opaque_ones_are_taken() -> None:
    source, target = halves()
    target = replace(target, opacities=torch.linspace(2, -3, target.num))
    found = find_boundary(source, target, 0.2, 0.95, 8, 20)
    near = torch.cdist(target.means, source.means).sort(dim=1)[0][:, :8].mean(1) < 0.2
    assert len(found.rows) == 20
    assert target.opacities[found.rows].min() >= target.opacities[near].sort(descending=True)[0][19]


def test_of_large_scenes_some_are_the_boundary(monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = halves()
    whole = find_boundary(source, target, 0.2, 0.95, 8, 8)
    monkeypatch.setattr(boundary, "_MOST", 10)
    some = find_boundary(source, target, 0.2, 0.95, 8, 8)
    assert 5 <= len(some.rows) <= 10
    places = torch.isin(whole.rows, some.rows)
    assert places.sum() == len(some.rows)
    assert torch.equal(whole.neighbours[places], some.neighbours)


def test_drivers_are_the_nearest_ones_where_nothing_waves() -> None:
    g = torch.Generator().manual_seed(0)
    places, edge = torch.randn(30, 3, generator=g), torch.randn(20, 3, generator=g)
    near = torch.cdist(places, edge).argsort(dim=1, stable=True)[:, :5]
    assert torch.equal(drivers(places, edge, 2.0, 0.0, 5), near)
    waving = drivers(places, edge, 2.0, 10.0, 5)
    assert not torch.equal(waving, near)
    assert drivers(places, edge[:3], 2.0, 10.0, 5).shape == (30, 3)


def test_sobel_is_that_of_others() -> None:
    image = torch.rand(9, 7, 2, generator=torch.Generator().manual_seed(0))
    for axis, found in ((1, sobel(image)[0]), (0, sobel(image)[1])):
        for channel in range(2):
            theirs = torch.from_numpy(ndimage.sobel(image[..., channel].numpy(), axis))[1:-1, 1:-1]
            torch.testing.assert_close(found[..., channel], theirs)


def test_cameras_look_at_the_middle_from_all_around() -> None:
    middle = torch.tensor([1.0, 2, 3]).double()
    cameras = cameras_around(middle, 2.0, 200, 64, seed=0)
    outward = []
    for camera in cameras:
        place = camera.viewmats[0].double() @ torch.cat([middle, torch.ones(1).double()])
        torch.testing.assert_close(place[:2], torch.zeros(2).double(), atol=1e-5, rtol=0)
        assert place[2] == pytest.approx(2.2)
        outward.append(camera.viewmats[0, 2, :3])
    assert torch.stack(outward).mean(0).norm() < 0.2
