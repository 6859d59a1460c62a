"""The 3D filter of Mip-Splatting: what it does to a Gaussian, its derivatives, and that files have it."""

from __future__ import annotations

import math

import pytest
import torch
from models.test_generalized import camera, plain_scene
from torch import Tensor

from gsplat_core import primitive
from gsplat_core.models.mip import FILTER, SCREEN_FILTER, deviations
from gsplat_core.render.scene import render
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.similarity import Similarity


def scene_with(filters: Tensor, plain: Gaussians) -> Gaussians:
    scene = plain.with_primitive("mip")
    scene.extras[FILTER] = filters.to(plain.means.dtype)
    return scene


def filters_of(num: int) -> Tensor:
    filters = 0.5 * torch.rand(num, generator=torch.Generator().manual_seed(3))
    filters[0] = 0
    return filters


def test_a_filtered_gaussian_is_larger_and_keeps_its_integral() -> None:
    plain = plain_scene().to(dtype=torch.float64)
    filters = filters_of(plain.num).double()
    before, after = primitive.evaluate(plain), primitive.evaluate(scene_with(filters, plain))
    assert before.scales is not None
    assert after.scales is not None
    torch.testing.assert_close(after.scales, (before.scales**2 + filters[:, None] ** 2).sqrt())
    integrals = [e.opacities * e.scales.prod(dim=1) for e in (before, after)]
    torch.testing.assert_close(*integrals)


def test_without_a_filter_it_is_the_plain_gaussian() -> None:
    plain = plain_scene()
    blank = primitive.evaluate(plain.with_primitive("mip"))
    expected = primitive.evaluate(plain)
    torch.testing.assert_close(blank.scales, expected.scales, rtol=1e-6, atol=0)
    torch.testing.assert_close(blank.opacities, expected.opacities, rtol=1e-6, atol=0)


def test_derivatives_are_those_of_the_formulas() -> None:
    """ds'/ds = s/s' and d ln(o'/o)/ds = f^2 / (s (s^2 + f^2)), with s = exp of what is trained."""
    plain = plain_scene(12).to(dtype=torch.float64)
    filters = filters_of(12).double()
    raw = {name: value.requires_grad_() for name, value in plain.params.items()}
    drawn = primitive.evaluate({**raw, FILTER: filters}, primitive="mip")
    assert drawn.scales is not None
    s = raw["scales"].exp().detach()
    by_scales = torch.autograd.grad(drawn.scales.sum(), raw["scales"], retain_graph=True)[0]
    torch.testing.assert_close(by_scales, s * s / (s**2 + filters[:, None] ** 2).sqrt())
    logarithm = (drawn.opacities / raw["opacities"].sigmoid()).log().sum()
    by_scales = torch.autograd.grad(logarithm, raw["scales"])[0]
    torch.testing.assert_close(by_scales, filters[:, None] ** 2 / (s**2 + filters[:, None] ** 2))

    def evaluated(scales: Tensor, opacities: Tensor) -> tuple[Tensor, Tensor]:
        fields = {**raw, "scales": scales, "opacities": opacities, FILTER: filters}
        found = primitive.evaluate(fields, primitive="mip")
        assert found.scales is not None
        return found.scales, found.opacities

    assert torch.autograd.gradcheck(evaluated, (raw["scales"], raw["opacities"]))


@pytest.mark.parametrize("log_scale", [-200.0, -90.0, -40.0, 40.0])
@pytest.mark.parametrize("filtered", [0.0, 1e-3])
def test_extreme_sizes_have_finite_values_and_derivatives(log_scale: float, filtered: float) -> None:
    raw = {name: value.requires_grad_() for name, value in plain_scene(3).params.items()}
    with torch.no_grad():
        raw["scales"][:, 0] = log_scale
    drawn = primitive.evaluate({**raw, FILTER: torch.full((3,), filtered)}, primitive="mip")
    assert drawn.scales is not None
    (drawn.scales.log().sum() + drawn.opacities.sum()).backward()
    assert bool(drawn.opacities.isfinite().all())
    assert all(bool(raw[name].grad.isfinite().all()) for name in ("scales", "opacities"))


def test_baked_it_is_drawn_alike_by_any_viewer() -> None:
    plain = plain_scene()
    scene = scene_with(filters_of(plain.num), plain).with_metadata(antialiased=True, eps2d=SCREEN_FILTER)
    baked = scene.baked()
    assert baked.primitive == "gaussian"
    assert FILTER not in baked.extras
    assert baked.metadata == scene.metadata
    images = [render(drawn, camera()).colors for drawn in (plain, scene, baked)]
    torch.testing.assert_close(images[1], images[2], atol=2e-5, rtol=1e-4)
    assert not torch.allclose(images[0], images[1], atol=1e-2)
    assert plain.baked() is plain


def test_the_filter_is_as_long_as_the_scene_is_large() -> None:
    scene = scene_with(filters_of(40), plain_scene())
    moved = scene.transformed(Similarity(scale=3.0))
    torch.testing.assert_close(moved.extras[FILTER], 3 * scene.extras[FILTER])
    drawn, larger = primitive.evaluate(scene), primitive.evaluate(moved)
    torch.testing.assert_close(larger.opacities, drawn.opacities)


def test_its_size_follows_from_the_finest_sampling() -> None:
    found = deviations(torch.tensor([10.0, 0.0, 2.5, 40.0]))
    expected = math.sqrt(0.2) / torch.tensor([10.0, 2.5, 2.5, 40.0])
    torch.testing.assert_close(found, expected)
    assert not deviations(torch.zeros(3)).any()
    assert deviations(torch.zeros(0)).shape == (0,)
