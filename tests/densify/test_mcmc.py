"""MCMC against its paper: who dies, who is copied, what copying leaves alone, and how the noise is spread."""

import itertools
import math

import pytest
import torch
from densify.tracked_scene import Params, TrackedScene, copy, repeated
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from gsplat_core import rasterization
from gsplat_core.densify import ADC, MCMC, Guidance, MCMCConfig, SceneView
from gsplat_core.ops.mcmc import relocate
from gsplat_core.quaternions import rotation_matrices
from gsplat_core.scene.scale import SceneScale

pytestmark = pytest.mark.usefixtures("backend")

EXTENT = 2.0


def logit(opacities: Tensor | list[float]) -> Tensor:
    return torch.logit(torch.as_tensor(opacities))


def scene(opacities: list[float], seed: int = 0) -> Params:
    n = len(opacities)
    random = torch.Generator().manual_seed(seed)
    params = {
        "means": torch.randn(n, 3, generator=random),
        "quats": torch.randn(n, 4, generator=random),
        "scales": torch.rand(n, 3, generator=random) - 3,
        "opacities": logit(opacities),
        "sh0": torch.randn(n, 1, 3, generator=random),
    }
    return {name: torch.nn.Parameter(value) for name, value in params.items()}


class Run(TrackedScene):
    def __init__(self, params: Params, config: MCMCConfig | None = None) -> None:
        super().__init__(params, MCMC(config))

    def step(self, step: int, rate: float = 0.0, guidance: Guidance | None = None) -> list[int]:
        """The original row of every Gaussian afterwards."""
        guidance = guidance or Guidance()
        return self.on_step(step, SceneView(self.params, EXTENT, {"means": rate}, guidance=guidance))


def test_the_dead_become_copies_of_the_live_and_nothing_else_moves() -> None:
    run = Run(scene([0.9, 0.004, 0.8, 0.005, 0.0051]), MCMCConfig(max_gaussians=5))
    before = {name: p.detach().clone() for name, p in run.params.items()}
    rows = run.step(600)
    assert [rows[i] for i in (0, 2, 4)] == [0, 2, 4]
    assert set(rows[1::2]) <= {0, 2, 4}
    for name in ("means", "quats", "sh0"):
        assert torch.equal(run.params[name], before[name][rows])


def test_sources_and_copies_share_the_values_of_equation_9() -> None:
    run = Run(scene([0.9, 0.001, 0.002, 0.003]), MCMCConfig(max_gaussians=4))
    scale = run.params["scales"].detach()[0].exp()
    assert run.step(600) == [0, 0, 0, 0]
    assert torch.allclose(run.opacities(), torch.tensor(1 - 0.1**0.25).double(), atol=1e-6)
    opacity, size = relocate(torch.tensor([0.9]), scale[None], torch.tensor([4], dtype=torch.int32))
    torch.testing.assert_close(run.params["opacities"].sigmoid(), opacity.expand(4))
    torch.testing.assert_close(run.params["scales"].exp(), size.expand(4, 3))


def test_moments_of_sources_and_copies_are_forgotten() -> None:
    run = Run(scene([0.9, 0.001, 0.3]), MCMCConfig(max_gaussians=3))
    rows = run.step(600)
    untouched = 2 if rows[1] == 0 else 0
    for param in run.params.values():
        for key in ("exp_avg", "exp_avg_sq"):
            moments = run.optimizer.state[param][key]
            assert moments[untouched].eq(1).all()
            assert moments[[i for i in range(3) if i != untouched]].eq(0).all()


def test_it_grows_at_its_rate_to_the_cap_and_not_beyond() -> None:
    run = Run(scene([0.5] * 100), MCMCConfig(max_gaussians=117))
    counts = [len(run.step(step)) for step in range(600, 1200, 100)]
    assert counts == [105, 110, 115, 117, 117, 117]
    assert len(Run(scene([0.5] * 100), MCMCConfig(max_gaussians=50)).step(600)) == 100


def test_it_heeds_guidance() -> None:
    config = MCMCConfig(growth=2.0)
    assert len(Run(scene([0.5] * 100), config).step(600, guidance=Guidance(limit=120))) == 120
    eagerness = torch.zeros(100)
    eagerness[7] = 1
    rows = Run(scene([0.5] * 100), config).step(600, guidance=Guidance(eagerness=eagerness))
    assert set(rows[100:]) == {7}


def test_it_grows_no_faster_than_needed_to_reach_the_cap_in_time() -> None:
    def counts(until: int, growth: float) -> list[int]:
        run = Run(scene([0.5] * 100), MCMCConfig(max_gaussians=200, growth=growth, grow_until=until))
        return [len(run.step(step)) for step in range(600, 1200, 100)]

    assert counts(1000, growth=1.2) == [115, 133, 153, 175, 200, 200]
    assert counts(1000, growth=1.1) == [110, 121, 133, 146, 160, 176]  # not in time
    assert counts(600, growth=1.1) == counts(1000, growth=1.1)  # nor in time here


def test_scattered_copies_are_distributed_like_their_source() -> None:
    n = 8000
    run = Run(repeated(scene([0.9]), n), MCMCConfig(growth=2.0, scatter=0.5))
    before = {name: p.detach()[0].double() for name, p in run.params.items()}
    run.step(600)
    assert (run.params["means"][:n] == before["means"].float()).all()
    offsets = run.params["means"].detach()[n:].double() - before["means"]
    sizes = run.params["scales"].detach()[n:].double().exp()
    whitened = offsets @ rotation_matrices(before["quats"].double()) / (0.5 * sizes)
    torch.testing.assert_close(whitened.mean(0), torch.zeros(3).double(), atol=0.06, rtol=0)
    torch.testing.assert_close(whitened.T.cov(), torch.eye(3).double(), atol=0.08, rtol=0)


def test_sources_are_drawn_in_proportion_to_opacity() -> None:
    run = Run(scene([0.9] * 50 + [0.1] * 50), MCMCConfig(growth=100.0))
    added = torch.tensor(run.step(600)[100:])
    assert (added < 50).double().mean().item() == pytest.approx(0.9, abs=0.02)


def test_refinement_happens_on_schedule_and_noise_otherwise() -> None:
    mcmc, params = MCMC(), scene([0.5, 0.5, 0.001])
    view = SceneView(params, EXTENT, {"means": 1e-4})
    kinds = {s: [type(e).__name__ for e in mcmc.on_step(s, view)] for s in range(100, 30_001, 50)}
    assert [s for s, names in kinds.items() if "Move" in names] == list(range(600, 25_000, 100))
    assert all(names == ["Reset"] for names in kinds.values() if "Move" not in names)


def test_noise_moves_the_transparent_by_their_own_covariance() -> None:
    n = 20_000
    one = scene([0.001])
    params = repeated(one, n)
    run = Run(params, MCMCConfig(scale="published"))
    run.step(7, rate=1e-4)
    rotation = rotation_matrices(one["quats"][0].detach().double())
    sigma = rotation @ torch.diag(one["scales"][0].detach().double().exp() ** 2) @ rotation.T
    gate = 1 / (1 + math.exp(100 * (0.001 - 0.005)))
    offsets = (params["means"] - one["means"]).detach().double() / (5e5 * 1e-4 * gate)
    torch.testing.assert_close(offsets.T.cov(), sigma @ sigma, rtol=0.1, atol=2e-2 * sigma.max().item() ** 2)
    assert offsets.mean(dim=0).abs().max() < 4 * sigma.max() / n**0.5


def test_noise_does_not_depend_on_the_unit_of_length() -> None:
    def moved(unit: float) -> Tensor:
        params = scene([0.001, 0.2, 0.003])
        with torch.no_grad():
            params["means"] *= unit
            params["scales"] += math.log(unit)
        before = params["means"].detach().clone()
        TrackedScene(params, MCMC()).on_step(7, SceneView(params, EXTENT * unit, {"means": 1e-4 * unit}))
        return (params["means"].detach() - before) / unit

    torch.testing.assert_close(moved(1024.0), moved(1.0), rtol=1e-3, atol=1e-6)
    assert moved(1.0).abs().max() > 1e-3


def test_noise_leaves_the_opaque_and_the_moments_alone() -> None:
    run = Run(scene([0.9, 0.5]))
    before = run.params["means"].detach().clone()
    run.step(7, rate=1e-3)
    torch.testing.assert_close(run.params["means"].detach(), before, rtol=0, atol=1e-6)
    assert run.optimizer.state[run.params["means"]]["exp_avg"].eq(1).all()


def test_noise_needs_the_learning_rate() -> None:
    with pytest.raises(ValueError, match="learning_rates"):
        MCMC().on_step(7, SceneView(scene([0.5]), EXTENT))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["means", "quats", "scales", "opacities", "sh0"])
def test_rows_that_are_not_finite_are_replaced(name: str, value: float) -> None:
    params = scene([0.5, 0.6, 0.7])
    params[name].data[1] = value
    run = Run(params, MCMCConfig(max_gaussians=3))
    run.step(600)
    assert all(bool(p.isfinite().all()) for p in run.params.values())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(1e-6, 1 - 1e-7), min_size=1, max_size=30), st.integers(0, 100))
def test_it_never_makes_a_row_that_is_not_finite(opacities: list[float], seed: int) -> None:
    run = Run(scene([float(o) for o in opacities], seed), MCMCConfig(growth=1.5, seed=seed))
    for step in (600, 601, 700, 800):
        run.step(step, rate=1e-4)
    assert all(bool(p.isfinite().all()) for p in run.params.values())


def test_a_scene_in_which_all_are_dead_is_left_alone() -> None:
    assert Run(scene([0.001] * 4)).step(600) == [0, 1, 2, 3]


def render(params: Params, size: int = 64) -> Tensor:
    image, _, _ = rasterization(
        means=params["means"],
        quats=params["quats"],
        scales=params["scales"].exp(),
        opacities=params["opacities"].sigmoid(),
        colors=params["sh0"][:, 0],
        viewmats=torch.eye(4)[None],
        Ks=torch.tensor([[[60.0, 0, size / 2], [0, 60.0, size / 2], [0, 0, 1]]]),
        width=size,
        height=size,
    )
    return image[0].detach()


@pytest.mark.parametrize("opacity", [0.4, 0.7])
@pytest.mark.parametrize("copies", [2, 3])
def test_relocation_keeps_the_image_better_than_copying(opacity: float, copies: int) -> None:
    """Equation 9 keeps opacity at the centre and the integral along a ray; copying as it is keeps neither."""
    params = scene([opacity] + [0.001] * (copies - 1))
    with torch.no_grad():
        params["means"][:] = torch.tensor([0.0, 0.0, 4.0])
        params["means"][1:, 2] = -4.0  # the dead are behind the camera
        params["scales"][:] = math.log(0.35)
        params["sh0"].abs_()
    before = render(params)
    naive = {name: p.detach()[:1].repeat(copies, *[1] * (p.ndim - 1)) for name, p in params.items()}
    run = Run(params, MCMCConfig(max_gaussians=copies))
    assert run.step(600) == [0] * copies
    after = render(params)
    centre = slice(30, 34)
    torch.testing.assert_close(after[centre, centre], before[centre, centre], rtol=0.02, atol=0.0)
    assert (after.sum() - before.sum()).abs() < 0.1 * before.sum()
    assert (after - before).square().mean() < 0.1 * (render(naive) - before).square().mean()


@pytest.mark.parametrize("copies", [2, 5, 20])
def test_relocation_keeps_the_image_to_first_order_in_opacity(copies: int) -> None:
    """Half the opacity, half the relative error, at any pixel; without the renderer's threshold of 1/255."""
    falloff = torch.linspace(0, 4, 200, dtype=torch.float64).square().mul(-0.5).exp()

    def error(opacity: float) -> float:
        many = torch.tensor([copies], dtype=torch.int32)
        shared, size = (x.double() for x in relocate(torch.tensor([opacity]), torch.ones(1, 3), many))
        together = -torch.expm1(copies * torch.log1p(-shared * falloff ** (1 / size[0, 0] ** 2)))
        return float((together - opacity * falloff).abs().max() / opacity)

    errors = [error(opacity) for opacity in (0.2, 0.1, 0.05)]
    assert errors[0] < 0.05
    for larger, smaller in itertools.pairwise(errors):
        assert larger / smaller == pytest.approx(2, rel=0.15)


def test_the_regulariser_does_not_depend_on_the_unit_of_length() -> None:
    mcmc = MCMC()
    splats = {"opacities": torch.tensor([0.2, 0.4]), "scales": torch.tensor([[0.1, 0.2, 0.3]] * 2)}
    params = scene([0.2, 0.4])
    here = mcmc.regularization(splats, SceneView(params, 2.0))
    assert float(here) == pytest.approx(0.01 * 0.3 + 0.01 * 0.2 / 2)
    millimetres = {**splats, "scales": splats["scales"] * 1000}
    assert float(mcmc.regularization(millimetres, SceneView(params, 2000.0))) == pytest.approx(float(here))


def test_the_regulariser_asks_the_same_of_what_looks_the_same_far_away() -> None:
    params = scene([0.2, 0.4])
    with torch.no_grad():
        params["means"][:] = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 500.0]])
    view = SceneView(params, EXTENT, scale=SceneScale.of_extent(EXTENT))

    def of_sizes(near: float, far: float, config: MCMCConfig) -> float:
        splats = {"opacities": torch.zeros(2), "scales": torch.tensor([[near] * 3, [far] * 3])}
        return float(MCMC(config).regularization(splats, view))

    assert of_sizes(0, 250, MCMCConfig()) == pytest.approx(of_sizes(1, 0, MCMCConfig()))
    published = MCMCConfig(scale="published")
    assert of_sizes(0, 250, published) == pytest.approx(250 * of_sizes(1, 0, published))


def test_state_goes_on_bit_exactly() -> None:
    whole, part = Run(scene([0.5] * 20 + [0.001] * 5)), Run(scene([0.5] * 20 + [0.001] * 5))
    for run in (whole, part):
        run.step(600, 1e-4)
    resumed = Run(copy(part.params))
    resumed.strategy.load_state_dict(part.strategy.state_dict())
    for run in (whole, resumed):
        for step in (601, 700, 800):
            run.step(step, 1e-4)
    for name in whole.params:
        assert torch.equal(whole.params[name], resumed.params[name])


def test_a_shorter_run_reaches_the_same_number() -> None:
    def end(config: MCMCConfig) -> float:
        steps = range(1, config.refine_stop)
        return config.growth ** sum(MCMC(config).grows_at(step) for step in steps)

    config = MCMCConfig(growth=1.01)
    for factor in (1 / 20, 1 / 4, 1.0):
        assert end(config.stretched(factor)) == pytest.approx(end(config), rel=0.2)


def test_no_refinement_of_a_very_short_run_adds_more_than_half() -> None:
    for factor in (1e-3, 1 / 300, 1 / 60):
        assert MCMCConfig().stretched(factor).growth <= 1.5
    assert MCMCConfig(growth=2.0).stretched(1 / 300).growth == 2.0


def test_only_a_short_run_departs_from_what_is_published() -> None:
    short, long = MCMCConfig().stretched(0.1), MCMCConfig().stretched(0.5)
    assert MCMC(short).initialization == ADC().initialization
    assert MCMC(long).initialization == MCMC().initialization
    assert (long.scatter, long.grow_until) == (0, None)
    assert short.scatter > 0
    assert short.refine_start < short.grow_until < short.refine_stop


def test_settings_of_ones_own_hold_in_a_short_run_too() -> None:
    short = MCMCConfig(scatter=0.3, grow_until=5000).stretched(0.1)
    assert (short.scatter, short.grow_until) == (0.3, 500)


@pytest.mark.parametrize(
    "wrong",
    [{"growth": 0.9}, {"max_gaussians": 0}, {"min_opacity": 0.0}, {"noise": -1.0}, {"initial_scale": 0.0}],
)
def test_settings_out_of_range_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MCMCConfig(**wrong)


def test_those_that_are_to_leave_count_as_dead() -> None:
    leaving = torch.tensor([False, True, False, False, True])
    run = Run(scene([0.9] * 5), MCMCConfig(max_gaussians=5))
    rows = run.step(600, guidance=Guidance(leaving=leaving))
    assert [rows[i] for i in (0, 2, 3)] == [0, 2, 3]
    assert {rows[1], rows[4]} <= {0, 2, 3}
