"""gsplat_core/render/rasterizer.py: renderers agree with the reference, also at the edges of the possible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from backends import BACKENDS, assert_same_sums, parameters
from splats import (
    SCENES,
    Scene,
    assert_gradient,
    assert_parity,
    covariances,
    intrinsics,
    look_at,
    one_thread,
    random_scene,
    render_with_gradients,
)
from torch import Tensor

import gsplat_core
from gsplat_core import reference
from gsplat_core.errors import NumericalError
from gsplat_core.render import stages

Render = Callable[..., Any]
ops = torch.ops.gsplat_core


# What all renderers have in common is tested on the reference too; the backends are compared with it.
@pytest.fixture(params=["reference", *parameters(BACKENDS)])
def any_render(request: pytest.FixtureRequest) -> Iterator[Render]:
    if request.param == "reference":
        yield reference.rasterization
    else:
        with BACKENDS[request.param]():
            yield gsplat_core.rasterization


@pytest.fixture
def render(backend: str) -> Render:
    return gsplat_core.rasterization


# Parity with the reference: images to 1e-4, gradients of everything to 1e-3


@pytest.mark.parametrize("rasterize_mode", ["classic", "antialiased"])
@pytest.mark.parametrize("scene", SCENES)
def test_parity_on_all_scenes(render: Render, scene: str, rasterize_mode: str) -> None:
    assert_parity(render, SCENES[scene](), rasterize_mode=rasterize_mode)


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("render_mode", ["RGB", "D", "ED", "RGB+D", "RGB+ED"])
def test_parity_in_all_render_modes(render: Render, render_mode: str, background: bool) -> None:
    scene = random_scene(80, width=50, height=40)
    if not background:
        del scene.tensors["backgrounds"]
    assert_parity(render, scene, render_mode=render_mode)


@pytest.mark.parametrize("sh_degree", range(5))
def test_parity_at_all_degrees_of_spherical_harmonics(render: Render, sh_degree: int) -> None:
    assert_parity(render, random_scene(60, width=40, height=30, sh_degree=4), sh_degree=sh_degree)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 8, 9, 16, 17, 31, 32, 33, 35])
def test_parity_with_any_number_of_channels(render: Render, channels: int) -> None:
    scene = random_scene(60, cameras=2, width=40, height=30, sh_degree=None)
    features = torch.randn(60, channels, generator=torch.Generator().manual_seed(1))
    backgrounds = torch.linspace(-1, 1, 2 * channels).reshape(2, channels)
    assert_parity(render, scene.with_(colors=features, backgrounds=backgrounds))
    assert_parity(render, scene.with_(colors=features, backgrounds=backgrounds), render_mode="RGB+D")


@pytest.mark.parametrize("matrices", [True, False])
def test_parity_with_covariances(render: Render, matrices: bool) -> None:
    scene = random_scene(80, width=50, height=40)
    quats, scales = scene.tensors.pop("quats"), scene.tensors.pop("scales")
    covars = covariances(quats, scales)
    assert_parity(
        render, scene.with_(covars=covars if matrices else covars.flatten(-2)[:, [0, 1, 2, 4, 5, 8]])
    )


def test_parity_with_several_cameras(render: Render) -> None:
    assert_parity(render, random_scene(80, cameras=3, width=50, height=40), render_mode="RGB+ED")


@pytest.mark.parametrize("sh_degree", [None, 2])
def test_parity_with_colours_per_camera(render: Render, sh_degree: int | None) -> None:
    scene = random_scene(80, cameras=3, width=50, height=40, sh_degree=sh_degree)
    colors = scene.tensors["colors"]
    assert_parity(render, scene.with_(colors=torch.stack([colors, 0.5 * colors, 0.2 + colors])))


@pytest.mark.parametrize("per_camera", [True, False])
def test_parity_with_batch_dimensions(render: Render, per_camera: bool) -> None:
    parts = [
        random_scene(40, cameras=2, width=40, height=30, sh_degree=1, seed=seed).tensors for seed in range(6)
    ]
    stacked = {name: torch.stack([p[name] for p in parts]).unflatten(0, (2, 3)) for name in parts[0]}
    if per_camera:
        stacked["colors"] = torch.stack([stacked["colors"], 0.1 + stacked["colors"]], dim=2)
    assert_parity(render, Scene(stacked, 40, 30, 1), render_mode="RGB+D")


@pytest.mark.parametrize(
    "options",
    [
        {"near_plane": 3.5, "far_plane": 4.5},
        {"radius_clip": 6.0},
        {"eps2d": 0.05},
        {"eps2d": 0.0},
        {"max_alpha": 0.999},
        {"tile_size": 8},
        {"tile_size": 32},
    ],
    ids=str,
)
def test_parity_with_options(render: Render, options: dict[str, Any]) -> None:
    scene = random_scene(100, width=50, height=40)
    tile_size = options.pop("tile_size", None)
    wrapped = render if tile_size is None else lambda **given: render(**given, tile_size=tile_size)
    assert_parity(wrapped, scene, **options)


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (16, 16), (17, 15), (33, 1)])
def test_parity_at_odd_image_sizes(render: Render, size: tuple[int, int]) -> None:
    width, height = size
    scene = random_scene(60, width=width, height=height)
    assert_parity(render, scene.with_(Ks=intrinsics(20, 20, width / 2, height / 2)[None]))


def test_parity_with_one_gaussian(render: Render) -> None:
    scene = random_scene(150).only(1)
    assert_parity(render, scene.with_(means=torch.zeros(1, 3), opacities=torch.tensor([0.7])))


def test_meta_agrees_with_the_reference(render: Render) -> None:
    scene = random_scene(100, cameras=2)
    with one_thread():
        expected = reference.rasterization(**scene.arguments(), rasterize_mode="antialiased")[2]
    actual = render(**scene.arguments(), rasterize_mode="antialiased")[2]
    assert torch.equal(actual["radii"] > 0, expected["radii"] > 0)
    assert (actual["radii"] - expected["radii"]).abs().max() <= 1
    for name in ("means2d", "depths", "opacities", "conics"):
        assert_gradient(name, actual[name], expected[name])


def test_the_absolute_gradient_agrees_with_the_reference(render: Render) -> None:
    scene = random_scene(80, cameras=2, width=50, height=40)
    with one_thread():
        keep = ~reference.rasterization(**scene.arguments())[2]["ambiguous"]
    with one_thread():
        expected = render_with_gradients(reference.rasterization, scene, keep, torch.float64, absgrad=True)
    actual = render_with_gradients(render, scene, keep, absgrad=True)
    assert_gradient("absgrad", actual.meta["means2d"].absgrad, expected.meta["means2d"].absgrad)
    assert (actual.meta["means2d"].absgrad >= actual.gradients["means2d"].abs() * 0.999).all()


# Statistics of the blending weights


def render_with_statistics(
    render: Render, scene: Scene, weights: Tensor, dtype: torch.dtype = torch.float32, **options: Any
) -> Any:
    """The gradients of `scene` and the statistics, with the pixels' weights [C, H, W]."""
    leaves = scene.leaves(dtype)
    colors, _, meta = render(**scene.arguments(leaves), statistics=True, **options)
    loss = colors.square().sum()
    with_probe = loss + (meta["probe"] * weights).sum()
    assert torch.equal(with_probe, loss)
    with_probe.backward()
    return {name: leaf.grad for name, leaf in leaves.items()} | {"statistics": meta["statistics"].grad}


@pytest.mark.parametrize("absgrad", [True, False])
@pytest.mark.parametrize("scene", SCENES)
def test_statistics_agree_with_the_reference(render: Render, scene: str, absgrad: bool) -> None:
    given = SCENES[scene]()
    with one_thread():
        ambiguous = reference.rasterization(**given.arguments(), band=1e-4)[2]["ambiguous"]
        keep = ~ambiguous * torch.rand(ambiguous.shape, generator=torch.Generator().manual_seed(0))
        expected = render_with_statistics(reference.rasterization, given, keep, torch.float64)["statistics"]
    actual = render_with_statistics(render, given, keep, absgrad=absgrad)["statistics"]
    assert_gradient("the weighted sum", actual[..., 0], expected[..., 0])
    # Where float32 decides otherwise than float64, a pixel more or less is blended.
    assert ambiguous.double().mean() < 0.05
    assert ((actual - expected)[..., 1:].abs() <= ambiguous.sum() + 1e-3 * expected[..., 1:]).all()


@pytest.mark.parametrize("channels", [1, 2, 4, 7, 16])
def test_statistics_do_not_depend_on_the_channels(render: Render, backend: str, channels: int) -> None:
    scene = random_scene(80, cameras=2, width=50, height=40, sh_degree=None)
    backgrounds, weights = torch.zeros(2, channels), torch.rand(2, 40, 50)
    features = scene.with_(colors=torch.rand(80, channels), backgrounds=backgrounds)
    plain = render_with_statistics(render, scene, weights)["statistics"]
    assert_same_sums(backend, render_with_statistics(render, features, weights)["statistics"], plain)


def test_statistics_change_nothing_else(render: Render) -> None:
    scene = random_scene(80, cameras=2, width=50, height=40)
    leaves = scene.leaves()
    colors, *_ = render(**scene.arguments(leaves))
    colors.square().sum().backward()
    gradients = render_with_statistics(render, scene, torch.rand(2, 40, 50))
    for name, leaf in leaves.items():
        assert leaf.grad is not None
        assert torch.allclose(gradients[name], leaf.grad, rtol=1e-4, atol=1e-5 * float(leaf.grad.abs().max()))


def test_statistics_are_there_without_the_probe(any_render: Render) -> None:
    scene = random_scene(80, width=50, height=40)
    colors, alphas, meta = any_render(**scene.arguments(), statistics=True)
    colors.sum().backward()
    weighted, weights, pixels = meta["statistics"].grad.unbind(-1)
    assert not weighted.any()
    assert torch.equal(weights > 0, pixels > 0)
    assert torch.allclose(weights.sum(), alphas.sum(), rtol=1e-5)


def test_packed_statistics_have_the_visible_rows(render: Render, backend: str) -> None:
    scene, weights = random_scene(100, cameras=2), torch.rand(2, 50, 70)
    dense = render_with_statistics(render, scene, weights)["statistics"]
    packed = render_with_statistics(render, scene, weights, packed=True)["statistics"]
    meta = render(**scene.arguments(), packed=True)[2]
    assert_same_sums(backend, packed, dense[meta["camera_ids"], meta["gaussian_ids"]])


# The edges


def assert_shows_only_background(render: Render, scene: Scene) -> None:
    rendered = render_with_gradients(render, scene, render_mode="RGB+ED")
    backgrounds = scene.tensors["backgrounds"][:, None, None].expand(-1, scene.height, scene.width, -1)
    assert torch.equal(rendered.colors[..., :-1], backgrounds.to(rendered.colors.dtype))
    assert not rendered.colors[..., -1].any()
    assert not rendered.alphas.any()
    for name, gradient in rendered.gradients.items():
        assert gradient.isfinite().all()
        assert name == "backgrounds" or not gradient.any()


def test_an_empty_scene_shows_the_background(any_render: Render) -> None:
    assert_shows_only_background(any_render, random_scene(150, cameras=2).only(0))


@pytest.mark.parametrize("where", [(0.0, 0.0, -9.0), (0.0, 0.0, -4.0), (500.0, 0.0, 0.0)])
def test_a_culled_scene_shows_the_background(any_render: Render, where: tuple[float, float, float]) -> None:
    scene = random_scene(150).with_(viewmats=look_at((0, 0, -4))[None])
    means = torch.tensor(where) + 1e-3 * scene.tensors["means"]
    assert_shows_only_background(any_render, scene.with_(means=means, scales=torch.full((150, 3), 1e-3)))


def test_invisible_opacities_show_the_background(any_render: Render) -> None:
    assert_shows_only_background(any_render, random_scene(150).with_(opacities=torch.full((150,), 0.0039)))


@pytest.mark.parametrize("name", ["means", "quats", "scales", "opacities", "covars"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 3e38])
def test_gaussians_that_are_not_finite_are_culled(any_render: Render, name: str, value: float) -> None:
    scene = random_scene(60, width=40, height=30)
    if name == "covars":
        quats, scales = scene.tensors.pop("quats"), scene.tensors.pop("scales")
        scene = scene.with_(covars=covariances(quats, scales))
    broken = scene.tensors[name].clone()
    broken.view(60, -1)[::3, -1] = value
    good = [n for n in range(60) if n % 3]
    per_gaussian = [k for k, v in scene.tensors.items() if v.shape[0] == 60]
    expected, *_ = any_render(**scene.with_(**{k: scene.tensors[k][good] for k in per_gaussian}).arguments())
    rendered = render_with_gradients(any_render, scene.with_(**{name: broken}))
    if value != 3e38 or name == "means":  # this large, a Gaussian may still be drawn: all over the image
        assert torch.allclose(rendered.colors, expected, atol=1e-6)
        assert rendered.meta["radii"][0, good].any()
        assert not rendered.meta["radii"][0, ::3].any()
        for key in per_gaussian:
            assert rendered.gradients[key].isfinite().all()
            assert not rendered.gradients[key][::3].any()
    assert rendered.colors.isfinite().all()


@pytest.mark.usefixtures("backend")
def test_kernels_see_nothing_with_cameras_that_are_not_finite() -> None:
    """Where nobody has looked at the values: while a graph is traced, for example."""
    t = random_scene(60).tensors
    for name in ("viewmats", "Ks"):
        broken = {**t, name: torch.full_like(t[name], float("nan"))}
        gaussians = (broken[k][None] for k in ("means", "quats", "scales"))
        cameras = (broken[k][None] for k in ("opacities", "viewmats", "Ks"))
        assert not stages.project(*gaussians, None, *cameras, 70, 50).radii.any()


def test_quaternions_need_not_have_length_one(any_render: Render) -> None:
    scene = random_scene(60, width=40, height=30)
    longer = scene.with_(quats=scene.tensors["quats"] * torch.linspace(0.01, 100, 60)[:, None])
    a, b = any_render(**scene.arguments())[0], any_render(**longer.arguments())[0]
    assert torch.allclose(a, b, atol=1e-5)


def test_inputs_need_not_be_contiguous(render: Render, backend: str) -> None:
    scene = random_scene(60, cameras=2, width=40, height=30)
    strided = {
        name: torch.stack([value, torch.full_like(value, float("nan"))], dim=-1)[..., 0]
        for name, value in scene.tensors.items()
    }
    assert not any(value.is_contiguous() for value in strided.values())
    a = render_with_gradients(render, scene)
    b = render_with_gradients(render, scene.with_(**strided))
    assert torch.equal(a.colors, b.colors)
    for name in a.gradients:
        assert_same_sums(backend, a.gradients[name], b.gradients[name])


@pytest.mark.parametrize(
    "name", ["means", "quats", "scales", "opacities", "colors", "viewmats", "Ks", "backgrounds"]
)
def test_any_single_input_may_require_a_gradient(render: Render, backend: str, name: str) -> None:
    scene = random_scene(60, width=40, height=30)
    together = {k: v.clone().requires_grad_() for k, v in scene.tensors.items()}
    alone = {k: v.clone().requires_grad_(k == name) for k, v in scene.tensors.items()}
    for leaves in (together, alone):
        render(**scene.arguments(leaves))[0].square().sum().backward()
    assert_same_sums(backend, alone[name].grad, together[name].grad)
    assert all(leaf.grad is None for k, leaf in alone.items() if k != name)


def test_inputs_are_not_modified(any_render: Render) -> None:
    scene = random_scene(60, width=40, height=30)
    before = {k: v.clone() for k, v in scene.tensors.items()}
    render_with_gradients(any_render, scene)
    assert all(torch.equal(before[k], v) for k, v in scene.tensors.items())


def test_coefficients_may_come_in_two_parts(render: Render, backend: str) -> None:
    scene = random_scene(60, width=40, height=30)
    colors = scene.tensors["colors"]
    parts = colors[:, :1].clone().requires_grad_(), colors[:, 1:].clone().requires_grad_()
    whole = colors.clone().requires_grad_()
    a, *_ = render(**scene.arguments() | {"colors": parts})
    b, *_ = render(**scene.arguments() | {"colors": whole})
    assert torch.equal(a, b)
    a.sum().backward()
    b.sum().backward()
    assert_same_sums(backend, torch.cat([p.grad for p in parts], dim=1), whole.grad)


def test_inactive_degrees_get_no_gradient(render: Render) -> None:
    gradient = render_with_gradients(render, random_scene(60), sh_degree=1).gradients["colors"]
    assert gradient[:, :4].any()
    assert not gradient[:, 4:].any()


def test_the_camera_alone_in_the_scene_sees_depth(render: Render) -> None:
    scene = random_scene(60)
    depth, *_ = render(**scene.arguments() | {"colors": None}, render_mode="ED")
    both, *_ = render(**scene.arguments(), render_mode="RGB+ED")
    assert torch.equal(depth, both[..., 3:])


@pytest.mark.parametrize("absgrad", [True, False])
def test_packed_gives_the_same_images_and_gradients(render: Render, backend: str, absgrad: bool) -> None:
    scene = random_scene(100, cameras=2)
    dense = render_with_gradients(render, scene, absgrad=absgrad)
    packed = render_with_gradients(render, scene, absgrad=absgrad, packed=True)
    assert torch.equal(dense.colors, packed.colors)
    rows = (packed.meta["camera_ids"], packed.meta["gaussian_ids"])
    for name in scene.tensors:
        assert_same_sums(backend, dense.gradients[name], packed.gradients[name])
    assert_same_sums(backend, dense.gradients["means2d"][rows], packed.gradients["means2d"])
    if absgrad:
        assert_same_sums(backend, dense.meta["means2d"].absgrad[rows], packed.meta["means2d"].absgrad)


# The same bytes for any number of threads; the same image on any instruction set


@pytest.fixture
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("scene", ["random_scene", "opaque", "huge", "twins"])
def test_any_number_of_threads_gives_the_same_bytes(scene: str) -> None:
    def run(threads: int) -> list[Tensor]:
        torch.set_num_threads(threads)
        result = render_with_gradients(
            gsplat_core.rasterization, SCENES[scene](), render_mode="RGB+ED", rasterize_mode="antialiased",
            absgrad=True, statistics=True,
        )  # fmt: skip
        measured = [result.meta["means2d"].absgrad, result.meta["statistics"].grad]
        return [result.colors, result.alphas, *measured, *result.gradients.values()]

    alone = run(1)
    for threads in (2, 3, 4):
        assert all(torch.equal(a, b) for a, b in zip(alone, run(threads), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(alone, run(1), strict=True))


@pytest.fixture(params=ops.available_isas().split()[:-1])
def lesser_isa(request: pytest.FixtureRequest) -> Iterator[str]:
    best = ops.isa()
    yield request.param
    ops.set_isa(best)


# Far from the origin float32 coordinates are coarse, so there it matters whether products are rounded.
@pytest.mark.parametrize("scene", [name for name in SCENES if name != "far_away"])
def test_instruction_sets_agree(lesser_isa: str, scene: str) -> None:
    def run() -> tuple[Tensor, ...]:
        return gsplat_core.rasterization(**SCENES[scene]().arguments())[:2]

    with one_thread():
        keep = ~reference.rasterization(**SCENES[scene]().arguments())[2]["ambiguous"]
    best = run()
    ops.set_isa(lesser_isa)
    for a, b in zip(best, run(), strict=True):
        assert (a - b)[keep].abs().max() < 1e-5


def test_instruction_sets_agree_with_the_reference_in_gradients(lesser_isa: str) -> None:
    ops.set_isa(lesser_isa)
    for rasterize_mode in ("classic", "antialiased"):
        assert_parity(
            gsplat_core.rasterization, random_scene(80), render_mode="RGB+ED", rasterize_mode=rasterize_mode
        )


def test_instruction_sets_agree_in_statistics(lesser_isa: str) -> None:
    scene, weights = random_scene(150), torch.rand(1, 50, 70)
    best = render_with_statistics(gsplat_core.rasterization, scene, weights)["statistics"]
    ops.set_isa(lesser_isa)
    lesser = render_with_statistics(gsplat_core.rasterization, scene, weights)["statistics"]
    assert torch.allclose(lesser, best, rtol=1e-4, atol=1e-4)


# Checks


@pytest.fixture
def _checks() -> Iterator[None]:
    gsplat_core.set_checks(True)
    yield
    gsplat_core.set_checks(False)


@pytest.mark.usefixtures("_checks")
def test_checks_count_and_locate_what_is_not_finite() -> None:
    scene = random_scene(60)
    gsplat_core.rasterization(**scene.arguments())
    means, opacities = scene.tensors["means"].clone(), scene.tensors["opacities"].clone()
    means[7, 1] = float("nan")
    opacities[[3, 4, 5, 6]] = float("inf")
    with pytest.raises(NumericalError) as error:
        gsplat_core.rasterization(**scene.with_(means=means, opacities=opacities).arguments())
    assert "1 of 180 values of 'means' (means[0, 7, 1] = nan)" in str(error.value)
    assert "4 of 60 values of 'opacities' (opacities[0, 3] = inf," in str(error.value)
    assert error.value.exit_code == 5
