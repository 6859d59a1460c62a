"""Frozen rows: whatever edits ask for, they stay, and nothing grows from them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gsplat_core.densify import Clone, Move, ParameterStore, Prune, Reset, SceneView, Split
from gsplat_core.optim import Adam
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.schema import FROZEN

NUM = 12


def scene_of(frozen: Tensor) -> tuple[ParameterStore, Adam]:
    """Row i holds numbers around i in its position and has moments."""
    means = torch.nn.Parameter(torch.arange(3.0 * NUM).reshape(NUM, 3))
    adam = Adam([means], lr=0.1)
    extras = {"label": torch.arange(NUM), FROZEN: frozen.clone()}
    store = ParameterStore({"means": means}, adam, extras)
    train(store, adam)
    return store, adam


def train(store: ParameterStore, adam: Adam) -> None:
    (store.params["means"] ** 2).sum().backward()
    adam.step(visible=None if store.frozen is None else ~store.frozen)
    store.params["means"].grad = None


def everything(store: ParameterStore, adam: Adam) -> dict[int, list[Tensor]]:
    """By label: positions and moments of the frozen rows."""
    means = store.params["means"]
    state = adam.state[means]
    assert store.frozen is not None
    return {
        int(store.extras["label"][row]): [means[row].detach().clone()]
        + [state[key][row].clone() for key in ("exp_avg", "exp_avg_sq")]
        for row in store.frozen.nonzero().squeeze(1).tolist()
    }


def random_edits(seed: int, num: int) -> list:
    random = torch.Generator().manual_seed(seed)

    def rows() -> Tensor:
        return torch.randperm(num, generator=random)[: int(torch.randint(1, num, (1,), generator=random))]

    moved, split, reset, cloned = rows(), rows(), rows(), rows()
    sources = torch.randint(num, (len(moved),), generator=random)
    return [
        Reset(None, {"means": torch.full((num, 3), -1.0)}),
        Prune(rows()[: num // 3]),
        Move(moved, sources, {"means": torch.full((len(moved), 3), -2.0)}),
        Clone(cloned, {"means": torch.full((len(cloned), 3), -3.0)}),
        Split(split[: num // 4], {"means": torch.full((len(split[: num // 4]), 2, 3), -4.0)}),
        Reset(reset, {"label": torch.full((len(reset),), -5)}, forget="all"),
    ]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31))
def test_edits_leave_frozen_rows_and_their_moments_alone(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    frozen = torch.rand(NUM, generator=random) < 0.4
    store, adam = scene_of(frozen)
    before = everything(store, adam)
    for turn in range(3):
        store.apply(random_edits(seed + turn, store.num))
        store.reorder(torch.randperm(store.num, generator=random))
        train(store, adam)
    after = everything(store, adam)
    assert before.keys() == after.keys()
    assert len(before) == int(frozen.sum()) == int(store.frozen.sum())
    for label, values in before.items():
        assert all(torch.equal(a, b) for a, b in zip(values, after[label], strict=True))


def test_other_rows_are_edited_as_without_frozen_ones() -> None:
    random = torch.Generator().manual_seed(0)
    frozen = torch.rand(NUM, generator=random) < 0.4
    free = (~frozen).nonzero().squeeze(1)
    store, _ = scene_of(frozen)
    alone = ParameterStore({"means": torch.nn.Parameter(store.params["means"].detach()[free])})
    with_frozen, of_free = [], []
    for edit in random_edits(7, len(free)):
        with_frozen.append(_on_rows(edit, free))
        of_free.append(edit)
    plan = store.apply([edit for edit in with_frozen if not isinstance(edit, Reset)])
    alone.apply([edit for edit in of_free if not isinstance(edit, Reset)])
    assert plan.num_after == alone.num + int(frozen.sum())
    assert torch.equal(store.params["means"][~store.frozen], alone.params["means"])


def _on_rows(edit, rows: Tensor):
    """The edit of rows numbered among these."""
    if isinstance(edit, Reset) and edit.rows is None:
        return edit
    values = () if isinstance(edit, Prune) else (edit.values,)
    moved = (rows[edit.sources],) if isinstance(edit, Move) else ()
    return type(edit)(rows[edit.rows], *moved, *values)


def test_a_mask_is_expected() -> None:
    means = torch.nn.Parameter(torch.zeros(3, 3))
    with pytest.raises(ValueError, match=r"frozen: expected bool \[N\], got torch.float32 \[3\]"):
        ParameterStore({"means": means}, extras={FROZEN: torch.zeros(3)})


def test_a_pace_is_no_less_than_nothing() -> None:
    means = torch.nn.Parameter(torch.zeros(3, 3))
    store = ParameterStore({"means": means}, extras={"pace": torch.tensor([0.0, 0.5, 2.0])})
    store.apply([Clone(torch.tensor([1]))])
    assert store.pace.tolist() == [0.0, 0.5, 2.0, 0.5]
    assert store.free is None
    for pace in (torch.tensor([0.0, -0.5, 2.0]), torch.ones(3, dtype=torch.int32), torch.ones(3, 1)):
        with pytest.raises(ValueError, match=r"pace: expected floating point \[N\] of at least 0"):
            ParameterStore({"means": torch.zeros(3, 3)}, extras={"pace": pace})


def test_a_strategy_is_told() -> None:
    params = {"means": torch.zeros(4, 3)}
    assert SceneView(params, 1.0).free.tolist() == [True] * 4
    frozen = torch.tensor([True, False, False, True])
    assert SceneView(params, 1.0, frozen=frozen).free.tolist() == [False, True, True, False]


def test_a_scene_that_was_saved_stays_frozen() -> None:
    scene = Gaussians(
        torch.zeros(2, 3), torch.ones(2, 4), torch.zeros(2, 3), torch.zeros(2), torch.zeros(2, 1, 3),
        torch.zeros(2, 0, 3), extras={FROZEN: torch.tensor([True, False])},
    )  # fmt: skip
    again = Gaussians.from_state_dict(scene.state_dict())
    assert ParameterStore(again.params, extras=again.extras).frozen.tolist() == [True, False]
