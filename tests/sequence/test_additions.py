"""sequence/additions.py: a frame that continues another only grows, and loses only what it grew by."""

from __future__ import annotations

import pytest
import torch
from splat_files import typical_scene

from gsplat_core.densify.edits import Clone, Prune
from gsplat_core.densify.strategy import RenderStats, SceneView
from gsplat_core.sequence.additions import Additions, AdditionsConfig

NUM = 8


def stats(pulled: torch.Tensor, radius: int = 3) -> RenderStats:
    """Of one view of 20 x 10 pixels, whose gradients are so long in units of half the image."""
    gradient = torch.stack([pulled / 10, torch.zeros_like(pulled)], dim=1)[None]
    radii = torch.full((1, len(pulled), 2), radius, dtype=torch.int32)
    return RenderStats(gradient, radii, 20, 10, 1)


@pytest.fixture
def view() -> SceneView:
    scene = typical_scene(NUM, 0)
    scene.opacities = torch.zeros(NUM)
    scene.scales = torch.full((NUM, 3), -4.0)
    return SceneView(scene.params, scene_extent=10.0)


def additions(before: int = NUM, most: int | None = None, share: float = 1.0) -> Additions:
    return Additions(AdditionsConfig(most=share), before, 5, 100, most, 0)


def test_it_grows_by_the_turns_over_the_photographs(view) -> None:
    control = additions()
    assert [step for step in range(1, 101) if control.grows_at(step)] == list(range(30, 81, 10))
    control.on_backward(1, stats(torch.full((NUM,), 1.0)))
    assert control.on_step(25, view) == []


def test_what_is_pulled_at_gets_a_copy_within_its_reach(view) -> None:
    control = additions()
    pulled = torch.tensor([0.0, 1.0, 0.0, 0.001, 0.0, 0.002, 0.0, 0.0])
    for step in range(1, 4):
        control.on_backward(step, stats(pulled))
    clone, prune = control.on_step(30, view)
    assert isinstance(clone, Clone)
    assert isinstance(prune, Prune)
    assert clone.rows.tolist() == [1, 5]
    offsets = clone.values["means"] - view.params["means"][clone.rows]
    assert 0 < float(offsets.norm(dim=1).max()) < 6 * float(torch.tensor(-4.0).exp()) * 3**0.5
    assert not len(prune.rows)
    assert not any(rows.any() for rows in control.rows.values())  # counted anew


def test_only_what_was_added_goes(view) -> None:
    control = additions(before=5)
    control.initialize(NUM, "cpu")
    view.params["opacities"][[2, 6]] = -9.0
    view.params["scales"][[3, 7], 0] = 0.5
    _, prune = control.on_step(30, view)
    assert prune.rows.tolist() == [6, 7]
    control.on_backward(31, stats(torch.zeros(NUM), radius=21))
    _, prune = control.on_step(40, view)
    assert prune.rows.tolist() == [5, 6, 7]


def test_there_are_never_more_than_allowed(view) -> None:
    for control in (additions(most=NUM + 2), additions(share=0.25)):
        control.on_backward(1, stats(torch.arange(NUM).float()))
        clone, _ = control.on_step(30, view)
        assert clone.rows.tolist() == [6, 7]
