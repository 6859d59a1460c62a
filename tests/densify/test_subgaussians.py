"""N-DG's density control: who has sub-Gaussians, where they are, and who goes."""

from __future__ import annotations

import math

import pytest
import torch
from densify.tracked_scene import Params, TrackedScene
from torch import Tensor

from gsplat_core.densify import Guidance, RenderStats, SceneView
from gsplat_core.densify.subgaussians import SubGaussians, SubGaussiansConfig
from gsplat_core.quaternions import rotation_matrices

STEP = 600


def scene(opacities: list[float], lobes: bool = False) -> Params:
    n, random = len(opacities), torch.Generator().manual_seed(0)
    tensors = {
        "means": torch.randn(n, 3, generator=random),
        "quats": torch.randn(n, 4, generator=random),
        "scales": torch.rand(n, 3, generator=random) - 3,
        "opacities": torch.logit(torch.tensor(opacities)),
        "sh0": torch.randn(n, 1, 3, generator=random),
    }
    if lobes:
        tensors |= {
            "directions": torch.nn.functional.normalize(torch.randn(n, 3, generator=random), dim=1),
            "lobe_quats": torch.randn(n, 4, generator=random),
            "lobe_scales": torch.rand(n, 3, generator=random) - 1,
            "slopes": 0.2 * torch.randn(n, 3, 3, generator=random),
        }
    return {name: torch.nn.Parameter(tensor) for name, tensor in tensors.items()}


class Run(TrackedScene):
    def __init__(self, params: Params, **settings: float) -> None:
        super().__init__(params, SubGaussians(SubGaussiansConfig(**settings)))  # type: ignore[arg-type]

    def step(self, step: int = STEP, guidance: Guidance | None = None) -> list[int]:
        return self.on_step(step, SceneView(self.params, 1.0, guidance=guidance or Guidance()))

    def pull(self, lengths: list[float]) -> None:
        """One view, in which the projected centres are pulled at so much."""
        num = len(lengths)
        gradient = torch.stack([torch.tensor(lengths), torch.zeros(num)], dim=-1)[None]
        radii = torch.ones(1, num, 2, dtype=torch.int32)
        self.strategy.on_backward(STEP - 1, RenderStats(gradient, radii, 10, 10, 1))


def test_the_opaque_have_two_each_and_the_faint_go() -> None:
    run = Run(scene([0.5, 0.05, 0.11, 0.09, 0.99]))
    assert run.step() == [0, 2, 4, 0, 0, 2, 2, 4, 4]
    assert run.opacities().tolist() == pytest.approx([0.5, 0.11, 0.99, *[0.05] * 6], abs=1e-6)


def test_what_did_not_become_opaque_until_the_next_time_goes_again() -> None:
    run = Run(scene([0.5, 0.9]))
    run.step()
    with torch.no_grad():
        run.params["opacities"][3] = 1.0  # one sub-Gaussian of the first one
    before = run.params["means"][3].clone()
    assert run.step(STEP + 300) == [0, 1, 0, 0, 0, 1, 1, 0, 0]
    assert torch.equal(run.params["means"][2], before)


def test_nothing_happens_outside_its_schedule() -> None:
    run = Run(scene([0.5, 0.05]), refine_start=500, refine_stop=900)
    for step in (300, 500, 601, 899, 900, 1200):
        assert run.step(step) == [0, 1]


def test_somebody_is_always_left() -> None:
    assert Run(scene([0.05, 0.09])).step() == [0, 1]


def test_under_a_cap_those_that_are_pulled_at_most_come_first() -> None:
    run = Run(scene([0.5, 0.05, 0.5, 0.5]), max_gaussians=6)
    run.pull([1.0, 9.0, 3.0, 2.0])
    assert run.step() == [0, 2, 3, 2, 2]  # one more pair would be seven
    run = Run(scene([0.5] * 4), max_gaussians=100)
    assert run.step(guidance=Guidance(limit=6)) == [0, 1, 2, 3, 0, 0]
    leaving = torch.tensor([True, False, False, False])
    run = Run(scene([0.5] * 4), max_gaussians=5)
    assert run.step(guidance=Guidance(leaving=leaving)) == [1, 2, 3, 1, 1]


def test_sub_gaussians_lie_within_their_parents() -> None:
    """Normally distributed in their frames, as they are where all is said in standard deviations."""
    count = 4000
    run = Run(scene([0.5] * 3), children=count)
    parents = {name: tensor.detach().clone() for name, tensor in run.params.items()}
    rows = torch.tensor(run.step())[3:]
    offsets = run.params["means"].detach()[3:] - parents["means"][rows]
    axes = rotation_matrices(parents["quats"])[rows]
    normal = (axes.mT @ offsets[..., None])[..., 0] / parents["scales"].exp()[rows]
    for row in range(3):
        own = normal[rows == row]
        assert own.mean(0).abs().max() < 4 / math.sqrt(count)
        assert (own.T @ own / count - torch.eye(3)).abs().max() < 0.1
    shrunk = run.params["scales"].detach()[3:]
    torch.testing.assert_close(shrunk, parents["scales"][rows] - math.log(1.6))


def test_sub_gaussians_divide_lobes_too_and_move_with_the_direction_as_their_parents_do() -> None:
    run = Run(scene([0.5] * 2, lobes=True), children=500)
    parents = {name: tensor.detach().clone() for name, tensor in run.params.items()}
    rows = torch.tensor(run.step())[2:]
    subs = {name: tensor.detach()[2:] for name, tensor in run.params.items()}
    turned = subs["directions"] - parents["directions"][rows]
    axes = rotation_matrices(parents["lobe_quats"])[rows]
    normal = (axes.mT @ turned[..., None])[..., 0] / parents["lobe_scales"].exp()[rows]
    assert (normal.T @ normal / len(rows) - torch.eye(3)).abs().max() < 0.2
    torch.testing.assert_close(subs["lobe_scales"], parents["lobe_scales"][rows] - math.log(1.6))
    # Where the mean goes per change of the direction, X Ld^-1, is what it was.

    def motion(of: dict[str, Tensor]) -> Tensor:
        lobe = rotation_matrices(of["lobe_quats"]) * of["lobe_scales"].exp()[:, None, :]
        return of["slopes"] @ torch.linalg.inv(lobe)

    torch.testing.assert_close(motion(subs), motion(parents)[rows], rtol=1e-3, atol=1e-4)


def test_a_run_of_another_length_has_the_same_schedule() -> None:
    config = SubGaussiansConfig().stretched(0.1)
    assert (config.refine_start, config.refine_stop) == (50, 1500)
    assert config.refine_every <= 300
