"""N-DG and 6DGS: slices of six-dimensional Gaussians are the conditional ones, and only cameras see them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from models.test_generalized import camera, plain_scene
from torch import Tensor

from gsplat_core import primitive
from gsplat_core.baking import seen_from
from gsplat_core.errors import UsageError
from gsplat_core.models.directional import FALLOFF, SCHEMA, from_position_first, started
from gsplat_core.quaternions import rotation_matrices
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.scene import flow_to, measure, render
from gsplat_core.scene.gaussians import Gaussians
from trainers.camera_paths import Orbit, default_lens

kinds = pytest.mark.parametrize("kind", FALLOFF)


def scene_of(kind: str, num: int = 40, dtype: torch.dtype = torch.float32) -> Gaussians:
    """With lobes of all shapes, so that some rows are seen and others are not."""
    g = torch.Generator().manual_seed(5)
    scene = plain_scene(num).with_primitive(kind)
    own = {name: torch.randn(value.shape, generator=g) for name, value in scene.further.items()}
    own["slopes"] *= 0.2
    own["lobe_scales"] *= 0.5
    return dataclasses.replace(scene, further=own).to(dtype=dtype)


def around(count: int) -> Any:
    orbit = Orbit(center=np.zeros(3), up=np.array([0.0, 0.0, 1.0]), radius=5.0, elevation=0.3)
    return orbit.cameras(count, default_lens(60, 44))


def viewmat_at(centre: Tensor) -> Tensor:
    """[1, 4, 4] of a camera in this place that is turned somehow."""
    rotation = rotation_matrices(torch.tensor([0.3, -0.5, 0.2, 0.8], dtype=centre.dtype))
    top = torch.cat([rotation, -(rotation @ centre)[:, None]], dim=1)
    return torch.cat([top, top.new_tensor([[0.0, 0.0, 0.0, 1.0]])])[None]


def covariance_of(scene: Gaussians) -> Tensor:
    """[N, 6, 6] L L^T, directions first."""
    lobe = rotation_matrices(scene.further["lobe_quats"]) * scene.further["lobe_scales"].exp()[:, None]
    place = rotation_matrices(scene.quats) * scene.scales.exp()[:, None]
    upper = torch.cat([lobe, torch.zeros_like(lobe)], dim=2)
    factor = torch.cat([upper, torch.cat([scene.further["slopes"].mT, place], dim=2)], dim=1)
    return factor @ factor.mT


@kinds
def test_a_slice_is_the_gaussian_under_the_condition_of_its_direction(kind: str) -> None:
    scene, centre = scene_of(kind, 12, torch.float64), torch.tensor([0.5, -1.0, 4.0], dtype=torch.float64)
    seen = primitive.evaluate(scene, {"viewmats": viewmat_at(centre)})
    covariance = covariance_of(scene)
    s22, s12, s11 = covariance[:, :3, :3], covariance[:, 3:, :3], covariance[:, 3:, 3:]
    x = torch.nn.functional.normalize(scene.means - centre, dim=1) - scene.further["directions"]
    gain = s12 @ torch.linalg.inv(s22)
    torch.testing.assert_close(seen.means, scene.means + (gain @ x[:, :, None])[:, :, 0])
    falls = (x * torch.linalg.solve(s22, x)).sum(dim=1)
    expected = scene.opacities.sigmoid() * (-{"ndg": 1.0, "6dgs": 0.35}[kind] * falls).exp()
    torch.testing.assert_close(seen.opacities, expected)
    assert seen.quats is not None
    assert seen.scales is not None
    place = rotation_matrices(seen.quats) * seen.scales[:, None]
    torch.testing.assert_close(place @ place.mT, s11 - gain @ s12.mT)


@kinds
def test_gradients_reach_every_field_and_the_camera(kind: str) -> None:
    scene = scene_of(kind, 5, torch.float64)
    centre = torch.tensor([0.5, -1.0, 4.0], dtype=torch.float64, requires_grad=True)
    names = list(scene.params)

    def seen(centre: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        context = {"viewmats": viewmat_at(centre), "detached_directions": False}
        found = primitive.evaluate(dict(zip(names, values, strict=True)), context, kind)
        assert found.scales is not None
        assert isinstance(found.colors, tuple)
        return found.means, found.opacities, found.scales, found.quats, *found.colors

    inputs = (centre, *(value.detach().requires_grad_() for value in scene.params.values()))
    assert torch.autograd.gradcheck(seen, inputs)
    for gradient in torch.autograd.grad([x.sum() for x in seen(*inputs)], inputs):
        assert bool(gradient.any())


@kinds
def test_ndg_takes_directions_for_constants_unless_told_otherwise(kind: str) -> None:
    scene = scene_of(kind, 6, torch.float64).requires_grad_()
    viewmats = viewmat_at(torch.tensor([0.5, -1.0, 4.0], dtype=torch.float64))

    def slope(**context: bool) -> Tensor:
        seen = primitive.evaluate(scene, {"viewmats": viewmats, **context})
        return torch.autograd.grad(
            seen.opacities.sum(), scene.means, allow_unused=True, materialize_grads=True
        )[0]

    assert not slope(detached_directions=True).any()
    assert bool(slope(detached_directions=False).any())
    assert torch.equal(slope(), slope(detached_directions=kind == "ndg"))


@kinds
def test_without_a_camera_there_is_nothing_to_see(kind: str) -> None:
    scene = scene_of(kind)
    with pytest.raises(ValueError, match=rf"'{kind}' consists of other Gaussians .* got NoneType"):
        primitive.evaluate(scene)
    two = Cameras.together([camera(), camera()], torch.device("cpu"))
    with pytest.raises(ValueError, match=r"must be that of one, \[1, 4, 4\], got \[2, 4, 4\].*one camera at"):
        render(scene, two)


@kinds
def test_blank_rows_are_drawn_as_plain_gaussians_and_a_training_starts_with_lobes(kind: str) -> None:
    plain = plain_scene()
    blank = plain.with_primitive(kind)
    image = render(plain, camera()).colors
    torch.testing.assert_close(render(blank, camera()).colors, image, atol=1e-5, rtol=1e-5)
    first, again, other = started(blank, 0), started(blank, 0), started(blank, 1)
    torch.testing.assert_close(first.further["directions"].norm(dim=1), torch.ones(40))
    assert torch.equal(first.further["directions"], again.further["directions"])
    assert not torch.equal(first.further["directions"], other.further["directions"])
    for centre in torch.randn(3, 3, generator=torch.Generator().manual_seed(2)):
        seen = primitive.evaluate(first, {"viewmats": viewmat_at(5 * centre)})
        along = torch.nn.functional.normalize(plain.means - 5 * centre, dim=1)
        falls = (along - first.further["directions"]).square().sum(dim=1)
        torch.testing.assert_close(seen.opacities, plain.opacities.sigmoid() * (-falls).exp())
        torch.testing.assert_close(seen.means, plain.means)


@kinds
def test_what_is_fainter_than_one_in_255_is_culled_and_nothing_else(kind: str) -> None:
    scene = scene_of(kind, 400)
    cameras = Cameras.of(camera(), torch.device("cpu"))
    seen = primitive.evaluate(scene, {"viewmats": cameras.viewmats})
    faint = seen.opacities < 1 / 255
    assert 20 < int(faint.sum()) < 380
    rendered = render(scene, camera())
    drawn = (rendered.meta["radii"][0] > 0).all(dim=1)
    assert not bool((drawn & faint).any())
    inside = (render(scene.with_primitive("gaussian"), camera()).meta["radii"][0] > 0).all(dim=1)
    small = scene.further["slopes"].abs().amax(dim=(1, 2)) < 1e-9
    assert not bool((inside & small & ~faint & ~drawn).any())
    without = seen._replace(opacities=torch.where(faint, 0.0, seen.opacities))
    assert torch.equal(render(without, camera()).colors, rendered.colors)


@kinds
def test_one_camera_sees_plain_gaussians(kind: str) -> None:
    scene = scene_of(kind)
    viewmat = Cameras.of(camera(), torch.device("cpu")).viewmats[0]
    plain = seen_from(scene, viewmat)
    assert plain.primitive == "gaussian"
    images = [render(drawn, camera()).colors for drawn in (scene, plain, scene.with_primitive("gaussian"))]
    torch.testing.assert_close(images[0], images[1], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(images[0], images[2], atol=1e-2)
    elsewhere = around(3)[1]
    assert not torch.allclose(render(scene, elsewhere).colors, render(plain, elsewhere).colors, atol=1e-2)
    with pytest.raises(UsageError, match="'gaussian' are the same from everywhere"):
        seen_from(plain, viewmat)


def test_what_is_measured_is_what_is_drawn() -> None:
    scene = scene_of("6dgs")
    sums, splats = measure(scene, camera())
    rendered = render(scene, camera())
    assert torch.equal(splats.opacities[0, 0], rendered.meta["opacities"][0])
    assert float(sums[0, :, 0].sum()) == pytest.approx(float(rendered.alphas.sum()), rel=1e-4)
    # Between two cameras, reflections move although nothing else does.
    orbit = around(40)
    moved = render(scene, orbit[0], flow=flow_to(scene, orbit[1])).meta["flow"]
    still = render(scene, orbit[0], flow=flow_to(scene.with_primitive("gaussian"), orbit[1])).meta["flow"]
    assert not torch.allclose(moved, still, atol=1e-2)


@kinds
def test_position_first_factors_become_the_same_gaussian(kind: str) -> None:
    g = torch.Generator().manual_seed(9)
    num, double = 30, torch.float64
    means = torch.randn(num, 6, generator=g, dtype=double)
    factors = torch.randn(num, 6, 6, generator=g, dtype=double).tril()
    opacities = torch.rand(num, generator=g, dtype=double)
    colors = torch.rand(num, 3, generator=g, dtype=double)
    scene = from_position_first(means, factors, opacities, colors, kind)
    order = [3, 4, 5, 0, 1, 2]
    covariance = factors @ factors.mT
    torch.testing.assert_close(covariance_of(scene), covariance[:, order][:, :, order])
    torch.testing.assert_close(scene.opacities.sigmoid(), opacities)
    torch.testing.assert_close(0.5 + 0.28209479177387814 * scene.sh0[:, 0], colors)
    # The conditional Gaussian of the position-first covariance itself.
    centre = torch.tensor([0.2, 0.3, -5.0], dtype=double)
    seen = primitive.evaluate(scene, {"viewmats": viewmat_at(centre)})
    x = torch.nn.functional.normalize(means[:, :3] - centre, dim=1) - means[:, 3:]
    solved = torch.linalg.solve(covariance[:, 3:, 3:], x)
    shift = (covariance[:, :3, 3:] @ solved[:, :, None])[:, :, 0]
    torch.testing.assert_close(seen.means, means[:, :3] + shift)
    falls = (-FALLOFF[kind] * (x * solved).sum(dim=1)).exp()
    torch.testing.assert_close(seen.opacities, opacities * falls)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("means", (4, 3)), ("factors", (4, 21)), ("opacities", (4, 1)), ("colors", (5, 3))],
)
def test_wrong_shapes_of_an_import_are_named(name: str, wrong: tuple[int, ...]) -> None:
    given = {
        "means": torch.zeros(4, 6), "factors": torch.eye(6).repeat(4, 1, 1),
        "opacities": torch.full((4,), 0.5), "colors": torch.zeros(4, 3),
    }  # fmt: skip
    assert from_position_first(**given).num == 4
    with pytest.raises(ValueError, match=f"{name}: expected shape"):
        from_position_first(**(given | {name: torch.zeros(wrong)}))


def test_all_rates_are_there_and_slopes_are_lengths() -> None:
    assert {field.name for field in SCHEMA.further if field.trained} == {
        "directions", "lobe_quats", "lobe_scales", "slopes"
    }  # fmt: skip
    assert SCHEMA["slopes"].measures_lengths
    assert not SCHEMA["directions"].measures_lengths
    assert math.isclose(FALLOFF["6dgs"], 0.35)
