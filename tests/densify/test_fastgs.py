"""FastGS: who multiplies and who goes, by what views agree on."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from gsplat_core.densify import Guidance, Lens, SceneView, Strategy
from gsplat_core.densify.edits import Edit, Prune
from gsplat_core.densify.fastgs import FastGS, FastGSConfig
from gsplat_core.densify.views import Shares
from gsplat_core.losses import l1_dssim

SIDE = 16
NUM = 4


class Listener(Strategy):
    """Grows at multiples of 100 up to 1000, and notes the guidance it was given."""

    ends = 1000  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.guidance: list[Guidance] = []

    def grows_at(self, step: int) -> bool:
        return step < self.ends and step % 100 == 0

    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        self.guidance.append(view.guidance)
        return []


class Quarters:
    """Black photographs, of which Gaussian i covers a square, evenly with weight 1/2; renderings that are
    brighter there as told, in each view."""

    def __init__(self, brightness: list[list[float]]) -> None:
        self.brightness = torch.tensor(brightness)
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self.brightness)

    def lens(self, index: int) -> Lens:
        return Lens(torch.eye(4), torch.eye(3), SIDE, SIDE)

    def points_seen(self, index: int) -> tuple[Tensor, Tensor]:
        return torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3)

    def photograph(self, index: int) -> Tensor:
        return torch.zeros(SIDE, SIDE, 3)

    def footprint(self, row: int) -> tuple[slice, slice]:
        half = SIDE // 2
        y, x = divmod(row, 2)
        return slice(y * half, y * half + half), slice(x * half, x * half + half)

    def image(self, params: Mapping[str, Tensor], index: int) -> Tensor:
        self.asked.append(index)
        image = torch.zeros(SIDE, SIDE, 3)
        for row, value in enumerate(self.brightness[index]):
            image[self.footprint(row)] = value
        return image

    def depth(self, params: Mapping[str, Tensor], index: int) -> tuple[Tensor, Tensor]:
        return torch.ones(SIDE, SIDE), torch.ones(SIDE, SIDE)

    def shares(self, params: Mapping[str, Tensor], index: int) -> Shares:
        pixels = torch.full((NUM,), SIDE**2 / 4)
        ones = torch.ones(NUM)
        return Shares(pixels / 2, pixels, ones / 2, ones.int() * 4, ones)

    def weighted_shares(self, params: Mapping[str, Tensor], index: int, importance: Tensor) -> Tensor:
        return torch.stack([importance[self.footprint(row)].sum() / 2 for row in range(NUM)])


def seen_by(views: Quarters) -> SceneView:
    return SceneView({"means": torch.zeros(NUM, 3)}, 1.0, views=views)


def test_only_those_with_many_wrong_pixels_in_the_mean_over_views_multiply() -> None:
    # Scaled to [0, 1] in each view: the last one is dim, but wrong where it is brightest.
    views = Quarters([[1.0, 0.0, 0.2, 0.04], [1.0, 0.0, 0.02, 0.04], [0.01, 0.0, 0.0, 0.0]])
    for pixels, expected in ((5.0, [1, 0, 1, 0]), (64 / 3 - 0.1, [1, 0, 1, 0]), (64 / 3 + 0.1, [1, 0, 0, 0])):
        base = Listener()
        FastGS(base, FastGSConfig(pixels=pixels)).on_step(200, seen_by(views))
        (guidance,) = base.guidance
        assert guidance.eagerness is not None
        assert guidance.eagerness.tolist() == expected


def test_who_is_where_views_with_large_losses_are_wrong_leaves() -> None:
    views = Quarters([[1.0, 0.0, 0.5, 0.0], [0.0, 0.1, 0.0, 0.0], [0.0, 0.2, 0.0, 0.0]])
    losses = [
        float(l1_dssim(views.image({}, i)[None], views.photograph(i)[None], 0.2)) for i in range(len(views))
    ]
    scores = torch.tensor([losses[0], losses[1] + losses[2], losses[0], 0.0])
    scores /= scores.max()
    for threshold in (0.0, float(scores[1]) - 0.01, float(scores[1]) + 0.01, 1.0):
        base = Listener()
        FastGS(base, FastGSConfig(prune=threshold)).on_step(200, seen_by(views))
        (guidance,) = base.guidance
        assert guidance.leaving is not None
        assert guidance.leaving.tolist() == (scores > threshold).tolist()


def test_after_growth_they_are_removed_at_longer_intervals() -> None:
    views = Quarters([[1.0, 0.0, 0.0, 0.0]])
    base = Listener()
    plugin = FastGS(base, FastGSConfig(prune_every=300, prune_stop=1500))
    for step in range(1000, 2000, 50):
        edits = plugin.on_step(step, seen_by(views))
        if step in (1200, 1500):
            (edit,) = edits
            assert isinstance(edit, Prune)
            assert edit.rows.tolist() == [0]
        else:
            assert not edits
    assert all(guidance.leaving is None for guidance in base.guidance)


def test_where_all_is_equally_right_nobody_multiplies_or_leaves() -> None:
    base = Listener()
    FastGS(base).on_step(200, seen_by(Quarters([[0.0] * 4] * 2)))
    (guidance,) = base.guidance
    assert guidance.eagerness is not None
    assert guidance.leaving is not None
    assert not guidance.eagerness.any()
    assert not guidance.leaving.any()


def test_a_sample_of_the_views_is_looked_at_and_only_when_it_matters() -> None:
    views = Quarters([[1.0, 0, 0, 0]] * 20)
    plugin = FastGS(Listener(), FastGSConfig(views=6))
    plugin.on_step(150, seen_by(views))
    assert not views.asked
    plugin.on_step(200, seen_by(views))
    assert len(set(views.asked)) == len(views.asked) == 6
    with pytest.raises(ValueError, match="views"):
        plugin.on_step(200, SceneView({"means": torch.zeros(NUM, 3)}, 1.0))
