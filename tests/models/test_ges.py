"""GES: a trained factor on the size of Gaussians, which files have in their scales."""

from __future__ import annotations

from pathlib import Path

import torch
from models.test_generalized import image_of, plain_scene

from gsplat_core import primitive
from gsplat_core.io import load, save
from gsplat_core.models.ges import SHAPE
from gsplat_core.scene.gaussians import Gaussians


def scene_with(shapes: torch.Tensor, plain: Gaussians) -> Gaussians:
    scene = plain.with_primitive("ges")
    scene.further[SHAPE].copy_(shapes)
    return scene


def shapes_of(num: int) -> torch.Tensor:
    return 20 * torch.randn(num, generator=torch.Generator().manual_seed(3))


def test_it_is_the_plain_gaussian_where_training_starts() -> None:
    plain = plain_scene()
    assert torch.equal(image_of(plain.with_primitive("ges")), image_of(plain))


def test_scales_are_multiplied_by_phi_and_nothing_else_is_changed() -> None:
    plain, shapes = plain_scene().to(dtype=torch.float64), shapes_of(40).double()
    before, after = primitive.evaluate(plain), primitive.evaluate(scene_with(shapes, plain))
    assert before.scales is not None
    torch.testing.assert_close(after.scales, before.scales * (2 * torch.sigmoid(0.1 * shapes))[:, None])
    assert after._replace(scales=None)[:2] == before._replace(scales=None)[:2]
    assert torch.equal(after.opacities, before.opacities)


def test_derivatives_are_those_of_the_formulas() -> None:
    """dL/ds = phi dL/ds', dL/db = (dL/ds' . s) phi (1 - phi / 2) / 10, with s = exp of what is trained."""
    scene = scene_with(shapes_of(12).double(), plain_scene(12).to(dtype=torch.float64))
    raw = {name: value.requires_grad_() for name, value in scene.params.items()}
    drawn = primitive.evaluate(raw, primitive="ges")
    assert drawn.scales is not None
    upstream = torch.randn(12, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    by_scales, by_shapes = torch.autograd.grad((drawn.scales * upstream).sum(), (raw["scales"], raw[SHAPE]))
    s, phi = raw["scales"].exp().detach(), 2 * torch.sigmoid(0.1 * raw[SHAPE].detach())
    torch.testing.assert_close(by_scales, s * phi[:, None] * upstream)
    torch.testing.assert_close(by_shapes, (upstream * s).sum(dim=1) * phi * (1 - phi / 2) / 10)


def test_extreme_shapes_have_finite_values_and_derivatives() -> None:
    scene = scene_with(torch.tensor([-3e4, 3e4, 0.0]), plain_scene(3)).requires_grad_()
    drawn = primitive.evaluate(scene)
    assert drawn.scales is not None
    drawn.scales.sum().backward()
    assert bool(drawn.scales.isfinite().all())
    assert bool((drawn.scales > 0).all())
    assert all(bool(scene.params[name].grad.isfinite().all()) for name in ("scales", SHAPE))
    assert bool(scene.detached().baked().scales.isfinite().all())


def test_files_have_the_logarithm_of_phi_in_their_scales(tmp_path: Path) -> None:
    plain, shapes = plain_scene(), shapes_of(40)
    scene = scene_with(shapes, plain)
    save(tmp_path / "a.ply", scene)
    read = load(tmp_path / "a.ply")
    assert read.primitive == "gaussian"
    torch.testing.assert_close(read.scales, plain.scales + (2 * torch.sigmoid(0.1 * shapes)).log()[:, None])
    torch.testing.assert_close(image_of(read), image_of(scene), atol=2e-5, rtol=1e-4)
    assert not torch.allclose(image_of(plain), image_of(scene), atol=1e-2)


def test_values_and_raw_shapes_are_inverse_to_each_other() -> None:
    field = primitive.get("ges").schema[SHAPE]
    raw = torch.linspace(-30, 30, 7, dtype=torch.float64)
    torch.testing.assert_close(field.raw(field.value(raw)), raw)
