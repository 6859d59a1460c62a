"""gsplat_core/compat/gsplat.py: code written for gsplat runs unchanged."""

from __future__ import annotations

import inspect
import math
import re
from typing import Any

import pytest
import torch
from splats import covariances, intrinsics, random_scene

import gsplat_core
from gsplat_core.compat import gsplat

SCENE = random_scene(80, cameras=2, width=50, height=40)

# The public interface of gsplat 1.5: names, order and defaults.
SIGNATURE = {
    "means": None,
    "quats": None,
    "scales": None,
    "opacities": None,
    "colors": None,
    "viewmats": None,
    "Ks": None,
    "width": None,
    "height": None,
    "near_plane": 0.01,
    "far_plane": 1e10,
    "radius_clip": 0.0,
    "eps2d": 0.3,
    "sh_degree": None,
    "packed": True,
    "tile_size": 16,
    "backgrounds": None,
    "render_mode": "RGB",
    "sparse_grad": False,
    "absgrad": False,
    "rasterize_mode": "classic",
    "channel_chunk": 32,
    "distributed": False,
    "camera_model": "pinhole",
    "segmented": False,
    "covars": None,
    "with_ut": False,
    "with_eval3d": False,
    "radial_coeffs": None,
    "tangential_coeffs": None,
    "thin_prism_coeffs": None,
    "ftheta_coeffs": None,
    "rolling_shutter": None,
    "viewmats_rs": None,
}


@pytest.mark.parametrize("function", [gsplat.rasterization, gsplat_core.rasterization])
def test_names_order_and_defaults_are_gsplats(function: Any) -> None:
    parameters = list(inspect.signature(function).parameters.values())
    positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [p.name for p in positional] == list(SIGNATURE)
    assert all(p.default is p.empty for p in positional[:9])
    defaults = {p.name: p.default for p in positional[9:]}
    ours = {} if function is gsplat.rasterization else {"packed": False}  # dense is faster on a CPU
    assert defaults == {name: SIGNATURE[name] for name in defaults} | ours


def test_the_call_that_nerfstudio_makes() -> None:
    """By keyword, one camera, raw quaternions, coefficients in one tensor, no background."""
    leaves = SCENE.leaves()
    render, alpha, info = gsplat.rasterization(
        means=leaves["means"],
        quats=leaves["quats"],
        scales=leaves["scales"],
        opacities=torch.sigmoid(leaves["opacities"][:, None]).squeeze(-1),
        colors=leaves["colors"],
        viewmats=leaves["viewmats"][:1],
        Ks=leaves["Ks"][:1],
        width=50,
        height=40,
        packed=False,
        near_plane=0.01,
        far_plane=1e10,
        render_mode="RGB+ED",
        sh_degree=2,
        sparse_grad=False,
        absgrad=True,
        rasterize_mode="antialiased",
    )
    info["means2d"].retain_grad()
    assert render.shape == (1, 40, 50, 4)
    ((render[:, ..., :3] + (1 - alpha) * torch.ones(3)).clamp(0, 1)).mean().backward()
    # what its densification strategy reads
    assert info["means2d"].grad.shape == info["means2d"].absgrad.shape == (1, 80, 2)
    assert (info["width"], info["height"], info["n_cameras"], info["gaussian_ids"]) == (50, 40, 1, None)
    assert (info["radii"] > 0).all(dim=-1).any()


def test_the_packed_layout_is_the_default_and_serves_a_strategy() -> None:
    leaves = SCENE.leaves()
    colors, _, info = gsplat.rasterization(**SCENE.arguments(leaves), absgrad=True)
    info["means2d"].retain_grad()
    colors.sum().backward()
    ids = info["gaussian_ids"]
    norms = info["means2d"].grad.norm(dim=-1)
    assert torch.zeros(80).index_add(0, ids, norms).any()
    assert info["means2d"].absgrad.shape == info["radii"].shape == (len(ids), 2)
    plain = gsplat_core.rasterization(**SCENE.arguments(), max_alpha=0.999)[0]
    assert torch.equal(colors, plain)


@pytest.mark.parametrize(
    ("profile", "cap"), [("gsplat-1.4", 0.999), ("gsplat-1.5", 0.999), ("gsplat-1.6", 0.99)]
)
def test_profiles_differ_in_the_cap_of_alpha_and_in_radii(profile: str, cap: float) -> None:
    viewmat = torch.eye(4)
    viewmat[2, 3] = 4
    scene = random_scene(1).with_(
        means=torch.zeros(1, 3),
        quats=torch.tensor([[1.0, 0, 0, 0]]),
        scales=torch.tensor([[0.2, 0.4, 0.3]]),
        opacities=torch.ones(1),
        viewmats=viewmat[None],
        Ks=intrinsics(80, 80, 35.5, 25.5)[None],
    )
    _, alphas, info = gsplat.rasterization(**scene.arguments(), profile=profile, packed=False)
    assert alphas.max().item() == pytest.approx(cap)
    variances = [(80 * s / 4) ** 2 + 0.3 for s in (0.2, 0.4)]
    if profile == "gsplat-1.4":
        assert info["radii"].tolist() == [[math.ceil(3 * math.sqrt(variances[1]))]]
    else:
        reach = math.sqrt(2 * math.log(255))
        assert info["radii"][0, 0].tolist() == [math.ceil(reach * math.sqrt(v)) for v in variances]


def test_an_unknown_profile_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"'profile' must be one of 'gsplat-1\.4', 'gsplat-1\.5', "):
        gsplat.rasterization(**SCENE.arguments(), profile="gsplat-2")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("camera_model", "lidar"),
        ("lidar_coeffs", object()),
        ("distributed", True),
        ("global_z_order", False),
        ("renderer_config", object()),
    ],
)
def test_what_is_not_supported_says_so(name: str, value: Any) -> None:
    with pytest.raises(NotImplementedError, match=f"argument '{name}' = "):
        gsplat.rasterization(**SCENE.arguments(), **{name: value})


def test_extra_signals_are_blended_like_colours() -> None:
    signals = torch.rand(80, 7, generator=torch.Generator().manual_seed(0))
    colors, _, info = gsplat.rasterization(**SCENE.arguments(), extra_signals=signals)
    assert torch.equal(colors, gsplat.rasterization(**SCENE.arguments())[0])
    given = SCENE.arguments() | {"colors": signals, "sh_degree": None, "backgrounds": None}
    assert torch.equal(info["render_extra_signals"], gsplat.rasterization(**given)[0])


def test_extra_signals_may_be_seen_from_a_direction() -> None:
    """As colours are, but without an end at 0."""
    coefficients = 0.1 * torch.randn(80, 16, 3, generator=torch.Generator().manual_seed(0))
    for degree in (0, 3):
        info = gsplat.rasterization(
            **SCENE.arguments(), extra_signals=coefficients, extra_signals_sh_degree=degree
        )[2]
        given = SCENE.arguments() | {"colors": coefficients, "sh_degree": degree, "backgrounds": None}
        torch.testing.assert_close(
            info["render_extra_signals"], gsplat.rasterization(**given)[0], rtol=1e-4, atol=1e-4
        )


def test_normals_by_gsplats_argument_are_our_output() -> None:
    info = gsplat.rasterization(**SCENE.arguments(), return_normals=True, with_eval3d=True)[2]
    ours = gsplat.rasterization(**SCENE.arguments(), outputs=["normals"], with_eval3d=True)[2]
    assert torch.equal(info["normals"], ours["normals"])


def test_distances_by_gsplats_names() -> None:
    """And beams of a lidar, which is the panorama that its refusal names."""
    for mode, channels in (("d", 1), ("Ed", 1), ("RGB-d", 4), ("RGB-Ed", 4)):
        colors, *_ = gsplat.rasterization(
            **SCENE.arguments(), render_mode=mode, with_ut=True, with_eval3d=True
        )
        assert colors.shape[-1] == channels
    azimuth, elevation = torch.linspace(-0.6, 0.6, 40), torch.linspace(-0.3, 0.3, 16)
    beams = torch.stack(
        [
            azimuth.sin() * elevation[:, None].cos(), elevation[:, None].sin().expand(16, 40),
            azimuth.cos() * elevation[:, None].cos(),
        ],
        dim=-1,
    )  # fmt: skip
    columns, rows = 39 / 1.2, 15 / 0.6
    distances, alphas, _ = gsplat.rasterization(
        torch.tensor([[0.0, 0.0, 5.0]]), torch.tensor([[1.0, 0, 0, 0]]), torch.full((1, 3), 0.3),
        torch.ones(1), None, torch.eye(4)[None], intrinsics(columns, rows, 20.0, 8.0)[None], 40, 16,
        camera_model="equirectangular", with_eval3d=True, render_mode="Ed",
        rays=torch.cat([torch.zeros_like(beams), beams], dim=-1)[None],
    )  # fmt: skip
    nearest = 5 * beams[..., 2]  # to the centre, along each beam
    seen = alphas[0, ..., 0] > 0
    assert seen.sum() > 20
    torch.testing.assert_close(distances[0, ..., 0][seen], nearest[seen], rtol=1e-4, atol=1e-4)


def test_another_way_to_sort_makes_the_same_image() -> None:
    expected, *_ = gsplat.rasterization(**SCENE.arguments())
    assert torch.equal(gsplat.rasterization(**SCENE.arguments(), segmented=True)[0], expected)


def test_sparse_gradients_have_the_rows_that_a_camera_sees() -> None:
    """They are the dense gradients otherwise, and serve the optimizer that gsplat's documentation names."""
    spread = SCENE.with_(means=3 * SCENE.tensors["means"])
    dense, sparse = spread.leaves(), spread.leaves()
    gsplat.rasterization(**spread.arguments(dense))[0].square().sum().backward()
    colors, _, info = gsplat.rasterization(**spread.arguments(sparse), sparse_grad=True)
    colors.square().sum().backward()
    seen = info["gaussian_ids"].unique()
    assert 0 < len(seen) < 80
    for name in ("means", "quats", "scales"):
        gradient, expected = sparse[name].grad, dense[name].grad
        assert gradient is not None
        assert expected is not None
        assert gradient.is_sparse
        assert torch.equal(gradient.coalesce().indices()[0], seen)
        assert torch.equal(gradient.to_dense(), expected)
    colors_gradient = sparse["colors"].grad
    assert colors_gradient is not None
    assert not colors_gradient.is_sparse
    before = sparse["means"].detach().clone()
    torch.optim.SparseAdam([sparse["means"]], lr=0.1).step()
    moved = (sparse["means"] != before).any(-1)
    assert moved.any()
    assert not moved[torch.isin(torch.arange(80), seen, invert=True)].any()


def test_sparse_gradients_need_the_packed_layout() -> None:
    with pytest.raises(ValueError, match="argument 'sparse_grad' needs packed=True, and tensors without"):
        gsplat.rasterization(**SCENE.arguments(), sparse_grad=True, packed=False)
    batch = {n: t[None] if isinstance(t, torch.Tensor) else t for n, t in SCENE.arguments().items()}
    with pytest.raises(ValueError, match="argument 'sparse_grad' needs packed=True, and tensors without"):
        gsplat.rasterization(**batch, sparse_grad=True)


def test_arguments_of_later_versions_are_accepted_at_their_defaults() -> None:
    expected, *_ = gsplat.rasterization(**SCENE.arguments())
    colors, *_ = gsplat.rasterization(**SCENE.arguments(), return_normals=False, rays=None, tile_size=None)
    assert torch.equal(colors, expected)


def test_an_argument_that_no_version_has_is_an_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'nearplane'"):
        gsplat.rasterization(**SCENE.arguments(), nearplane=1.0)


def test_positions_after_height_are_those_of_1_5_and_warn() -> None:
    given = SCENE.arguments()
    first = [given.pop(name) for name in list(SIGNATURE)[:9]]
    expected, *_ = gsplat.rasterization(*first, near_plane=3.5, far_plane=4.5, **given)
    with pytest.warns(FutureWarning, match="after 'height' by keyword"):
        colors, *_ = gsplat.rasterization(*first, 3.5, 4.5, **given)
    assert torch.equal(colors, expected)


def test_projection_on_its_own() -> None:
    t = SCENE.tensors
    info = gsplat_core.rasterization(**SCENE.arguments())[2]
    radii, means2d, depths, conics, compensations = gsplat.fully_fused_projection(
        t["means"], None, t["quats"], t["scales"], t["viewmats"], t["Ks"], 50, 40,
        calc_compensations=True, opacities=t["opacities"],
    )  # fmt: skip
    assert torch.equal(radii, info["radii"])
    for ours, key in ((means2d, "means2d"), (depths, "depths"), (conics, "conics")):
        assert torch.equal(ours, info[key])
    assert radii is not None
    seen = (radii > 0).all(-1)
    compensated = gsplat_core.rasterization(**SCENE.arguments(), rasterize_mode="antialiased")[2]["opacities"]
    both = seen & (compensated > 0)
    assert compensations is not None
    assert torch.allclose((compensations * t["opacities"])[both], compensated[both], rtol=1e-5)
    assert not compensations[~seen].any()
    covars = covariances(t["quats"], t["scales"]).flatten(-2)[:, [0, 1, 2, 4, 5, 8]]
    from_covars = gsplat.fully_fused_projection(
        t["means"], covars, None, None, t["viewmats"], t["Ks"], 50, 40, opacities=t["opacities"]
    )
    assert from_covars[4] is None
    assert torch.allclose(from_covars[3], conics, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("radius_clip", [0.0, 2.0])
def test_every_visible_gaussian_has_its_compensation(radius_clip: float) -> None:
    """sqrt(det(S) / det(S + eps I)), no less than 0.005, also where the opacity that it lowers would let a
    Gaussian reach no pixel of the image."""
    g = torch.Generator().manual_seed(3)
    viewmats, Ks = torch.eye(4)[None], intrinsics(60.0, 60.0, 25.0, 20.0)[None]
    # All around the border of the image, and of sizes around that of a pixel.
    x, y = 0.02 * torch.randn(2, 400, generator=g) + torch.tensor([[25 / 60], [0.0]])
    means = 5 * torch.stack([x, y, torch.ones(400)], -1)
    quats, scales = torch.randn(400, 4, generator=g), 10 ** (torch.rand(400, 3, generator=g) * 2 - 3)
    scales.requires_grad_()
    radii, _, _, conics, compensations = gsplat.fully_fused_projection(
        means, None, quats, scales, viewmats, Ks, 50, 40, radius_clip=radius_clip, calc_compensations=True
    )
    assert radii is not None
    assert conics is not None
    assert compensations is not None
    seen = (radii > 0).all(-1)
    assert 50 < seen.sum() < 400
    assert (compensations[~seen] == 0).all()
    xx, xy, yy = conics[seen].double().detach().unbind(-1)
    filtered = torch.stack([xx, xy, xy, yy], -1).unflatten(-1, (2, 2)).inverse()
    expected = ((filtered - 0.3 * torch.eye(2).double()).det() / filtered.det()).clamp(min=2.5e-5).sqrt()
    assert torch.allclose(compensations[seen].double(), expected, rtol=1e-3, atol=1e-3)
    compensations.sum().backward()
    assert scales.grad is not None
    assert scales.grad.isfinite().all()
    assert scales.grad.any()


def test_the_packed_projection_has_the_rows_of_the_dense_one() -> None:
    t = SCENE.tensors
    arguments = (t["means"], None, t["quats"], t["scales"], t["viewmats"], t["Ks"], 50, 40)
    dense = gsplat.fully_fused_projection(*arguments, calc_compensations=True)
    leaves = SCENE.leaves()
    given = (leaves["means"], None, leaves["quats"], leaves["scales"], *arguments[4:])
    batch_ids, camera_ids, gaussian_ids, *rows = gsplat.fully_fused_projection(
        *given, packed=True, sparse_grad=True, calc_compensations=True
    )
    assert batch_ids is not None
    assert dense[0] is not None
    assert not batch_ids.any()
    assert len(batch_ids) == (dense[0] > 0).all(-1).sum() < 160
    for packed, whole in zip(rows, dense, strict=True):
        assert packed is not None
        assert whole is not None
        assert torch.equal(packed, whole[camera_ids, gaussian_ids])
    assert rows[1] is not None
    rows[1].sum().backward()
    assert leaves["means"].grad is not None
    assert leaves["means"].grad.is_sparse
    batched = gsplat.fully_fused_projection(
        *(x.expand(3, *x.shape) if isinstance(x, torch.Tensor) else x for x in arguments), packed=True
    )
    assert batched[0] is not None
    assert batched[0].bincount().tolist() == [len(batch_ids)] * 3
    assert batched[-1] is None


def test_spherical_harmonics_on_their_own() -> None:
    t = SCENE.tensors
    centres = -(t["viewmats"][:, :3, :3].mT @ t["viewmats"][:, :3, 3:])[..., 0]
    values = gsplat.spherical_harmonics(2, t["means"] - centres[:1], t["colors"])
    radii = torch.ones(1, 1, 80, 2, dtype=torch.int32)
    inputs = (t["means"][None], t["viewmats"][None, :1], t["colors"][None], None, radii)
    expected = torch.ops.gsplat_core.spherical_harmonics(2, *inputs)[0, 0]
    assert torch.allclose((values + 0.5).clamp(min=0), expected, atol=1e-6)
    masked = gsplat.spherical_harmonics(2, t["means"], t["colors"], masks=torch.arange(80) < 40)
    assert masked[:40].any()
    assert not masked[40:].any()


def test_covariances_on_their_own() -> None:
    quats, scales = SCENE.tensors["quats"], SCENE.tensors["scales"]
    covars, precis = gsplat.quat_scale_to_covar_preci(quats, scales)
    assert torch.allclose(covars, covariances(quats, scales), atol=1e-6)
    assert torch.allclose(
        covars.double() @ precis.double(), torch.eye(3).double().expand(80, 3, 3), atol=1e-2
    )
    upper, nothing = gsplat.quat_scale_to_covar_preci(quats, scales, compute_preci=False, triu=True)
    assert nothing is None
    assert torch.equal(upper, covars.flatten(-2)[:, [0, 1, 2, 4, 5, 8]])


def test_what_is_not_offered_says_so() -> None:
    with pytest.raises(ImportError, match=re.escape("does not offer gsplat's 'accumulate_2dgs'")):
        from gsplat_core.compat.gsplat import accumulate_2dgs  # noqa: F401
    assert not hasattr(gsplat, "no_such_thing")
