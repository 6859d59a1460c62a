"""Unified density control: which Gaussians get a copy, where it stands, and who goes."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from densify.tracked_scene import Params, TrackedScene, copy, repeated

from gsplat_core.densify import Guidance, ParameterStore, RenderStats, SceneView
from gsplat_core.densify.unified import Unified, UnifiedConfig
from gsplat_core.quaternions import rotation_matrices

EXTENT = 10.0
WIDTH, HEIGHT = 200, 100
STEP = 1200
PULLED = 3e-6  # pixel gradient along x, 3e-4 in device units


def scene(opacities: list[float], sizes: list[float] | None = None) -> Params:
    """Flat Gaussians, thin along their last axis, at x = 0, 1, 2, ..."""
    n = len(opacities)
    along = torch.arange(n, dtype=torch.float32)[:, None]
    tensors = {
        "means": torch.nn.functional.pad(along, (0, 2)),
        "quats": torch.randn(n, 4, generator=torch.Generator().manual_seed(5)),
        "scales": torch.tensor(sizes or [0.05] * n).log()[:, None] - torch.tensor([0.0, 0.5, 3.0]),
        "opacities": torch.logit(torch.tensor(opacities)),
        "sh0": along[..., None].repeat(1, 1, 3),
    }
    return {name: torch.nn.Parameter(tensor) for name, tensor in tensors.items()}


def stats(
    pulls: list[float], shrink: list[list[float]] | None = None, cameras: int = 1, visible: bool = True
) -> RenderStats:
    n = len(pulls)
    gradient = torch.zeros(cameras, n, 2)
    gradient[..., 0] = torch.tensor(pulls)
    return RenderStats(
        gradient,
        torch.full((cameras, n, 2), 3 if visible else 0, dtype=torch.int32),
        WIDTH,
        HEIGHT,
        cameras,
        scales_grad=torch.tensor(shrink) if shrink else torch.zeros(n, 3),
    )


class Run(TrackedScene):
    def __init__(self, params: Params, **settings: float) -> None:
        super().__init__(params, Unified(UnifiedConfig(**settings)))  # type: ignore[arg-type]

    def refine(
        self, pulls: list[float], shrink: list[list[float]] | None = None, step: int = STEP
    ) -> list[int]:
        self.strategy.on_backward(step, stats(pulls, shrink))
        return self.step(step)

    def step(self, step: int = STEP, guidance: Guidance | None = None) -> list[int]:
        return self.on_step(step, SceneView(self.params, EXTENT, guidance=guidance or Guidance()))


def test_who_is_pulled_at_gets_one_copy_whatever_its_size() -> None:
    run = Run(scene([0.5] * 4, [0.005, 0.05, 2.0, 0.05]))
    assert run.refine([PULLED, PULLED, PULLED, PULLED / 4]) == [0, 1, 2, 3, 0, 1, 2]


def test_a_copy_differs_from_its_parent_by_its_place_alone() -> None:
    run = Run(scene([0.5, 0.7]))
    before = copy(run.params)
    assert run.refine([0, PULLED]) == [0, 1, 1]
    for name, param in run.params.items():
        assert torch.equal(param[:2], before[name])
        assert torch.equal(param[2], before[name][1]) == (name != "means")
        assert run.optimizer.state[param]["exp_avg"][:2].eq(1).all()
        assert run.optimizer.state[param]["exp_avg"][2].eq(0).all()


def test_the_loss_must_not_want_it_smaller_in_its_two_larger_directions() -> None:
    run = Run(scene([0.5] * 4))
    shrink = [[1e-3, -2e-3, 9.0], [1e-3, -0.9e-3, -9.0], [-1e-3, 1e-3 + 5e-8, 0.0], [0.0, 0.0, 1.0]]
    assert run.refine([PULLED] * 4, shrink) == [0, 1, 2, 3, 0, 2, 3]


def test_scale_gradients_are_signed_means_over_the_visits() -> None:
    """Of views that disagree, the sum counts; and a mean over two views is of half the size of their sum."""
    run = Run(scene([0.5] * 2))
    run.strategy.on_backward(STEP - 1, stats([PULLED] * 2, [[3e-3, 0, 0], [1e-3, 0, 0]]))
    assert run.refine([PULLED] * 2, [[-2e-3, 0, 0], [-2e-3, 0, 0]]) == [0, 1, 1]
    run = Run(scene([0.5]), shrink_threshold=1e-3)
    run.strategy.on_backward(STEP, stats([PULLED], [[0.9e-3, 0, 0]], cameras=2))
    assert run.step() == [0, 0]  # 0.9e-3 times 2, over two visits


def test_the_opaque_do_not_grow() -> None:
    assert Run(scene([0.88, 0.89])).refine([PULLED] * 2) == [0, 1, 0]


def test_copies_are_spread_as_their_parent_by_how_hard_it_is_pulled_at() -> None:
    """Normal in its own frame, of half its standard deviations where the pull is the mean of all."""
    count = 3000
    run = Run(repeated(scene([0.5, 0.5]), count), gradient_threshold=1e-9)
    parents = {name: tensor.detach().clone() for name, tensor in run.params.items()}
    rows = torch.tensor(run.refine([PULLED, 9 * PULLED] * count))[2 * count :]
    offsets = run.params["means"].detach()[2 * count :] - parents["means"][rows]
    axes = rotation_matrices(parents["quats"])[rows]
    normal = (axes.mT @ offsets[..., None])[..., 0] / parents["scales"].exp()[rows]
    for parent, spread in ((0, 1 / 10), (1, 9 / 10)):  # the mean pull is 5
        own = normal[rows % 2 == parent] / spread
        assert own.mean(0).abs().max() < 4 / math.sqrt(count)
        assert (own.T @ own / count - torch.eye(3)).abs().max() < 0.1


def test_the_faint_the_oversized_and_the_vanishing_go() -> None:
    areas = math.sqrt(1e-8 * EXTENT**2 * math.exp(0.5))  # with the second axis: the product is the limit
    sizes = [0.05, 0.05, 4.9, 5.1, 1.01 * areas, 0.99 * areas]
    run = Run(scene([0.09, 0.11, 0.5, 0.5, 0.5, 0.5], sizes))
    assert run.refine([PULLED] * 6) == [1, 2, 4, 1, 2, 4]


class Views:
    def __len__(self) -> int:
        return 3


def test_those_that_no_view_sees_go_as_soon_as_all_were_asked() -> None:
    run = Run(scene([0.5, 0.5]), refine_every=1)
    unseen = torch.tensor([[[3, 3], [0, 0]]], dtype=torch.int32)
    view = SceneView(run.params, EXTENT, views=Views())  # type: ignore[arg-type]
    for step in range(STEP, STEP + 6):  # in random rounds of three, two may lie five steps apart
        assert run.on_step(step, view) == [0, 1]
        run.strategy.on_backward(step, replace(stats([0, 0]), radii=unseen))
    assert run.on_step(STEP + 6, view) == [0]


def test_opacities_are_multiplied_those_of_copies_too() -> None:
    run = Run(scene([0.5, 0.85]), reset_every=STEP)
    assert run.refine([0, PULLED]) == [0, 1, 1]
    assert run.opacities().tolist() == pytest.approx([0.06, 0.102, 0.102])
    assert run.optimizer.state[run.params["opacities"]]["exp_avg"].eq(0).all()
    run = Run(scene([0.5]), reset_every=STEP - 50)
    with torch.no_grad():
        run.params["opacities"][0] = -200.0
    run.step(STEP - 50)
    assert run.params["opacities"].item() == pytest.approx(-200 + math.log(0.12))


def test_somebody_is_always_left() -> None:
    assert Run(scene([0.05, 0.01])).refine([PULLED] * 2) == [0, 1]


def test_under_a_cap_those_that_are_pulled_at_hardest_come_first() -> None:
    pulls = [PULLED, 3 * PULLED, 2 * PULLED, PULLED]
    assert Run(scene([0.05, 0.5, 0.5, 0.5]), max_gaussians=5).refine(pulls) == [1, 2, 3, 1, 2]
    run = Run(scene([0.5] * 4))
    run.strategy.on_backward(STEP, stats(pulls))
    guidance = Guidance(
        limit=4,
        order=torch.tensor([9.0, 0, 1, 2]),
        eagerness=torch.tensor([0.0, 1, 1, 1]),
        leaving=torch.tensor([True, False, False, False]),
    )
    assert run.step(guidance=guidance) == [1, 2, 3, 3]


def test_what_is_not_finite_goes_and_spreads_to_nobody() -> None:
    run = Run(scene([0.5, 0.5]))
    with torch.no_grad():
        run.params["sh0"][0, 0, 1] = math.nan
    assert run.refine([PULLED, math.nan]) == [1]


def test_frozen_rows_stay_and_have_no_copies() -> None:
    run = Run(scene([0.01, 0.5, 0.5]))
    run.strategy.on_backward(STEP, stats([PULLED] * 3))
    frozen = torch.tensor([True, True, False])
    assert run.on_step(STEP, SceneView(run.params, EXTENT, frozen=frozen)) == [0, 1, 2, 2]


def test_nothing_happens_outside_its_schedule() -> None:
    run = Run(scene([0.5, 0.01]), refine_start=1000, refine_stop=1500)
    for step in (900, 1000, 1150, 1500, 1600):
        assert run.refine([PULLED] * 2, step=step) == [0, 1]


def test_the_published_schedule_is_that_of_800_steps() -> None:
    config = UnifiedConfig().stretched(800 / 30_000)
    assert (config.refine_start, config.refine_stop, config.reset_every) == (30, 400, 205)


def test_without_the_gradient_of_scales_it_says_what_is_missing() -> None:
    run = Run(scene([0.5]))
    with pytest.raises(ValueError, match="scales_grad"):
        run.strategy.on_backward(STEP, replace(stats([0.0]), scales_grad=None))


def test_the_same_edits_make_the_same_scene_again() -> None:
    run = Run(scene([0.5, 0.05, 0.7]), reset_every=STEP)
    again = copy(run.params)
    run.strategy.on_backward(STEP, stats([PULLED] * 3))
    edits = run.strategy.on_step(STEP, SceneView(run.params, EXTENT))
    run.store.apply(edits)
    ParameterStore(again).apply(edits)
    for name, param in run.params.items():
        assert torch.equal(again[name], param)
