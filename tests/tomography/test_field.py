"""Raw parameters of density fields, how they start, and how they multiply."""

from __future__ import annotations

import pytest
import torch

from gsplat_core.densify.store import ParameterStore
from gsplat_core.densify.strategy import SceneView
from gsplat_core.tomography.density_control import DensityControl, DensityControlConfig
from gsplat_core.tomography.field import FIELDS, FINEST, WIDEST, DensityField, activated, inverted, started
from gsplat_core.tomography.grid import Grid
from gsplat_core.tomography.scanner import Beam, Scanner, circular


def field_of(num: int) -> DensityField:
    random = torch.Generator().manual_seed(0)
    return DensityField(
        torch.rand(num, 3, generator=random) - 0.5,
        torch.randn(num, 4, generator=random),
        0.02 + 0.3 * torch.rand(num, 3, generator=random),
        0.01 + torch.rand(num, generator=random),
    )


def test_raw_parameters_stand_for_the_field() -> None:
    field = field_of(50)
    for ours, theirs in zip(activated(inverted(field)), field, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    extreme = {name: torch.full((1, *kind.shape), 1e3) for name, kind in FIELDS.items()}
    assert float(activated(extreme).scales.max()) == pytest.approx(WIDEST)
    low = activated({name: -value for name, value in extreme.items()})
    assert float(low.scales.min()) == pytest.approx(FINEST)
    assert float(low.densities) == 0


def test_fields_start_in_the_voxels_that_have_a_density() -> None:
    grid = Grid.cube(8)
    volume = torch.zeros(8, 8, 8)
    volume[2:6, 3:7, 1:4] = torch.arange(1, 49).reshape(4, 4, 3) / 48
    field = started(volume, grid, count=1000, least=0.05, share=0.15, seed=0)
    assert len(field.means) == int((volume > 0.05).sum())
    voxels = ((field.means + 1) * 4).floor().long()
    torch.testing.assert_close(field.densities, 0.15 * volume[tuple(voxels.T)])
    torch.testing.assert_close(field.means, (voxels + 0.5) / 4 - 1)
    # The nearest of most are one voxel away.
    assert float(field.scales.median()) == pytest.approx(0.25, rel=0.01)
    few = started(volume, grid, count=10, least=0.05, share=0.15, seed=0)
    assert len(few.means) == 10
    with pytest.raises(ValueError, match="hardly anything"):
        started(0 * volume, grid, count=10, least=0.05, share=0.15, seed=0)


def test_the_inverse_of_the_unit_box() -> None:
    field = field_of(5)
    moved = field.moved(4.0, (1.0, 2.0, 3.0))
    torch.testing.assert_close(4 * (moved.means - torch.tensor([1.0, 2.0, 3.0])), field.means)
    torch.testing.assert_close(4 * moved.scales, field.scales)


class Controlled:
    """A store under density control that refines at step 20."""

    def __init__(self, field: DensityField, **settings: float) -> None:
        config = DensityControlConfig(refine_start=10, refine_stop=100, refine_every=20, **settings)  # type: ignore[arg-type]
        self.control = DensityControl(config)
        self.store = ParameterStore({k: v.requires_grad_() for k, v in inverted(field).items()})
        self.control.initialize(self.store.num, "cpu")

    def refined(self, pulls: torch.Tensor, step: int = 20) -> DensityField:
        self.control.rows["gradient_sum"] += pulls
        self.control.rows["seen"] += 1
        with torch.no_grad():
            view = SceneView(self.store.params, 1.0)
            self.control.follow(self.store.apply(self.control.on_step(step, view)))
            return activated(self.store.params)


def mass(field: DensityField) -> torch.Tensor:
    return field.densities * field.scales.prod(dim=1)


def test_clones_share_their_density() -> None:
    field = field_of(6)._replace(scales=torch.full((6, 3), 0.05))
    pulls = torch.tensor([0, 1.0, 0, 1.0, 0, 0])
    after = Controlled(field).refined(pulls)
    assert len(after.means) == 8
    torch.testing.assert_close(after.densities[:6], field.densities * torch.where(pulls > 0, 0.5, 1.0))
    torch.testing.assert_close(after.densities[6:], field.densities[[1, 3]] / 2)
    assert torch.equal(after.means[6:], field.means[[1, 3]])


def test_children_share_their_density_and_are_smaller() -> None:
    field = field_of(4)._replace(scales=torch.full((4, 3), 0.4))
    after = Controlled(field).refined(torch.tensor([0, 0, 1.0, 0]))
    assert len(after.means) == 5
    torch.testing.assert_close(after.densities[3:], field.densities[2].expand(2) / 2)
    torch.testing.assert_close(after.scales[3:], torch.full((2, 3), 0.25))
    assert not torch.equal(after.means[3], after.means[4])


def test_children_that_would_be_too_small_have_the_smallest_size() -> None:
    flat = field_of(1)._replace(scales=torch.tensor([[0.4, 1.1 * FINEST, 0.4]]))
    after = Controlled(flat).refined(torch.ones(1))
    torch.testing.assert_close(after.scales, torch.tensor([[0.25, FINEST, 0.25]] * 2), atol=1e-5, rtol=1e-4)


def test_what_is_outside_or_hardly_attenuates_goes() -> None:
    field = field_of(5)
    field.means[1, 2] = 1.1
    field.densities[3] = 5e-6
    after = Controlled(field).refined(torch.zeros(5))
    torch.testing.assert_close(after.densities, field.densities[[0, 2, 4]])


def test_the_strongest_pulls_come_first_under_a_cap() -> None:
    field = field_of(5)._replace(scales=torch.full((5, 3), 0.05))
    after = Controlled(field, max_gaussians=7).refined(torch.tensor([1.0, 4, 2, 3, 0]))
    torch.testing.assert_close(after.densities[5:], field.densities[[1, 3]] / 2)


def test_nothing_happens_between_refinements() -> None:
    run = Controlled(field := field_of(5))
    for step in (19, 21, 100, 120):
        assert len(run.refined(torch.ones(5), step).means) == len(field.means)


@pytest.mark.parametrize("beam", ["cone", "parallel"])
def test_pulls_are_gradients_of_projected_centres(beam: Beam) -> None:
    """In normalised device units, of a loss that depends on where centres are projected."""
    field = field_of(7)
    scanner = Scanner(beam, 40, 30, (0.1, 0.08), (0.05, 0.1), circular([0.4], 6.0), Grid.cube(4), 6.0, 9.0)
    means = field.means.clone().requires_grad_()
    local = means @ scanner.viewmats[0, :3, :3].T.float() + scanner.viewmats[0, :3, 3].float()
    seen = local[:, :2] / local[:, 2:] if beam == "cone" else local[:, :2]
    device = seen * scanner.Ks[0].float().diagonal()[:2] / torch.tensor([20.0, 15.0])
    upstream = torch.rand(7, 2, generator=torch.Generator().manual_seed(1))
    (device * upstream).sum().backward()
    run = Controlled(field)
    assert means.grad is not None
    run.control.on_projection(means.grad, field.means, scanner)
    torch.testing.assert_close(run.control.rows["gradient_sum"], upstream.norm(dim=1))
