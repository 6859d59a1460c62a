"""ADC against its specification: what grows, what goes, in which units and when."""

import doctest
import math
from dataclasses import replace

import pytest
import torch
from densify.tracked_scene import Params, TrackedScene, copy, repeated
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import gsplat_core.densify
from gsplat_core import rasterization
from gsplat_core.densify import (
    ADC,
    STRATEGIES,
    ADCConfig,
    Guidance,
    RenderStats,
    SceneView,
    create,
)
from gsplat_core.errors import UsageError
from gsplat_core.quaternions import rotation_matrices
from gsplat_core.scene.scale import SceneScale

EXTENT = 10.0  # small: up to 0.1, oversized: above 1
WIDTH, HEIGHT = 200, 100
HOT = 3e-6  # pixel gradient along x, 3e-4 in device units


def logit(opacity: float) -> float:
    return math.log(opacity / (1 - opacity))


def scene(*rows: tuple[float, float]) -> Params:
    """Gaussians with these (standard deviation, opacity), at x = 0, 1, 2, ..."""
    n = len(rows)
    sizes, opacities = zip(*rows, strict=True)
    quats = torch.randn(n, 4, generator=torch.Generator().manual_seed(5))
    scales = torch.tensor(sizes).log()[:, None].repeat(1, 3) - torch.tensor([0.0, 0.5, 3.0])
    params = {
        "means": torch.nn.functional.pad(torch.arange(n, dtype=torch.float32)[:, None], (0, 2)),
        "quats": quats,
        "scales": scales,
        "opacities": torch.tensor([logit(o) for o in opacities]),
        "sh0": torch.arange(n, dtype=torch.float32)[:, None, None].repeat(1, 1, 3),
    }
    return {name: torch.nn.Parameter(value) for name, value in params.items()}


def stats(gradients: list[float], cameras: int = 1, visible: bool = True) -> RenderStats:
    grad = torch.zeros(1, len(gradients), 2)
    grad[0, :, 0] = torch.tensor(gradients)
    return RenderStats(
        grad.repeat(cameras, 1, 1),
        torch.full((cameras, len(gradients), 2), 3 if visible else 0, dtype=torch.int32),
        WIDTH,
        HEIGHT,
        cameras,
    )


class Run(TrackedScene):
    def __init__(self, params: Params, config: ADCConfig | None = None) -> None:
        super().__init__(params, ADC(config))

    def refine(self, gradients: list[float], step: int = 600) -> list[int]:
        """The original row of every Gaussian after one refinement."""
        self.strategy.on_backward(step, stats(gradients))
        return self.step(step)

    def step(self, step: int, guidance: Guidance | None = None) -> list[int]:
        return self.on_step(step, SceneView(self.params, EXTENT, guidance=guidance or Guidance()))


def test_small_hot_ones_are_cloned_large_hot_ones_split_cold_ones_left_alone() -> None:
    run = Run(scene((0.05, 0.5), (0.5, 0.5), (0.05, 0.5), (0.5, 0.5)))
    assert run.refine([HOT, HOT, HOT / 3, HOT / 3]) == [0, 2, 3, 0, 1, 1]


def test_a_clone_is_an_exact_copy_with_fresh_moments() -> None:
    run = Run(scene((0.05, 0.5), (0.05, 0.7)))
    assert run.refine([0, HOT]) == [0, 1, 1]
    for param in run.params.values():
        assert torch.equal(param[2], param[1])
        assert run.optimizer.state[param]["exp_avg"][:2].eq(1).all()
        assert run.optimizer.state[param]["exp_avg"][2].eq(0).all()
        assert run.optimizer.state[param]["exp_avg_sq"][2].eq(0).all()
        assert run.optimizer.state[param]["step"] == 1


def test_children_are_distributed_like_their_parent_and_smaller() -> None:
    n = 4000
    params = scene((0.5, 0.3))
    params = repeated(params, n)
    before = {k: v.detach()[0].clone() for k, v in params.items()}
    run = Run(params)
    assert len(run.refine([HOT] * n)) == 2 * n
    offsets = (params["means"] - before["means"]).detach().double()
    whitened = (
        offsets @ rotation_matrices(before["quats"].double()) / before["scales"].double().exp()
    )  # N(0, 1) per axis if all is right
    torch.testing.assert_close(whitened.mean(0), torch.zeros(3).double(), atol=0.06, rtol=0)
    torch.testing.assert_close(whitened.T.cov(), torch.eye(3).double(), atol=0.08, rtol=0)
    torch.testing.assert_close(params["scales"], (before["scales"] - math.log(1.6)).expand(2 * n, 3))
    for name in ("quats", "opacities", "sh0"):
        assert (params[name] == before[name]).all()


def test_gradients_in_space_count_whatever_their_direction() -> None:
    """For a scene of the length 1: those of 2e-4 / EXTENT per scene unit are at the threshold."""
    run = Run(scene(*[(0.05, 0.5)] * 3), ADCConfig(gradients="space"))
    along = torch.tensor([[0, 0, 2.01], [1.99, 0, 0], [0, -2.01, 0]]) * 1e-4 / EXTENT
    told = replace(stats([HOT] * 3), means_grad=along, scene_extent=EXTENT)
    run.strategy.on_backward(600, told)
    assert run.step(600) == [0, 1, 2, 0, 2]
    with pytest.raises(ValueError, match="means_grad"):
        run.strategy.on_backward(700, stats([HOT] * 5))


def test_threshold_is_in_device_units_of_the_mean_over_views_that_see_it() -> None:
    """A pixel gradient g along x in an image of width W counts g W / 2, whatever the number of cameras."""
    edge = 2e-4 / (WIDTH / 2)
    run = Run(scene(*[(0.05, 0.5)] * 2))
    for _ in range(3):
        run.strategy.on_backward(550, stats([0.0, 0.0], visible=False))  # unseen views do not dilute the mean
    run.strategy.on_backward(590, stats([1.99 * edge, 2.01 * edge]))
    assert run.refine([0.0, 0.0]) == [0, 1, 1]
    # The loss is averaged over 4 cameras, so each camera's gradient is a quarter.
    run = Run(scene(*[(0.05, 0.5)] * 2))
    run.strategy.on_backward(590, stats([0.99 * edge / 4, 1.01 * edge / 4], cameras=4))
    assert run.step(600) == [0, 1, 1]


def test_gradients_along_y_count_with_the_height() -> None:
    grad = torch.zeros(1, 2, 2)
    grad[0, :, 1] = torch.tensor([0.99, 1.01]) * 2e-4 / (HEIGHT / 2)
    run = Run(scene(*[(0.05, 0.5)] * 2))
    run.strategy.on_backward(600, RenderStats(grad, torch.ones(1, 2, 2, dtype=torch.int32), WIDTH, HEIGHT, 1))
    assert run.step(600) == [0, 1, 1]


def test_transparent_ones_go_and_large_ones_after_the_first_reset() -> None:
    rows = [(0.05, 0.004), (0.05, 0.006), (0.99, 0.5), (1.01, 0.5)]
    assert Run(scene(*rows)).refine([0] * 4) == [1, 2, 3]
    assert Run(scene(*rows)).refine([0] * 4, step=3100) == [1, 2]


def test_sizes_are_compared_with_the_distance_at_which_things_are_seen() -> None:
    def left(rule: str, distance: float) -> int:
        params = scene((0.05, 0.5), (30.0, 0.5))
        with torch.no_grad():
            params["means"][1, 2] = distance
        run = Run(params, ADCConfig(scale=rule))
        run.strategy.on_backward(3100, stats([0.0, 0.0]))
        seen = SceneView(run.params, EXTENT, scale=SceneScale.of_extent(EXTENT))
        return len(run.on_step(3100, seen))

    # As large as a third of its distance, or as a thirtieth.
    assert left("seen", 90.0) == 1
    assert left("seen", 900.0) == 2
    assert left("published", 900.0) == 1


def test_hot_ones_that_would_be_pruned_do_not_multiply() -> None:
    """A transparent one goes with its copies; oversized ones with small enough children are split."""
    rows = [(0.05, 0.004), (0.5, 0.004), (1.5, 0.5), (1.7, 0.5)]
    assert Run(scene(*rows)).refine([HOT] * 4, step=3100) == [2, 2]


@pytest.mark.parametrize("name", ["means", "quats", "scales", "opacities", "sh0"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_rows_that_are_not_finite_are_pruned_even_if_hot(name: str, value: float) -> None:
    params = scene((0.05, 0.5), (0.5, 0.5), (0.05, 0.5))
    params[name].data[1] = value
    run = Run(params)
    assert run.refine([0, HOT, 0]) == [0, 2]


def test_gradients_that_are_not_a_number_do_not_grow_and_are_forgotten() -> None:
    run = Run(scene((0.05, 0.5), (0.05, 0.5)))
    assert run.refine([math.nan, HOT]) == [0, 1, 1]
    assert run.refine([HOT, 0, 0], step=700) == [0, 1, 1, 0]


def test_refinement_happens_on_schedule() -> None:
    adc = ADC()
    adc.initialize(1, "cpu")
    view = SceneView(scene((0.05, 0.5)), EXTENT)
    edits = {step: [type(edit).__name__ for edit in adc.on_step(step, view)] for step in range(1, 30_001)}
    refined = [step for step, names in edits.items() if "Prune" in names]
    reset = [step for step, names in edits.items() if "Reset" in names]
    assert refined == list(range(600, 15_000, 100))
    assert reset == [3000, 6000, 9000, 12_000]
    white = ADC(ADCConfig(white_background=True))
    white.initialize(1, "cpu")
    assert [
        s for s in range(1, 3000) if any(type(e).__name__ == "Reset" for e in white.on_step(s, view))
    ] == [500]


def test_reset_lowers_opacities_and_zeroes_their_moments_only() -> None:
    config = ADCConfig(refine_start=5000)
    run = Run(scene((0.05, 0.5), (0.05, 0.007)), config)
    run.step(3000)
    assert run.opacities() == pytest.approx([0.01, 0.007])
    for name, param in run.params.items():
        assert run.optimizer.state[param]["exp_avg"].eq(0 if name == "opacities" else 1).all()
        assert run.optimizer.state[param]["exp_avg_sq"].eq(0 if name == "opacities" else 1).all()


@pytest.mark.parametrize("revised", [False, True])
def test_reset_reaches_what_the_same_iteration_adds(revised: bool) -> None:
    run = Run(scene((0.05, 0.5), (0.5, 0.5), (0.05, 0.008)), ADCConfig(revised_opacity=revised))
    assert run.refine([HOT, HOT, 0], step=3000) == [0, 2, 0, 1, 1]
    assert run.opacities() == pytest.approx([0.01, 0.008, 0.01, 0.01, 0.01])


@settings(max_examples=50, deadline=None)
@given(st.floats(0.02, 0.9999), st.sampled_from([0.05, 0.5]))
def test_revised_opacity_keeps_what_two_coincident_ones_cover(opacity: float, size: float) -> None:
    run = Run(scene((size, opacity)), ADCConfig(revised_opacity=True))
    assert run.refine([HOT]) == [0, 0]
    first, second = run.params["opacities"].double().sigmoid().tolist()
    assert 1 - (1 - first) * (1 - second) == pytest.approx(opacity, abs=1e-6)


@pytest.mark.parametrize("opacity", [0.1, 0.4, 0.8])
def test_a_clone_with_revised_opacity_keeps_the_image_to_second_order(opacity: float) -> None:
    """Two of opacity o' with falloff g cover o g + o'^2 (g - g^2): never more than o'^2 / 4 too much."""
    run = Run(scene((0.05, opacity)), ADCConfig(revised_opacity=True))

    def render() -> Tensor:
        _, alpha, _ = rasterization(
            run.params["means"] + torch.tensor([0.0, 0.0, 1.0]), run.params["quats"],
            run.params["scales"].exp(), run.params["opacities"].sigmoid(), run.params["sh0"][:, 0],
            torch.eye(4)[None], torch.tensor([[[200.0, 0, 24], [0, 200, 24], [0, 0, 1]]]), 48, 48,
        )  # fmt: skip
        return alpha.detach()

    before = render()
    assert run.refine([HOT]) == [0, 0]
    change = render() - before
    half = run.opacities()[0]
    assert 0.1 * half**2 < change.max() < half**2 / 4 + 1 / 255
    assert change.min() > -2 / 255  # both may be dropped where they are too faint
    centre = before.flatten().argmax()
    assert abs(change.flatten()[centre]) < 0.05 * half


def test_pixel_weighting_counts_views_by_the_pixels_covered() -> None:
    """Seen once at the border with a strong pull, once in full with none: no longer hot."""

    def grown(config: ADCConfig, pixels: tuple[int, int]) -> int:
        run = Run(scene((0.05, 0.5)), config)
        for gradient, count in zip((1.5 * HOT, 0.0), pixels, strict=True):
            weights = torch.tensor([[[0.0, 1.0, count]]])
            depths = torch.full((1, 1), 10.0)
            run.strategy.on_backward(
                550, replace(stats([gradient]), weights=weights, depths=depths, scene_extent=EXTENT)
            )
        return len(run.step(600))

    assert grown(ADCConfig(), (1, 100)) == 2
    assert grown(ADCConfig(pixel_weighted=True), (1, 100)) == 1
    assert grown(ADCConfig(pixel_weighted=True), (100, 1)) == 2


def test_pixel_weighting_calms_what_is_near_the_camera() -> None:
    def grown(depth: float) -> int:
        run = Run(scene((0.05, 0.5)), ADCConfig(pixel_weighted=True))
        weights, depths = torch.tensor([[[0.0, 1.0, 50.0]]]), torch.full((1, 1), depth)
        run.strategy.on_backward(
            550, replace(stats([HOT]), weights=weights, depths=depths, scene_extent=EXTENT)
        )
        return len(run.step(600))

    edge = 0.37 * EXTENT * (2 / 3) ** 0.5  # HOT is 1.5 x the threshold
    assert grown(0.99 * edge) == 1
    assert grown(1.01 * edge) == 2


def test_pixel_weighting_says_what_it_lacks() -> None:
    adc = ADC(ADCConfig(pixel_weighted=True))
    adc.initialize(1, "cpu")
    assert adc.wants(600).weights
    with pytest.raises(ValueError, match="weights"):
        adc.on_backward(600, stats([HOT]))


def test_it_heeds_guidance() -> None:
    rows = [(0.05, 0.5)] * 4

    def refine(guidance: Guidance) -> list[int]:
        run = Run(scene(*rows))
        run.strategy.on_backward(590, stats([HOT, 0.4 * HOT, 2 * HOT, 0.7 * HOT]))
        return run.step(600, guidance)[4:]

    assert refine(Guidance()) == [0, 2, 3]
    assert refine(Guidance(limit=6)) == [0, 2]
    assert refine(Guidance(limit=5, order=torch.tensor([3.0, 0, 1, 2]))) == [0]
    assert refine(Guidance(eagerness=torch.tensor([0.0, 2.0, 1.0, 1.0]))) == [1, 2, 3]
    assert refine(Guidance(limit=6).also(limit=9, eagerness=torch.tensor([1.0, 9.0, 1.0, 0.0]))) == [1, 2]


@pytest.mark.parametrize("extreme", [-80.0, -20.0, 20.0, 80.0])
def test_revised_opacity_is_finite_for_extreme_logits(extreme: float) -> None:
    adc = ADC(ADCConfig(revised_opacity=True))
    value = adc._inherited_opacity(torch.tensor([extreme]), None)
    expected = extreme - math.log(2) if extreme < 0 else extreme / 2  # o' -> o / 2 and 1 - o' -> sqrt(1 - o)
    assert value.item() == pytest.approx(expected, abs=1e-4)


def test_the_hottest_grow_within_the_cap() -> None:
    rows = [(0.05, 0.5), (0.5, 0.5), (0.05, 0.5), (0.5, 0.5), (0.05, 0.001)]
    gradients = [HOT, 4 * HOT, 3 * HOT, 2 * HOT, 9 * HOT]
    assert Run(scene(*rows), ADCConfig(max_gaussians=6)).refine(gradients) == [0, 2, 3, 2, 1, 1]
    assert Run(scene(*rows), ADCConfig(max_gaussians=4)).refine(gradients) == [0, 1, 2, 3]
    assert Run(scene(*rows), ADCConfig(max_gaussians=2)).refine(gradients) == [0, 1, 2, 3]
    assert len(Run(scene(*rows), ADCConfig(max_gaussians=99)).refine(gradients)) == 8


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(30, 60))
def test_growth_never_exceeds_the_cap(seed: int, cap: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    random = torch.rand(2, 30, generator=generator)
    rows = [(float(a) * 2 + 1e-3, float(b) * 0.1 + 1e-3) for a, b in random.T]
    gradients = (torch.rand(30, generator=generator) * 2 * HOT).tolist()
    kept = Run(scene(*rows), ADCConfig(max_gaussians=cap)).refine(gradients, step=3100)
    free = Run(scene(*rows)).refine(gradients, step=3100)
    assert len(kept) == min(len(free), cap) or len(kept) == cap - 1  # a split may need two places


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.booleans(), st.sampled_from([1.0, 30.0, 80.0]))
def test_it_never_makes_a_row_that_is_not_finite(seed: int, revised: bool, spread: float) -> None:
    """Whatever the sizes, opacities, rotations and gradients; rows that were not finite are gone."""
    generator = torch.Generator().manual_seed(seed)
    run = Run(scene(*[(0.05, 0.5)] * 20), ADCConfig(revised_opacity=revised, seed=seed))
    with torch.no_grad():
        run.params["opacities"].copy_(torch.randn(20, generator=generator) * spread)
        run.params["scales"].copy_(torch.randn(20, 3, generator=generator) * min(spread, 20))
        run.params["quats"].mul_(10.0 ** (torch.randn(20, 1, generator=generator) * 4).clamp(-8, 8))
        run.params["means"][0, 0] = math.nan
    for step in (2900, 3000, 3100):
        run.refine((torch.rand(run.store.num, generator=generator) * 1e3 * HOT).tolist(), step)
        assert all(bool(p.isfinite().all()) for p in run.params.values())


def test_state_goes_on_bit_exactly() -> None:
    def gradients(n: int) -> list[float]:
        return [HOT * (i % 3) for i in range(n)]

    def advance(run: Run, first: int) -> None:
        for step in range(first, first + 150, 50):
            run.refine(gradients(run.store.num), step)

    rows = [(0.05 * (1 + i), 0.5) for i in range(12)]
    whole, first_part = Run(scene(*rows)), Run(scene(*rows))
    for run in (whole, first_part):
        advance(run, 550)
    resumed = Run(copy(first_part.params))
    resumed.strategy.load_state_dict(
        {key: value.clone() for key, value in first_part.strategy.state_dict().items()}
    )
    for run in (whole, resumed):
        advance(run, 700)
    assert whole.store.num > 24
    for name in whole.params:
        assert torch.equal(whole.params[name], resumed.params[name])


def test_seed_decides_and_saved_state_is_a_copy() -> None:
    def children(seed: int) -> Tensor:
        run = Run(scene((0.5, 0.5)), ADCConfig(seed=seed))
        run.refine([HOT])
        return run.params["means"].detach()

    assert torch.equal(children(1), children(1))
    assert not torch.equal(children(1), children(2))
    run = Run(scene((0.5, 0.5)))
    state = run.strategy.state_dict()
    run.strategy.on_backward(600, stats([HOT]))
    assert state["gradient_sum"].eq(0).all()


def test_statistics_of_other_rows_are_refused() -> None:
    run = Run(scene((0.5, 0.5)))
    with pytest.raises(ValueError, match=r"or initialize\(\)"):
        run.strategy.on_backward(600, stats([HOT, HOT]))
    with pytest.raises(ValueError, match="1 Gaussians but there are 2"):
        run.strategy.on_step(600, SceneView(scene((1, 0.5), (1, 0.5)), EXTENT))
    with pytest.raises(ValueError, match="gradient_sum"):
        run.strategy.load_state_dict({"seen": torch.zeros(1)})


@pytest.mark.parametrize(
    "wrong",
    [
        {"gradient_threshold": 0},
        {"split_shrink": -1},
        {"prune_opacity": 1.0},
        {"reset_opacity": 0.0},
        {"refine_every": 0},
        {"max_gaussians": 0},
        {"grow_scale": math.nan},
    ],
)
def test_thresholds_out_of_range_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ADCConfig(**wrong)


def test_strategies_are_made_by_name() -> None:
    adc = create("adc", {"adc": ADCConfig(absgrad=True, max_gaussians=7)})
    assert isinstance(adc, ADC)
    assert adc.wants(600).absgrad
    assert adc.config.max_gaussians == 7
    assert "adc" in STRATEGIES
    with pytest.raises(UsageError, match="Known are: strategies adc"):
        create("adx")


def test_the_documented_example_for_other_projects_runs() -> None:
    result = doctest.testmod(gsplat_core.densify)
    assert result.attempted > 5
    assert result.failed == 0
