"""The candidate pool: every Gaussian has an anchor of its own near it, whatever the strategy behind does."""

from __future__ import annotations

import math

import pytest
import torch
from densify.tracked_scene import Params, TrackedScene, copy
from torch import Tensor

from gsplat_core.densify import (
    ADC,
    ADCConfig,
    Clone,
    Edit,
    Move,
    ParameterStore,
    Prune,
    RenderStats,
    Reset,
    SceneView,
    Split,
    Strategy,
)
from gsplat_core.densify.anchors import as_volume
from gsplat_core.densify.candidate_pool import CandidatePool, CandidatePoolConfig
from gsplat_core.densify.plugin import Plugin
from gsplat_core.errors import UsageError

ENDS = 20


def scene(num: int, seed: int = 0) -> Params:
    random = torch.Generator().manual_seed(seed)
    tensors = {
        "means": 2 * torch.rand(num, 3, generator=random) - 1,
        "quats": torch.randn(num, 4, generator=random),
        "scales": torch.rand(num, 3, generator=random) - 4,
        "opacities": torch.randn(num, generator=random),
        "sh0": torch.randn(num, 1, 3, generator=random),
    }
    return {name: torch.nn.Parameter(tensor) for name, tensor in tensors.items()}


class Scripted(Strategy):
    """Gives the edits that it was told to."""

    edits: list[Edit]
    ends = ENDS  # type: ignore[assignment]

    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        edits, self.edits = self.edits, []
        return edits


class Run(TrackedScene):
    def __init__(
        self, params: Params, base: Strategy | None = None, grid: int = 5, **settings: float
    ) -> None:
        self.base = Scripted() if base is None else base
        self.base.edits = []  # type: ignore[attr-defined]
        config = CandidatePoolConfig(grid=grid, **settings)  # type: ignore[arg-type]
        self.pool = CandidatePool(self.base, config)
        super().__init__(params, self.pool)

    def view(self, frozen: Tensor | None = None) -> SceneView:
        return SceneView(self.params, 1.0, frozen=frozen)

    def step(self, *edits: Edit, step: int = 1, frozen: Tensor | None = None) -> list[int]:
        self.base.edits = list(edits)  # type: ignore[attr-defined]
        return self.on_step(step, self.view(frozen))

    @property
    def anchors(self) -> Tensor:
        return self.pool.rows["anchor"]

    def offsets(self) -> Tensor:
        assert self.pool.grid is not None
        return self.pool.grid.offsets(self.params["means"].detach(), self.anchors).abs()

    def is_settled(self) -> bool:
        """Whether each has an anchor of its own, so that those and the pool are all that there are."""
        held = self.anchors
        return bool((held >= 0).all() and (held < 125).all()) and len(held.unique()) == len(held)


def rows(*numbers: int) -> Tensor:
    return torch.tensor(numbers)


def test_at_the_start_every_gaussian_takes_the_anchor_nearest_to_it() -> None:
    run = Run(scene(60), box=1.0)
    kept = run.step()
    assert run.is_settled()
    assert run.offsets().max() < 1.5
    assert len(kept) == run.store.num > 50
    # A place can be left without one only where 27 others are.
    lone = copy(scene(1))
    with torch.no_grad():
        lone["means"][:] = torch.tensor([0.6, -0.1, 0.4])
    one = Run(lone, box=1.0)
    one.step()
    assert one.anchors.tolist() == [3 * 25 + 2 * 5 + 3]


def test_what_is_outside_the_box_goes_and_nobody_at_all_is_an_error() -> None:
    params = scene(30)
    with torch.no_grad():
        params["means"][7] = 9.0
        params["means"][8, 1] = math.nan
    run = Run(params, box=1.0)
    assert not {7, 8} & set(run.step())
    away = scene(3)
    with torch.no_grad():
        away["means"] += 50
    with pytest.raises(UsageError, match="no Gaussian lies in the box"):
        Run(away, box=1.0).step()


def test_without_a_given_box_it_is_around_the_scene_without_outliers() -> None:
    params = scene(1000)
    with torch.no_grad():
        params["means"][:, 2] *= 0.1
        params["means"][:3] = torch.tensor([[900.0, 0, 0], [0, -900, 0], [0, 0, 900]])
    run = Run(params, grid=12)
    run.step()
    grid = run.pool.grid
    assert grid is not None
    torch.testing.assert_close(grid.low, torch.tensor([-1, -1, -0.1]), atol=0.05, rtol=0)
    torch.testing.assert_close(grid.cell * 11, torch.tensor([2, 2, 0.2]), atol=0.1, rtol=0)


def test_what_is_removed_returns_its_anchor_and_what_is_added_takes_one() -> None:
    run = Run(scene(40), box=1.0)
    run.step()
    before = run.anchors.tolist()
    run.step(Prune(rows(3, 5)), step=2)
    assert run.anchors.tolist() == [a for i, a in enumerate(before) if i not in (3, 5)]
    grid = run.pool.grid
    assert grid is not None
    free = sorted(set(range(125)) - set(run.anchors.tolist()))
    places = grid.places(torch.tensor([free[0], free[-1]])) + 0.1 * grid.cell
    run.step(Clone(rows(0, 1), {"means": places}), step=3)
    assert run.anchors[-2:].tolist() == [free[0], free[-1]]
    torch.testing.assert_close(run.params["means"][-2:].detach(), places)
    assert run.is_settled()


def test_a_child_may_have_the_anchor_of_its_parent() -> None:
    """Where everything else is held."""
    run = Run(scene(125), box=1.0)
    with torch.no_grad():
        run.params["means"].copy_(run_grid_places())
    run.step()
    assert run.store.num == 125
    means = run.params["means"].detach()[7].expand(1, 2, 3).clone()
    means[0, 1] += 0.01
    assert run.step(Split(rows(7), {"means": means}), step=2) == [i for i in range(125) if i != 7] + [7]
    assert run.anchors[-1] == 7
    torch.testing.assert_close(run.params["means"][-1].detach(), means[0, 0])
    assert run.step(Clone(rows(3)), step=3)[-1] == 7  # no room for a copy


def run_grid_places() -> Tensor:
    steps = torch.linspace(-1, 1, 5)
    return torch.cartesian_prod(steps, steps, steps)


@pytest.mark.parametrize("seed", range(4))
def test_active_and_pool_are_always_all_and_the_same_edits_make_the_same_scene(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    run = Run(scene(60, seed), box=1.0)
    again = copy(run.params)
    replayed = ParameterStore(again)
    for step in range(1, 15):
        with torch.no_grad():  # an optimizer's step
            moves = 0.02 * torch.randn(run.store.num, 3, generator=random)
            run.params["means"] += moves
            again["means"] += moves
        run.base.edits = random_edits(run.params, random) if step > 1 else []  # type: ignore[attr-defined]
        edits = run.pool.on_step(step, run.view())
        run.pool.follow(run.store.apply(edits))
        replayed.apply(edits)
        assert run.is_settled()
        assert run.store.num == len(run.anchors)
        assert all(torch.equal(again[name], param) for name, param in run.params.items())
    assert 10 < run.store.num <= 125


def random_edits(params: Params, random: torch.Generator) -> list[Edit]:
    """Of all kinds, also such that concern one row."""
    num = len(params["means"])
    chosen = torch.randperm(num, generator=random)[:16]
    near = params["means"].detach()[chosen] + 0.3 * torch.randn(len(chosen), 3, generator=random)
    children = torch.stack([near[8:12], near[8:12] + 0.1], dim=1)
    return [
        Prune(chosen[:3]),
        Clone(chosen[2:8], {"means": near[2:8]}),
        Split(chosen[8:12], {"means": children}),
        Move(chosen[12:14], chosen[14:16], {"opacities": torch.zeros(2)}),
        Reset(chosen[5:7], {"sh0": torch.ones(2, 1, 3)}),
    ]


def test_in_the_end_all_anchors_are_held_and_the_scene_is_a_volume() -> None:
    run = Run(scene(60), box=1.0)
    run.step()
    some = run.store.num
    run.step(step=ENDS)
    assert run.is_settled()
    assert run.store.num == 125
    grid = run.pool.grid
    assert grid is not None
    rest = slice(some, None)
    torch.testing.assert_close(run.params["means"].detach()[rest], grid.places(run.anchors[rest]))
    assert run.opacities()[rest].tolist() == pytest.approx([1e-4] * (125 - some))
    sizes = run.params["scales"].detach()[rest].exp()
    torch.testing.assert_close(sizes, torch.full_like(sizes, 0.0566 * 31 * 0.5))
    volume = as_volume(run.params, run.anchors, 5)
    places = grid.places(torch.arange(125)).unflatten(0, (5, 5, 5))
    assert ((volume["means"] - places).abs() / grid.cell).max() < 1.5


def test_the_loss_is_the_mean_of_what_is_beyond_reach_as_a_part_of_the_box() -> None:
    run = Run(scene(30), box=1.0)
    splats: dict[str, Tensor] = {}
    assert run.pool.regularization(splats, run.view()) is None
    run.step()
    term = run.pool.regularization(splats, run.view())
    assert term is not None
    assert term.item() == 0
    grid = run.pool.grid
    assert grid is not None
    with torch.no_grad():
        run.params["means"][0, 1] = grid.places(run.anchors[:1])[0, 1] - 2.0 * grid.cell[1]
        run.params["means"][1, 2] = grid.places(run.anchors[1:2])[0, 2] + 1.75 * grid.cell[2]
    term = run.pool.regularization(splats, run.view())
    assert term is not None
    assert term.item() == pytest.approx(20 * (0.5 + 0.25) / 4 / (3 * run.store.num), rel=1e-4)
    run.params["means"].grad = None
    term.backward()
    gradient = run.params["means"].grad
    assert (gradient.nonzero().tolist(), gradient[0, 1] < 0, gradient[1, 2] > 0) == (
        [[0, 1], [1, 2]], True, True,
    )  # fmt: skip


def test_opacities_are_not_lowered_but_other_resets_are_carried_out() -> None:
    run = Run(scene(30), box=1.0)
    run.step()
    before = run.params["opacities"].detach().clone()
    run.step(Reset(None, {"opacities": before - 5}), step=2)
    assert torch.equal(run.params["opacities"], before)
    run.step(Reset(rows(1), {"opacities": before[:1] - 5}), Prune(rows(0)), step=3)
    assert run.params["opacities"][0] == before[0] - 5


def test_with_a_cap_the_grid_is_the_largest_below_it() -> None:
    assert CandidatePoolConfig(max_gaussians=20_000).side == 27
    assert CandidatePoolConfig(max_gaussians=27_000).side == 30
    assert CandidatePoolConfig(grid=8, max_gaussians=20_000).side == 8
    for cap in (None, 200):
        pool = CandidatePool(ADC(ADCConfig(max_gaussians=cap)), CandidatePoolConfig(max_gaussians=cap))
        assert pool.most == (cap or 32**3)


def test_frozen_rows_stay_wherever_they_are() -> None:
    params = scene(40)
    with torch.no_grad():
        params["means"][0] = 9.0
    run = Run(params, box=1.0)
    frozen = torch.arange(40) == 0
    assert run.step(frozen=frozen)[0] == 0
    frozen = torch.arange(run.store.num) < 2
    kept = run.step(Clone(rows(0, 1)), Prune(rows(0, 1)), step=2, frozen=frozen)
    assert kept[:2] == [0, 1]
    assert len(kept) == len(frozen)


class Adding(Plugin):
    """Stands before the pool and adds a copy of the first row to what it does."""

    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        return [*super().on_step(step, view), Clone(rows(0))]


def test_what_others_add_looks_for_an_anchor_at_the_next_step() -> None:
    run = Run(scene(30), box=1.0)
    run.step()
    outer = Adding(run.pool)
    outer.follow(run.store.apply(outer.on_step(2, run.view())))
    assert run.anchors[-1] == -1
    assert (run.anchors[:-1] >= 0).all()
    run.step(step=3)
    assert run.is_settled()


def test_it_goes_on_from_its_state() -> None:
    run = Run(scene(30), box=1.0)
    run.step()
    other = CandidatePool(Scripted(), CandidatePoolConfig(grid=5, box=1.0))
    other.initialize(run.store.num, "cpu")
    other.load_state_dict(run.pool.state_dict())
    assert other.grid is not None
    assert torch.equal(other.grid.low, torch.full((3,), -1.0))
    assert torch.equal(other.rows["anchor"], run.anchors)


def test_over_adc_it_grows_where_the_image_pulls() -> None:
    run = Run(scene(40), ADC(ADCConfig(gradient_threshold=1e-9, refine_start=1, refine_every=5)), box=1.0)
    run.step(step=1)
    before = run.store.num
    stats = RenderStats(torch.ones(1, before, 2), torch.ones(1, before, 2, dtype=torch.int32), 10, 10, 1)
    run.strategy.on_backward(4, stats)
    run.step(step=5)
    assert before < run.store.num <= 2 * before
    assert run.is_settled()
