"""The grid of anchors: who gets which."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gsplat_core.densify.anchors import AnchorGrid, as_volume, from_volume


def grid(side: int = 4) -> AnchorGrid:
    return AnchorGrid(torch.tensor([-1.0, 2.0, 0.5]), torch.tensor([0.5, 1.0, 0.25]), side)


def chebyshev(of: AnchorGrid, places: Tensor) -> Tensor:
    """[P, anchors] distances in cells."""
    anchors = torch.arange(of.count)
    knots = torch.stack([anchors // of.side**2, anchors // of.side % of.side, anchors % of.side], dim=1)
    return (((places - of.low) / of.cell)[:, None] - knots).abs().amax(dim=-1)


def in_turns(of: AnchorGrid, places: Tensor, free: Tensor, reach: float) -> list[int]:
    """All ask at a time for their nearest free anchor; who is nearest to it gets it; the others ask again."""
    distances = chebyshev(of, places).masked_fill(~free, torch.inf)
    found = [-1] * len(places)
    waiting = list(range(len(places)))
    while waiting:
        asked: dict[int, list[int]] = {}
        for place in waiting:
            anchor = int(distances[place].argmin())
            if distances[place, anchor] < reach:
                asked.setdefault(anchor, []).append(place)
        waiting = []
        for anchor, those in asked.items():
            winner = min(those, key=lambda place: float(distances[place, anchor]))
            found[winner] = anchor
            waiting += [place for place in those if place != winner]
        distances[:, list(asked)] = torch.inf
        waiting.sort()
    return found


def test_anchors_stand_at_the_knots_with_z_running_fastest() -> None:
    places = grid().places(torch.tensor([0, 1, 4, 16, 63]))
    expected = [[-1, 2, 0.5], [-1, 2, 0.75], [-1, 3, 0.5], [-0.5, 2, 0.5], [0.5, 5, 1.25]]
    torch.testing.assert_close(places, torch.tensor(expected))
    torch.testing.assert_close(grid().offsets(places, torch.tensor([0, 1, 4, 16, 63])), torch.zeros(5, 3))


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 40),
    side=st.integers(1, 5),
    reach=st.sampled_from([0.3, 0.5, 1.0, 1.5, 2.7]),
    taken=st.floats(0, 1),
    seed=st.integers(0, 10**6),
)
def test_whoever_is_nearest_gets_an_anchor_and_the_others_ask_again(
    count: int, side: int, reach: float, taken: float, seed: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    of = grid(side)
    inside = torch.rand(count, 3, generator=random) * 1.6 - 0.3
    places = of.low + inside * side * of.cell
    free = torch.rand(of.count, generator=random) >= taken
    matched = of.match(places, free, reach)
    assert matched.tolist() == in_turns(of, places, free, reach)
    held = matched[matched >= 0]
    assert len(held.unique()) == len(held)
    assert free[held].all()
    free[held] = False
    left = chebyshev(of, places[matched < 0])[:, free]
    assert not (left < reach).any()


def test_places_far_outside_or_nowhere_get_none() -> None:
    places = torch.tensor([[1e30, 2, 1], [-1e30, 2, 1], [torch.nan, 2, 1], [torch.inf, 2, 1], [-1.0, 2, 0.5]])
    free = torch.ones(64, dtype=torch.bool)
    assert grid().match(places, free, 1.5).tolist() == [-1, -1, -1, -1, 0]
    assert free.all()


def test_many_at_one_place_take_the_anchors_around_it() -> None:
    matched = grid().match(grid().places(torch.full((100,), 21)), torch.ones(64, dtype=torch.bool), 1.5)
    held = matched[matched >= 0]
    assert (len(held), len(held.unique())) == (27, 27)
    assert chebyshev(grid(), grid().places(torch.tensor([21])))[0, held].max() == 1


def test_a_volume_is_the_rows_in_the_order_of_anchors_and_back() -> None:
    random = torch.Generator().manual_seed(0)
    anchors = torch.randperm(64, generator=random)
    params = {"means": torch.randn(64, 3, generator=random), "opacities": torch.randn(64, generator=random)}
    volumes = as_volume(params, anchors, 4)
    assert volumes["means"].shape == (4, 4, 4, 3)
    row = int((anchors == 2 * 16 + 3 * 4 + 1).nonzero())
    assert torch.equal(volumes["means"][2, 3, 1], params["means"][row])
    back = from_volume(volumes)
    for name, value in params.items():
        assert torch.equal(back[name][anchors], value)
    with pytest.raises(ValueError, match="64 Gaussians"):
        as_volume(params, torch.zeros(64, dtype=torch.int64), 4)
