"""Conjugate gradients, the preconditioners and the trust region."""

from __future__ import annotations

import pytest
import torch
from second_order.scenes import random_vector, scene
from torch import Tensor

from gsplat_core.ops.gauss_newton import GEOMETRY, MOMENTS, PAIRS
from gsplat_core.render.settings import RenderSettings
from gsplat_core.second_order.linearization import Blocks, Linearization, Settings, join_geometry
from gsplat_core.second_order.pcg import solve
from gsplat_core.second_order.preconditioner import BlockPreconditioner, DiagonalPreconditioner
from gsplat_core.second_order.trust_region import TrustRegion
from gsplat_core.second_order.vectors import dot, norm

ops = torch.ops.gsplat_core
on_every_backend = pytest.mark.usefixtures("backend")


def positive_definite(n: int, count: int = 1, seed: int = 0) -> Tensor:
    a = torch.randn(count, n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return a @ a.mT + 0.1 * torch.eye(n)


def system(n: int = 12):
    matrix = positive_definite(n)[0]
    right = {"b": torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(1))}
    return matrix, right, lambda v: {"b": matrix @ v["b"]}


def test_conjugate_gradients_solve_in_as_many_iterations_as_unknowns() -> None:
    matrix, right, multiply = system()
    solution = solve(multiply, right, dict, max_iterations=12, tolerance=1e-12)
    assert torch.allclose(matrix @ solution.x["b"], right["b"], rtol=1e-6)
    assert torch.allclose(solution.product["b"], right["b"], rtol=1e-6)


def test_every_iteration_lowers_the_quadratic_and_a_preconditioner_saves_some() -> None:
    matrix, right, multiply = system()
    diagonal = DiagonalPreconditioner({"b": matrix.diagonal()}, {"b": torch.zeros(12)})
    values = []
    for iterations in range(6):
        x = solve(multiply, right, diagonal, max_iterations=iterations, tolerance=0.0).x
        values.append(0.5 * dot(x, multiply(x)) - dot(x, right))
    assert values == sorted(values, reverse=True)
    exact = solve(multiply, right, lambda r: {"b": torch.linalg.solve(matrix, r["b"])})
    assert exact.iterations == 1
    assert exact.residual < 1e-6


def test_nothing_to_do_without_a_gradient() -> None:
    _, _, multiply = system()
    solution = solve(multiply, {"b": torch.zeros(12, dtype=torch.float64)}, dict)
    assert solution.iterations == 0
    assert not solution.x["b"].any()


@on_every_backend
def test_blocks_are_factored_and_solved() -> None:
    matrices = positive_definite(GEOMETRY, 37)
    rows, columns = torch.triu_indices(GEOMETRY, GEOMETRY)
    added, right = torch.rand(2, 37, GEOMETRY, generator=torch.Generator().manual_seed(2))
    factors = ops.factor_blocks(matrices[:, rows, columns].float(), added)
    expected = torch.linalg.solve(matrices + torch.diag_embed(added).double(), right.double())
    assert torch.allclose(ops.solve_blocks(factors, right).double(), expected, rtol=1e-3, atol=1e-4)


@on_every_backend
def test_a_singular_block_gives_finite_steps() -> None:
    factors = ops.factor_blocks(torch.zeros(3, PAIRS), torch.zeros(3, GEOMETRY))
    assert not ops.solve_blocks(factors, torch.ones(3, GEOMETRY)).any()


@on_every_backend
def test_block_preconditioner_inverts_the_blocks() -> None:
    gaussians, cameras = scene(num=50)
    linearization = Linearization(gaussians, cameras, Settings(1))
    blocks = linearization.blocks([torch.ones_like(image) for image in linearization.images])
    damping = {name: 0.1 * d + 1e-3 for name, d in blocks.diagonal().items()}
    r = random_vector(gaussians)
    solved = BlockPreconditioner(blocks, damping)(r)
    i, j = torch.triu_indices(GEOMETRY, GEOMETRY)
    matrices = torch.zeros(50, GEOMETRY, GEOMETRY, dtype=torch.float64)
    matrices[:, i, j] = matrices[:, j, i] = blocks.geometry.double()
    matrices += torch.diag_embed(join_geometry(damping)).double()
    expected = torch.linalg.solve(matrices, join_geometry(r).double())
    error = (join_geometry(solved) - expected).norm(dim=1) / expected.norm(dim=1)
    assert error.max() < 1e-3
    assert torch.allclose(solved["sh0"], r["sh0"] / (blocks.sh0 + damping["sh0"]))


def test_the_better_preconditioner_needs_fewer_iterations() -> None:
    gaussians, cameras = scene(num=300, width=60, height=45)
    linearization = Linearization(gaussians, cameras, Settings(1))
    weights = [torch.ones_like(image) for image in linearization.images]
    blocks = linearization.blocks(weights)
    diagonal = blocks.diagonal()
    damping = {name: 0.01 * d + 1e-3 for name, d in diagonal.items()}

    def matrix(v):
        product = linearization.vjp(linearization.jvp(v))
        return {name: product[name] + damping[name] * v[name] for name in v}

    right = linearization.vjp(weights)
    preconditioners = {
        "none": dict,
        "diagonal": DiagonalPreconditioner(diagonal, damping),
        "blocks": BlockPreconditioner(blocks, damping),
    }
    left = {}
    for name, preconditioner in preconditioners.items():
        solution = solve(matrix, right, preconditioner, 10, tolerance=0.0)
        product = matrix(solution.x)
        left[name] = norm({key: right[key] - product[key] for key in right}) / norm(right)
        assert norm({key: solution.product[key] - product[key] for key in right}) < 1e-3 * norm(right)
    assert left["blocks"] < left["diagonal"] < left["none"]


@on_every_backend
def test_fake_kernels_fit() -> None:
    gaussians, cameras = scene(num=20)
    (group, *_) = Linearization(gaussians, cameras, Settings(1))._groups
    means, quats, scales, _, *others = group._gaussians(gaussians.activated())
    degree, _, _, sh0, shN = group._harmonics(gaussians.activated())
    moments = torch.rand(1, len(group.places), 20, MOMENTS)
    scene_arguments = (means, quats, scales, *others, group.cameras.model, *group._drawing, degree, sh0, shN)
    calls = {
        ops.composite_moments: (*group._compositing, group.image, group.image.abs()),
        ops.gauss_newton_blocks: (*scene_arguments, group.splats.radii, group.colors, moments),
        ops.factor_blocks: (torch.rand(5, PAIRS), torch.rand(5, GEOMETRY)),
        ops.solve_blocks: (torch.rand(5, PAIRS), torch.rand(5, GEOMETRY)),
    }
    for operator, arguments in calls.items():
        torch.library.opcheck(operator, arguments, test_utils=("test_schema", "test_faketensor"))


def test_blocks_of_the_unscented_transform_are_refused() -> None:
    gaussians, cameras = scene(num=5)
    linearization = Linearization(gaussians, cameras, Settings(1, drawn=RenderSettings(unscented=True)))
    with pytest.raises(RuntimeError, match="'unscented' is not supported by 'gauss_newton_blocks'"):
        linearization.blocks([torch.ones_like(image) for image in linearization.images])


def test_blocks_know_their_diagonal() -> None:
    geometry = torch.zeros(1, PAIRS)
    i, j = torch.triu_indices(GEOMETRY, GEOMETRY)
    geometry[0, i == j] = torch.arange(1.0, GEOMETRY + 1)
    diagonal = Blocks(geometry, torch.ones(1, 1, 3), torch.ones(1, 3, 3)).diagonal()
    assert diagonal["quats"].tolist() == [[4, 5, 6, 7]]
    assert diagonal["opacities"].tolist() == [11]


def test_the_trust_region_grows_with_good_steps_and_shrinks_faster_with_every_bad_one() -> None:
    region = TrustRegion(damping=1.0)
    assert region.accepted(gain=1.0).damping == pytest.approx(1 / 3)
    assert region.accepted(gain=0.5).damping == pytest.approx(1.0)
    assert region.accepted(gain=0.01).damping > 1.9
    twice = region.rejected().rejected()
    assert twice.damping == 8.0
    assert twice.accepted(1.0).growth == 2.0
    assert TrustRegion(damping=1e-4, lowest=1e-4).accepted(1.0).damping == 1e-4
