"""gsplat_core/compat/inria.py: code written for diff_gaussian_rasterization runs unchanged."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from splats import covariances, random_scene
from torch import Tensor

import gsplat_core
from gsplat_core.compat import gsplat
from gsplat_core.compat.inria import GaussianRasterizationSettings, GaussianRasterizer, rasterize_gaussians
from gsplat_core.errors import NumericalError

WIDTH, HEIGHT = 50, 40
TAN_X, TAN_Y = 0.4, 0.35
SCENE = random_scene(80, width=WIDTH, height=HEIGHT)
BACKGROUND = torch.tensor([0.2, 0.4, 0.6])


def projection(offset_x: float = 0.0) -> Tensor:
    """Camera to clip space as the usual callers build it; `offset_x` moves the principal point."""
    near, far = 0.01, 100.0
    matrix = torch.zeros(4, 4)
    matrix[0, 0], matrix[1, 1], matrix[0, 2] = 1 / TAN_X, 1 / TAN_Y, offset_x
    matrix[2, 2], matrix[2, 3], matrix[3, 2] = far / (far - near), -far * near / (far - near), 1
    return matrix


def settings(offset_x: float = 0.0, **changes: Any) -> GaussianRasterizationSettings:
    viewmat = SCENE.tensors["viewmats"][0]
    view = viewmat.T.contiguous()
    values = {
        "image_height": HEIGHT,
        "image_width": WIDTH,
        "tanfovx": TAN_X,
        "tanfovy": TAN_Y,
        "bg": BACKGROUND,
        "scale_modifier": 1.0,
        "viewmatrix": view,
        "projmatrix": view @ projection(offset_x).T,
        "sh_degree": 3,
        "campos": torch.linalg.inv(viewmat)[:3, 3],
        "prefiltered": False,
        "debug": False,
    }
    return GaussianRasterizationSettings(**(values | changes))


def intrinsics(cx: float = WIDTH / 2) -> Tensor:
    return torch.tensor([[WIDTH / (2 * TAN_X), 0, cx], [0, HEIGHT / (2 * TAN_Y), HEIGHT / 2], [0, 0, 1]])


def inria_arguments(leaves: dict[str, Tensor]) -> dict[str, Any]:
    return {
        "means3D": leaves["means"],
        "means2D": torch.zeros_like(leaves["means"], requires_grad=True),
        "shs": leaves["colors"],
        "colors_precomp": None,
        "opacities": leaves["opacities"][:, None],
        "scales": leaves["scales"],
        "rotations": leaves["quats"],
        "cov3D_precomp": None,
    }


def ours(leaves: dict[str, Tensor], **changes: Any) -> tuple[Tensor, Tensor, Any]:
    arguments = SCENE.arguments(leaves) | {"Ks": intrinsics()[None], "backgrounds": BACKGROUND[None]}
    return gsplat_core.rasterization(**arguments | {"near_plane": 0.2} | changes)


def test_the_call_that_the_reference_trainer_makes() -> None:
    leaves = SCENE.leaves()
    screenspace_points = torch.zeros_like(leaves["means"], requires_grad=True) + 0
    screenspace_points.retain_grad()
    rendered_image, radii = GaussianRasterizer(raster_settings=settings())(
        **inria_arguments(leaves) | {"means2D": screenspace_points}
    )
    assert rendered_image.shape == (3, HEIGHT, WIDTH)
    assert radii.shape == (80,)
    assert radii.dtype == torch.int32
    rendered_image.square().mean().backward()
    visible = radii > 0
    norms = screenspace_points.grad[:, :2].norm(dim=-1)
    assert norms[visible].any()
    assert not norms[~visible].any()
    assert not screenspace_points.grad[:, 2].any()
    assert all(leaves[name].grad.any() for name in ("means", "quats", "scales", "opacities", "colors"))


def test_it_agrees_with_the_other_entry_in_image_gradients_and_units() -> None:
    leaves, others = SCENE.leaves(), SCENE.leaves()
    given = inria_arguments(leaves)
    image, radii = GaussianRasterizer(settings())(**given)
    colors, _, meta = ours(others)
    assert torch.allclose(image, colors[0].permute(2, 0, 1), atol=1e-5)
    assert torch.equal(radii > 0, (meta["radii"][0] > 0).all(-1))
    meta["means2d"].retain_grad()
    image.square().sum().backward()
    colors.square().sum().backward()
    for name in ("means", "quats", "scales", "opacities", "colors"):
        scale = others[name].grad.abs().max()
        assert torch.allclose(leaves[name].grad, others[name].grad, atol=1e-4 * scale), name
    pixels = meta["means2d"].grad[0]
    expected = pixels * torch.tensor([WIDTH / 2, HEIGHT / 2])
    assert torch.allclose(given["means2D"].grad[:, :2], expected, atol=1e-4 * expected.abs().max())


def test_it_agrees_with_gsplat_1_6_whose_cap_is_the_same() -> None:
    image, _ = GaussianRasterizer(settings())(**inria_arguments(SCENE.tensors))
    arguments = SCENE.arguments() | {"Ks": intrinsics()[None], "backgrounds": BACKGROUND[None]}
    colors, *_ = gsplat.rasterization(**arguments, profile="gsplat-1.6", near_plane=0.2)
    assert torch.allclose(image, colors[0].permute(2, 0, 1), atol=1e-5)


def test_the_older_generation_returns_two_and_the_newer_three() -> None:
    given = inria_arguments(SCENE.tensors)
    old = GaussianRasterizer(settings())(**given)
    new = GaussianRasterizer(settings(antialiasing=False))(**given)
    asked = GaussianRasterizer(settings(), profile="inria-2024")(**given)
    assert (len(old), len(new), len(asked)) == (2, 3, 3)
    assert torch.equal(old[0], new[0])
    assert new[2].shape == (1, HEIGHT, WIDTH)
    assert torch.equal(new[2], asked[2])
    assert len(GaussianRasterizer(settings(antialiasing=True), profile="inria-2023")(**given)) == 2
    with pytest.raises(ValueError, match="'profile' must be one of"):
        GaussianRasterizer(settings(), profile="inria-2030")(**given)


def test_settings_of_both_generations_can_be_given_by_position() -> None:
    values = list(settings())[:12]
    assert GaussianRasterizationSettings(*values).antialiasing is None
    assert GaussianRasterizationSettings(*values, True).antialiasing is True


def test_the_inverse_depth_is_the_weighted_sum_of_inverse_depths() -> None:
    leaves, others = SCENE.leaves(), SCENE.leaves()
    _, _, inverse_depth = GaussianRasterizer(settings(antialiasing=False))(**inria_arguments(leaves))
    viewmat = SCENE.tensors["viewmats"][0]
    depths = others["means"] @ viewmat[2, :3] + viewmat[2, 3]
    colors, *_ = ours(others, colors=(1 / depths)[:, None], sh_degree=None, backgrounds=None)
    assert torch.allclose(inverse_depth[0], colors[0, ..., 0], atol=1e-5)
    inverse_depth.sum().backward()
    colors.sum().backward()
    assert torch.allclose(leaves["means"].grad, others["means"].grad, atol=1e-3)
    assert leaves["means"].grad.isfinite().all()


def test_culled_gaussians_do_not_spoil_the_gradient_of_the_inverse_depth() -> None:
    leaves = SCENE.with_(means=3 * SCENE.tensors["means"]).leaves()
    result = GaussianRasterizer(settings(antialiasing=False))(**inria_arguments(leaves))
    assert (result[1] == 0).any()
    result[2].sum().backward()
    assert leaves["means"].grad.isfinite().all()


def test_antialiasing_is_ours() -> None:
    image, *_ = GaussianRasterizer(settings(antialiasing=True))(**inria_arguments(SCENE.tensors))
    colors, *_ = ours(SCENE.tensors, rasterize_mode="antialiased")
    assert torch.allclose(image, colors[0].permute(2, 0, 1), atol=1e-5)


def test_the_near_plane_is_at_a_fifth() -> None:
    viewmat = SCENE.tensors["viewmats"][0]
    for depth, seen in ((0.19, False), (0.21, True)):
        position = viewmat[:3, :3].T @ (torch.tensor([0.0, 0.0, depth]) - viewmat[:3, 3])
        scene = SCENE.only(1).with_(means=position[None], scales=torch.full((1, 3), 0.01))
        _, radii = GaussianRasterizer(settings())(**inria_arguments(scene.tensors))
        assert (radii > 0).item() is seen
        assert GaussianRasterizer(settings()).markVisible(position[None]).item() is seen


def test_radii_are_three_standard_deviations_of_the_longer_axis() -> None:
    viewmat = torch.eye(4)
    viewmat[2, 3] = 4
    scene = SCENE.only(1).with_(
        means=torch.zeros(1, 3),
        quats=torch.tensor([[0.9, 0.0, 0.0, 0.3]]),
        scales=torch.tensor([[0.5, 0.1, 0.1]]),
    )
    view = settings(viewmatrix=viewmat.T, projmatrix=viewmat.T @ projection().T)
    _, radii = GaussianRasterizer(view)(**inria_arguments(scene.tensors))
    fx, fy = WIDTH / (2 * TAN_X), HEIGHT / (2 * TAN_Y)
    jacobian = torch.tensor([[fx / 4, 0, 0], [0, fy / 4, 0]])
    covariance = jacobian @ covariances(scene.tensors["quats"], scene.tensors["scales"])[0] @ jacobian.T
    longest = torch.linalg.eigvalsh(covariance + 0.3 * torch.eye(2))[-1]
    assert radii.item() == (3 * longest.sqrt()).ceil().item()


def test_colours_covariances_and_split_coefficients_are_alternatives() -> None:
    t = SCENE.tensors
    expected, _ = GaussianRasterizer(settings())(**inria_arguments(t))
    split = inria_arguments(t) | {"dc": t["colors"][:, :1], "shs": t["colors"][:, 1:]}
    assert torch.equal(GaussianRasterizer(settings())(**split)[0], expected)
    covars = covariances(t["quats"], t["scales"]).flatten(-2)[:, [0, 1, 2, 4, 5, 8]]
    given = inria_arguments(t) | {"scales": None, "rotations": None, "cov3D_precomp": covars}
    assert torch.allclose(GaussianRasterizer(settings())(**given)[0], expected, atol=1e-4)
    flat = inria_arguments(t) | {"shs": None, "colors_precomp": torch.rand(80, 3)}
    assert GaussianRasterizer(settings())(**flat)[0].shape == expected.shape
    empty = torch.Tensor([])
    by_position = [*list(inria_arguments(t).values())[:3], empty, t["opacities"][:, None]]
    free = rasterize_gaussians(*by_position, t["scales"], t["quats"], empty, settings())
    assert torch.equal(free[0], expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colors_precomp": torch.zeros(80, 3)}, "exactly one of the arguments 'shs' and 'colors_precomp'"),
        ({"shs": None}, "exactly one of the arguments 'shs' and 'colors_precomp'"),
        (
            {"cov3D_precomp": torch.zeros(80, 6)},
            "exactly one of 'scales' with 'rotations' and 'cov3D_precomp'",
        ),
        ({"scales": None, "rotations": None}, "exactly one of 'scales' with 'rotations' and 'cov3D_precomp'"),
        ({"rotations": None}, "'rotations'"),
        ({"opacities": torch.zeros(80)}, "'opacities' must have shape"),
        ({"means2D": torch.zeros(80, 2)}, "'means2D' must have shape"),
        ({"means3D": torch.zeros(80, 2)}, "'means3D' must have shape"),
        ({"shs": torch.zeros(80, 4, 3)}, "needs 16 coefficients"),
    ],
)
def test_wrong_arguments_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GaussianRasterizer(settings())(**inria_arguments(SCENE.tensors) | changes)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"tanfovx": 0.0}, "tanfovx"),
        ({"tanfovy": -0.4}, "tanfovy"),
        ({"tanfovx": float("nan")}, "tanfovx"),
        ({"tanfovy": float("inf")}, "tanfovy"),
        ({"viewmatrix": SCENE.tensors["viewmats"][0]}, "viewmatrix"),  # not transposed
        ({"viewmatrix": torch.full((4, 4), float("nan"))}, "viewmatrix"),
        ({"projmatrix": torch.full((4, 4), float("nan"))}, "projmatrix"),
    ],
)
def test_cameras_that_are_none_are_named(changes: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=f"raster_settings.{name}"):
        GaussianRasterizer(settings(**changes))(**inria_arguments(SCENE.tensors))


@pytest.mark.parametrize("skew", [0.3, 5e-4])
def test_skew_of_the_projection_is_refused(skew: float) -> None:
    skewed = projection()
    skewed[0, 1] = skew
    view = settings().viewmatrix
    with pytest.raises(ValueError, match=r"without skew, got 0\.(3|000\d+) "):
        GaussianRasterizer(settings(projmatrix=view @ skewed.T))(**inria_arguments(SCENE.tensors))


def test_scale_modifier_enlarges_scales_only() -> None:
    image, _ = GaussianRasterizer(settings(scale_modifier=0.5))(**inria_arguments(SCENE.tensors))
    smaller = SCENE.with_(scales=0.5 * SCENE.tensors["scales"]).tensors
    assert torch.equal(image, GaussianRasterizer(settings())(**inria_arguments(smaller))[0])


def test_the_principal_point_of_the_projection_is_honoured() -> None:
    image, _ = GaussianRasterizer(settings(offset_x=0.2))(**inria_arguments(SCENE.tensors))
    colors, *_ = ours(SCENE.tensors, Ks=intrinsics(cx=WIDTH / 2 * 1.2)[None])
    assert torch.allclose(image, colors[0].permute(2, 0, 1), atol=1e-4)


def test_view_directions_start_at_campos() -> None:
    elsewhere = torch.tensor([3.0, 2.0, 1.0])
    image, _ = GaussianRasterizer(settings(campos=elsewhere))(**inria_arguments(SCENE.tensors))
    t = SCENE.tensors
    colors = (0.5 + gsplat.spherical_harmonics(3, t["means"] - elsewhere, t["colors"])).clamp(min=0)
    expected, *_ = ours(SCENE.tensors, colors=colors, sh_degree=None)
    assert torch.allclose(image, expected[0].permute(2, 0, 1), atol=1e-5)


def test_debug_checks_that_inputs_are_finite() -> None:
    broken = SCENE.tensors["means"].clone()
    broken[3, 0] = float("nan")
    given = inria_arguments(SCENE.with_(means=broken).tensors)
    assert GaussianRasterizer(settings())(**given)[0].isfinite().all()
    with pytest.raises(NumericalError, match="1 of 240 values of 'means'"):
        GaussianRasterizer(settings(debug=True))(**given)


def test_an_empty_scene_is_background() -> None:
    image, radii = GaussianRasterizer(settings())(**inria_arguments(SCENE.only(0).tensors))
    assert torch.equal(image, BACKGROUND[:, None, None].expand(3, HEIGHT, WIDTH))
    assert radii.shape == (0,)
