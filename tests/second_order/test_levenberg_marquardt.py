"""One iteration of Levenberg-Marquardt, and ten of them against Adam."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace

import pytest
import torch
from backends import BACKENDS, parameters
from second_order.scenes import (
    dense_jacobian,
    disturbed,
    flat,
    photographed,
    render,
    scene,
)
from torch import Tensor

from gsplat_core.losses import l1_dssim
from gsplat_core.optim import Adam
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.second_order import pcg
from gsplat_core.second_order.damping import Kinds, floored
from gsplat_core.second_order.levenberg_marquardt import (
    Iteration,
    Options,
    _Matrix,
    _Proposal,
    iterate,
    mean_loss,
)
from gsplat_core.second_order.linearization import Linearization, Settings
from gsplat_core.second_order.objective import L1DSSIM, HuberSSIM
from gsplat_core.second_order.trust_region import TrustRegion
from trainers.config import LearningRates

SETTINGS = Settings(sh_degree=1)


def run(problem, iterations: int, options: Options = Options(), damping: float = 0.1, objective=L1DSSIM()):  # noqa: B008
    start, photographs = problem
    gaussians = Gaussians(**{name: value.clone() for name, value in start.params.items()})
    region, generator = TrustRegion(damping), torch.Generator().manual_seed(0)
    steps: list[Iteration] = []
    for _ in range(iterations):
        steps.append(iterate(gaussians, photographs, SETTINGS, objective, region, options, generator))
        region = steps[-1].region
    return gaussians, steps


def test_the_step_is_that_of_the_dense_system() -> None:
    true, cameras = scene(num=30, width=9, height=8)
    photographs, gaussians = photographed(true, cameras, SETTINGS), disturbed(true)
    linearization = Linearization(gaussians, photographs, SETTINGS)
    objective = L1DSSIM()
    models = [objective.model(i, p.image) for i, p in zip(linearization.images, photographs, strict=True)]
    options = Options(kinds=Kinds(means=3.0, shN=0.5))
    matrix = _Matrix(linearization, models, 1 / 3, 0.1, options, torch.Generator())
    downhill = linearization.vjp([-model.gradient / 3 for model in models])
    step = pcg.solve(matrix, downhill, matrix.precondition, 500, 1e-7).x

    jacobian = dense_jacobian(gaussians, photographs, SETTINGS)
    curvatures = []
    for image, model in zip(linearization.images, models, strict=True):
        units = torch.eye(image.numel()).view(-1, *image.shape)
        curvatures.append(torch.stack([model.curvature(unit).flatten() for unit in units]).double())
    dense = jacobian.T @ torch.block_diag(*curvatures) @ jacobian / 3
    gradient = torch.cat([model.gradient.flatten() for model in models]).double() @ jacobian / 3
    # The damping, from the definition.
    bottom, damping = 0, []
    weights = torch.cat([model.diagonal.flatten() for model in models]).double() / 3
    diagonal = (jacobian.square() * weights[:, None]).sum(dim=0)
    for name, value in gaussians.params.items():
        part = diagonal[bottom : bottom + value.numel()].view(value.shape)
        damping.append(0.1 * getattr(options.kinds, name) * floored(part, options.floor).flatten())
        bottom += value.numel()
    expected = torch.linalg.solve(dense + torch.diag(torch.cat(damping)), -gradient)
    assert (flat(step) - expected).norm() < 1e-4 * expected.norm()


@pytest.mark.parametrize("backend", parameters(sorted(BACKENDS.keys() - {"cpu"})))
@pytest.mark.parametrize(
    "options",
    [Options(), Options(preconditioner="probed", batches=2), Options(residuals=0.6)],
    ids=["blocks", "two batches, probed", "sampled residuals"],
)
def test_an_iteration_is_that_of_the_cpu(problem, backend: str, options: Options) -> None:
    start, _ = problem
    expected, (step,) = run(problem, 1, options)
    with BACKENDS[backend]():
        gaussians, (other,) = run(problem, 1, options)
    assert step.accepted
    assert other.loss == pytest.approx(step.loss, rel=1e-4)
    for name, value in expected.params.items():
        change = value - start.params[name]
        assert (gaussians.params[name] - value).norm() < 1e-3 * change.norm()


def test_ten_iterations_reach_what_takes_adam_more_than_two_hundred_steps(problem) -> None:
    """Adam on all photographs at once, with the learning rates of 3DGS and bias correction."""
    start, photographs = problem
    options = Options(cg_iterations=20, floor=0.01, kinds=Kinds(shN=1.0))
    _, steps = run(problem, 10, options, objective=L1DSSIM(smallest_error=0.002))
    params = {name: value.clone().requires_grad_() for name, value in start.params.items()}
    rates = replace(LearningRates(), means=4 * LearningRates().means)  # the extent of the scene is about 4
    adam = Adam([{"params": [p], "lr": getattr(rates, name)} for name, p in params.items()])
    for _ in range(250):
        moved = Gaussians(**params)
        loss = sum(l1_dssim(render(moved, p, SETTINGS), p.image) for p in photographs) / len(photographs)
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert steps[-1].loss < float(loss.detach())
    assert steps[-1].loss < 0.03 * steps[0].loss_before


@pytest.mark.parametrize(
    "options",
    [
        Options(),
        Options(preconditioner="diagonal"),
        Options(preconditioner="probed"),
        Options(batches=2),
        Options(residuals=0.6),
    ],
    ids=["blocks", "diagonal", "probed", "two batches", "sampled residuals"],
)
def test_accepted_losses_fall_and_are_those_of_the_scene(problem, options: Options) -> None:
    gaussians, steps = run(problem, 4, options)
    losses = [steps[0].loss_before, *(step.loss for step in steps)]
    assert losses == sorted(losses, reverse=True)
    for before, after in itertools.pairwise(steps):
        assert after.loss_before == pytest.approx(before.loss, rel=1e-6)
    assert steps[-1].loss == mean_loss(gaussians, problem[1], SETTINGS, L1DSSIM())
    assert steps[-1].loss < 0.7 * steps[0].loss_before


def test_steps_of_batches_are_averaged_with_the_diagonals_as_weights(problem) -> None:
    gaussians, photographs = problem
    arguments = (SETTINGS, L1DSSIM(), 0.1, Options(), torch.Generator())
    of_each = [_Proposal.of(gaussians, [p], *arguments) for p in photographs]
    whole = functools.reduce(_Proposal.combined, of_each).completed()
    for name, step in whole.step.items():
        weights = torch.stack([p.diagonal[name] for p in of_each]).double()
        steps = torch.stack([p.step[name] for p in of_each]).double()
        expected = (weights * steps).sum(dim=0) / weights.sum(dim=0).clamp(min=1e-30)
        assert torch.allclose(step.double(), expected, rtol=1e-4, atol=1e-7)
        downhill = torch.stack([p.downhill[name] for p in of_each]).mean(dim=0)
        assert torch.allclose(whole.downhill[name], downhill, rtol=1e-4, atol=1e-7)
    assert whole.loss == pytest.approx(sum(p.loss for p in of_each) / 3)
    assert whole.bend == pytest.approx(sum(p.bend for p in of_each) / 3)


def test_the_objective_of_3dgs_lm(problem) -> None:
    _, steps = run(problem, 4, objective=HuberSSIM())
    assert steps[-1].loss < 0.5 * steps[0].loss_before


def test_a_rejected_step_leaves_every_bit_as_it_was(problem) -> None:
    class Stubborn(L1DSSIM):
        """Finds everything worse than what it was first shown."""

        def loss(self, image: Tensor, photograph: Tensor) -> float:
            return 1.0

    start, _ = problem
    gaussians, (step,) = run(problem, 1, objective=Stubborn())
    assert not step.accepted
    assert step.step_size == 0
    assert step.region.damping > 0.1
    for name, value in gaussians.params.items():
        assert torch.equal(value, start.params[name])


def test_an_unseen_gaussian_stays(problem) -> None:
    start, photographs = problem
    means = start.means.clone()
    means[0] = torch.tensor([0.0, 0.0, -100.0])  # behind all cameras
    gaussians, steps = run((replace(start, means=means), photographs), 2)
    assert steps[-1].accepted
    for name, value in gaussians.params.items():
        expected = means if name == "means" else start.params[name]
        assert torch.equal(value[0], expected[0])
        assert not torch.equal(value[1:], expected[1:])


@pytest.mark.parametrize("wrong", [{"residuals": 0.0}, {"residuals": 1.5}, {"trials": 0}, {"batches": 0}])
def test_options_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Options(**wrong)
