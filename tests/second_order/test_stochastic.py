"""Steps on one photograph each, with the curvature of all."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from backends import BACKENDS, parameters
from second_order.scenes import dense_jacobian, disturbed, flat, photographed, scene

from gsplat_core.io.usable import find_unusable
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.second_order.damping import Kinds, floored
from gsplat_core.second_order.levenberg_marquardt import mean_loss
from gsplat_core.second_order.linearization import Linearization, Settings, join_geometry
from gsplat_core.second_order.objective import L1DSSIM, HuberSSIM
from gsplat_core.second_order.reach import Reach
from gsplat_core.second_order.stochastic import StochasticNewton, StochasticOptions
from gsplat_core.second_order.visible_range import MOST_LOGIT

SETTINGS = Settings(sh_degree=1)
FAR = 1e12  # as far as `Reach` allows


def copied(gaussians: Gaussians) -> Gaussians:
    return Gaussians(**{name: value.clone() for name, value in gaussians.params.items()})


def run(problem, epochs: int, options: StochasticOptions, objective=L1DSSIM()):  # noqa: B008
    start, photographs = problem
    gaussians, newton = copied(start), StochasticNewton(options)
    newton.survey(gaussians, photographs, SETTINGS, objective, torch.Generator().manual_seed(0))
    steps = epochs * len(photographs)
    for i in range(steps):
        number = i % len(photographs)
        newton.step(gaussians, photographs[number], number, SETTINGS, objective, size=1 - i / steps)
    return gaussians, newton


@pytest.mark.parametrize("preconditioner", ["blocks", "diagonal"])
def test_the_step_is_that_of_the_dense_blocks(preconditioner) -> None:
    """The mean curvature of all photographs, damped, and the gradient of the one."""
    true, cameras = scene(num=30, width=9, height=8)
    photographs, gaussians = photographed(true, cameras, SETTINGS), disturbed(true)
    objective, kinds = L1DSSIM(), Kinds(means=3.0, shN=0.5)
    options = StochasticOptions(
        pace=3.0,  # of three photographs: all the way in one step
        momentum=0.0,
        together=1,
        damping=0.2,
        preconditioner=preconditioner,
        kinds=kinds,
        reach=Reach(FAR, FAR, FAR, FAR, FAR),
    )
    jacobian = dense_jacobian(gaussians, photographs, SETTINGS)
    images = Linearization(gaussians, photographs, SETTINGS).images
    models = [objective.model(i, p.image) for i, p in zip(images, photographs, strict=True)]
    weights = torch.cat([model.diagonal.flatten() for model in models]).double()
    matrix = jacobian.T @ (weights[:, None] * jacobian) / len(photographs)
    own = jacobian[: images[0].numel()]
    gradient = models[0].gradient.flatten().double() @ own

    places = dict(zip(gaussians.params, torch.arange(matrix.shape[0]).split(
        [p.numel() for p in gaussians.params.values()]), strict=True))  # fmt: skip
    added = torch.cat(
        [
            0.2 * getattr(kinds, name) * floored(matrix.diagonal()[place].view(value.shape), 0.1).flatten()
            for (name, value), place in zip(gaussians.params.items(), places.values(), strict=True)
        ]
    )
    expected = -gradient / (matrix.diagonal() + added)
    if preconditioner == "blocks":
        damped = matrix + torch.diag(added)
        shaped = {name: places[name].view(value.shape) for name, value in gaussians.params.items()}
        for row in join_geometry(shaped):
            expected[row] = torch.linalg.solve(damped[row][:, row], -gradient[row])

    newton, moved = StochasticNewton(options), copied(gaussians)
    newton.survey(moved, photographs, SETTINGS, objective, torch.Generator())
    newton.step(moved, photographs[0], 0, SETTINGS, objective, size=1.0)
    step = flat(moved.params) - flat(gaussians.params)
    assert (step - expected).norm() < 1e-4 * expected.norm()


@pytest.mark.parametrize("backend", parameters(sorted(BACKENDS.keys() - {"cpu"})))
@pytest.mark.parametrize("preconditioner", ["blocks", "probed"])
def test_steps_are_those_of_the_cpu(problem, backend: str, preconditioner) -> None:
    start, _ = problem
    options = StochasticOptions(preconditioner=preconditioner, together=1)
    expected, _ = run(problem, 1, options)
    with BACKENDS[backend]():
        gaussians, _ = run(problem, 1, options)
    for name, value in expected.params.items():
        change = value - start.params[name]
        assert (gaussians.params[name] - value).norm() < 1e-3 * change.norm()


def test_the_survey_tells_the_mean_loss_and_moves_nothing(problem) -> None:
    start, photographs = problem
    gaussians = copied(start)
    newton = StochasticNewton(StochasticOptions())
    loss, image = newton.survey(gaussians, photographs, SETTINGS, L1DSSIM(), torch.Generator())
    assert loss == pytest.approx(mean_loss(start, photographs, SETTINGS, L1DSSIM()), rel=1e-6)
    assert image.shape == photographs[0].image.shape
    for name, value in gaussians.params.items():
        assert torch.equal(value, start.params[name])


@pytest.mark.parametrize(
    "options",
    [
        StochasticOptions(pace=0.3),
        StochasticOptions(pace=0.3, preconditioner="diagonal"),
        StochasticOptions(pace=0.3, preconditioner="probed"),
        StochasticOptions(pace=0.3, residuals=0.6),
    ],
    ids=["blocks", "diagonal", "probed", "sampled residuals"],
)
@pytest.mark.parametrize("objective", [L1DSSIM(), HuberSSIM()], ids=["l1_dssim", "huber_ssim"])
def test_the_loss_falls(problem, options, objective) -> None:
    gaussians, _ = run(problem, 20, options, objective)
    start, photographs = problem
    before, after = (mean_loss(g, photographs, SETTINGS, objective) for g in (start, gaussians))
    assert after < 0.5 * before


def test_it_continues_to_the_bit_from_its_state(problem) -> None:
    _, photographs = problem
    for preconditioner in ("blocks", "probed"):
        options = StochasticOptions(preconditioner=preconditioner)
        gaussians, newton = run(problem, 2, options)
        other, resumed = copied(gaussians), StochasticNewton(options)
        resumed.load_state_dict(newton.state_dict(), torch.device("cpu"))
        for g, n in ((gaussians, newton), (other, resumed)):
            for number in (1, 2):
                n.step(g, photographs[number], number, SETTINGS, L1DSSIM(), size=0.5)
        for name, value in gaussians.params.items():
            assert torch.equal(value, other.params[name])
            assert not torch.equal(value, problem[0].params[name])


def test_what_did_harm_is_undone_and_steps_become_shorter(problem) -> None:
    """The losses that a turn meets tell what the turn before was worth."""
    start, photographs = problem
    gaussians, newton = copied(start), StochasticNewton(StochasticOptions(pace=1e3))
    newton.survey(gaussians, photographs, SETTINGS, L1DSSIM(), torch.Generator())
    losses = [mean_loss(start, photographs, SETTINGS, L1DSSIM())]
    kept = []
    for _ in range(60):
        for number, photograph in enumerate(photographs):
            newton.step(gaussians, photograph, number, SETTINGS, L1DSSIM(), size=1.0)
        kept.append(newton.check(gaussians))
        losses.append(mean_loss(gaussians, photographs, SETTINGS, L1DSSIM()))
        if not kept[-1] and all(kept[:-1]):  # the first time: nothing has been better than the start
            assert losses[-1] == losses[0]
    assert min(losses) < losses[0]
    assert newton.guard is not None
    assert newton.guard.undone == kept.count(False) > 1
    assert newton.guard.factor < 1


def test_some_steps_move_together(problem) -> None:
    """As far as these steps together, and not at all in between."""
    start, photographs = problem
    moved = []
    for together in (1, 3):
        options = StochasticOptions(momentum=0.0, together=together, pace=0.01)
        gaussians, newton = copied(start), StochasticNewton(options)
        newton.survey(gaussians, photographs, SETTINGS, L1DSSIM(), torch.Generator())
        for size in [0.6] if together == 1 else [0.1, 0.2, 0.3]:
            assert torch.equal(gaussians.means, start.means)
            newton.step(gaussians, photographs[1], 1, SETTINGS, L1DSSIM(), size)
        moved.append(flat(gaussians.params) - flat(start.params))
    assert moved[0].norm() > 0
    assert (moved[0] - moved[1]).norm() < 1e-4 * moved[0].norm()


def test_a_gaussian_that_no_photograph_sees_any_more_stays_in_the_range(problem) -> None:
    """Its curvature is that of the survey, when it was seen; so its steps do not end by themselves."""
    _, photographs = problem
    gaussians, newton = run(problem, 1, StochasticOptions())
    newton.load_state_dict(
        {**newton.state_dict(), "mean": {n: v.fill_(-1e30) for n, v in newton.state_dict()["mean"].items()}},
        torch.device("cpu"),
    )
    for _ in range(400):
        newton.step(gaussians, photographs[0], 0, SETTINGS, L1DSSIM(), size=1.0)
    drop, repair = find_unusable(gaussians)
    assert not drop
    assert not repair
    assert gaussians.opacities.abs().max() <= MOST_LOGIT


def test_the_state_before_the_survey_is_empty() -> None:
    newton = StochasticNewton(StochasticOptions())
    assert newton.state_dict() == {}
    newton.load_state_dict({}, torch.device("cpu"))
    with pytest.raises(RuntimeError, match="survey"):
        newton.step(scene()[0], None, 0, SETTINGS, L1DSSIM(), 1.0)
    with pytest.raises(RuntimeError, match="survey"):
        newton.check(scene()[0])


def test_an_unseen_gaussian_stays(problem) -> None:
    start, photographs = problem
    means = start.means.clone()
    means[0] = torch.tensor([0.0, 0.0, -100.0])  # behind all cameras
    gaussians, _ = run((replace(start, means=means), photographs), 2, StochasticOptions())
    for name, value in gaussians.params.items():
        expected = means if name == "means" else start.params[name]
        assert torch.equal(value[0], expected[0])
        assert not torch.equal(value[1:], expected[1:])


@pytest.mark.parametrize(
    "wrong", [{"pace": 0.0}, {"residuals": 0.0}, {"residuals": 1.5}, {"momentum": 1.0}, {"damping": 0.0}]
)
def test_options_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        StochasticOptions(**wrong)
