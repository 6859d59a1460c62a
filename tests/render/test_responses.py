"""Every response of csrc/raster/variants.h, rendered on every backend."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from backends import assert_same_sums, opcheck
from splats import SCENES, Scene, assert_parity, random_scene, render_with_gradients
from torch import Tensor

import gsplat_core
from gsplat_core import reference
from gsplat_core.ops.variants import NO_CARRIERS, NO_RAYS
from gsplat_core.render import stages
from gsplat_core.render.rays import Rays, canonical_frames, pixel_rays
from gsplat_core.render.settings import USUAL
from gsplat_core.render.variants import RESPONSES

ops = torch.ops.gsplat_core


def with_extras(name: str, scene: Scene, seed: int = 0) -> Scene:
    """The scene with numbers of each Gaussian's own for a response, within what is usual."""
    usual = reference.RESPONSES[name].extras
    if not usual:
        return scene
    g = torch.Generator().manual_seed(seed)
    num = len(scene.tensors["means"])
    return scene.with_(
        extras=torch.stack([low + (high - low) * torch.rand(num, generator=g) for low, high in usual], dim=-1)
    )


def stages_of(
    name: str, cameras: int = 2, channels: int = 3
) -> tuple[Any, Tensor, Tensor | None, tuple[int, int]]:
    """Splats of a scene, their colours and extras, and the size of its images."""
    scene = with_extras(name, random_scene(120, cameras=cameras, width=53, height=41))
    t = {key: value[None] for key, value in scene.tensors.items()}
    given = t.get("extras")
    levels = stages.levels(t["opacities"], name, given)
    splats = stages.project(
        t["means"],
        t["quats"],
        t["scales"],
        None,
        t["opacities"],
        t["viewmats"],
        t["Ks"],
        53,
        41,
        USUAL.for_response(name),
        levels=levels,
    )
    g = torch.Generator().manual_seed(1)
    colors = torch.rand(1, cameras, 120, channels, generator=g)
    extras = None if given is None else given[:, None].expand(-1, cameras, -1, -1)
    return splats, colors, extras, (53, 41)


def resolved(name: str, scene: Scene) -> Scene:
    """The scene without what is thinner than rays of single precision resolve: they pass a place to 1e-7 of
    its distance. What has no thickness at all is not looked at from its side."""
    scales = scene.tensors["scales"]
    if not RESPONSES[name].along_rays:
        return scene
    thick = torch.where(scales > 0, torch.maximum(scales, LEAST_OF_RAYS), scales)
    return scene.with_(scales=thick)


LEAST_OF_RAYS = torch.tensor([0.01, 0.007, 0.014])


def rays_of(name: str, scene: Scene) -> Rays | None:
    """What a response, if it looks along rays, wants to know of a scene of pinhole cameras."""
    if not RESPONSES[name].along_rays:
        return None
    t = {key: value[None] for key, value in scene.tensors.items()}
    return Rays(
        canonical_frames(t["means"], t["quats"], t["scales"], None, t["viewmats"]),
        pixel_rays("pinhole", t["viewmats"], t["Ks"], None, scene.width, scene.height),
    )


def rays_of_stages(name: str, cameras: int = 2) -> Rays | None:
    """Those of `stages_of`."""
    return rays_of(name, random_scene(120, cameras=cameras, width=53, height=41))


def everywhere(tiles: stages.TileLists) -> stages.TileLists:
    """Every visible splat in the list of every tile of its image."""
    of_image: list[list[int]] = [[], []]
    for i in tiles.order.tolist():
        of_image[i // 120].append(i)
    count = (tiles.offsets.numel() - 1) // 2  # tiles of an image
    lists = [of_image[tile // count] for tile in range(2 * count)]
    ids = torch.tensor([i for splats in lists for i in splats], dtype=torch.int32)
    offsets = torch.tensor([0, *(len(splats) for splats in lists)]).cumsum(0).int()
    slots = torch.cat([(ids == i).nonzero()[:, 0] for i in tiles.order.tolist()]).int()
    of_splat = torch.tensor([0, *(int((ids == i).sum()) for i in tiles.order.tolist())]).cumsum(0).int()
    return stages.TileLists(offsets, ids, tiles.order, of_splat, slots)


def test_the_reference_has_the_same_responses() -> None:
    assert {name: len(r.extras) for name, r in reference.RESPONSES.items()} == {
        name: r.extras for name, r in RESPONSES.items()
    }


@pytest.mark.parametrize("name", RESPONSES)
@pytest.mark.parametrize(
    "scene", ["random_scene", "needles", "opaque", "faint", "around_the_camera", "tiny", "flat", "huge"]
)
def test_parity_on_scenes(backend: str, name: str, scene: str) -> None:
    # A response with heavy tails ends, where it ends, in many pixels.
    splats = with_extras(name, resolved(name, SCENES[scene]()))
    assert_parity(gsplat_core.rasterization, splats, max_ambiguous=0.6, response=name)


@pytest.mark.parametrize("name", RESPONSES)
@pytest.mark.parametrize(
    ("channels", "options"),
    [
        (1, {}),
        (5, {"absgrad": True}),
        (3, {"statistics": True, "rasterize_mode": "antialiased"}),
        (4, {"render_mode": "RGB+ED", "absgrad": True, "statistics": True}),
    ],
)
def test_parity_with_any_channels_and_payloads(
    backend: str, name: str, channels: int, options: dict[str, Any]
) -> None:
    scene = random_scene(80, cameras=2, width=41, height=33, sh_degree=None)
    colors = torch.rand(80, channels, generator=torch.Generator().manual_seed(2))
    scene = with_extras(name, scene.with_(colors=colors, backgrounds=torch.ones(2, channels)))

    if "rasterize_mode" in options and (RESPONSES[name].integrates or RESPONSES[name].along_rays):
        options = {key: value for key, value in options.items() if key != "rasterize_mode"}
    compared = {key: options[key] for key in ("rasterize_mode", "render_mode") if key in options}
    plain = {key: value for key, value in options.items() if key not in compared}
    assert_parity(
        lambda **given: gsplat_core.rasterization(**given | plain), scene, response=name, **compared
    )


@pytest.mark.parametrize("name", RESPONSES)
def test_tile_lists_leave_nothing_out(kernels: str, name: str) -> None:
    splats, colors, extras, size = stages_of(name)
    given: dict[str, Any] = {"response": name, "extras": extras}
    given["settings"] = USUAL.for_response(name)
    tiles = stages.bin_splats(splats, *size, **given)
    whole = everywhere(tiles)
    assert whole.flatten_ids.numel() > 1.2 * tiles.flatten_ids.numel()
    given["rays"] = rays_of_stages(name)
    for from_lists, from_all in zip(
        stages.composite(splats, colors, None, tiles, *size, **given)[:2],
        stages.composite(splats, colors, None, whole, *size, **given)[:2],
        strict=True,
    ):
        assert torch.equal(from_lists, from_all)


@pytest.mark.parametrize("name", RESPONSES)
def test_culling_by_the_level_leaves_nothing_out(kernels: str, name: str) -> None:
    """Of a small image, which most splats only reach into, if at all."""
    scene = with_extras(name, random_scene(150, width=16, height=12))
    t = {key: value[None] for key, value in scene.tensors.items()}
    gaussians = (t["means"], t["quats"], t["scales"], None, t["opacities"], t["viewmats"], t["Ks"], 16, 12)
    levels = stages.levels(t["opacities"], name, t.get("extras"))
    drawn = USUAL.for_response(name)
    culled, all_of_them = (
        stages.project(*gaussians, drawn, levels=found) for found in (levels, torch.full((1, 150), 1e8))
    )
    assert (culled.depths > 0).sum() < 0.9 * (all_of_them.depths > 0).sum()
    colors = torch.rand(1, 1, 150, 3, generator=torch.Generator().manual_seed(4))
    given: dict[str, Any] = {"response": name, "extras": t["extras"][:, None] if "extras" in t else None}
    images = []
    for splats in (culled, all_of_them):
        tiles = stages.bin_splats(splats, 16, 12, drawn, **given)
        blended = stages.composite(
            splats, colors, None, tiles, 16, 12, drawn, **given, rays=rays_of(name, scene)
        )
        images.append(blended.colors)
    assert torch.equal(*images)


@pytest.mark.parametrize("name", RESPONSES)
def test_forward_and_backward_mode_agree(backend: str, name: str) -> None:
    scene = with_extras(name, random_scene(60, width=31, height=27, sh_degree=1))
    names, values = list(scene.tensors), tuple(scene.tensors.values())

    def render(*tensors: Tensor) -> tuple[Tensor, Tensor]:
        given = dict(zip(names, tensors, strict=True))
        return gsplat_core.rasterization(**scene.arguments(given), response=name)[:2]

    g = torch.Generator().manual_seed(3)
    directions = tuple(0.1 * torch.randn(value.shape, generator=g) for value in values)
    images, tangents = torch.func.jvp(render, values, directions)
    weights = [torch.randn(image.shape, generator=g) for image in images]
    along = sum((w.double() * t.double()).sum() for w, t in zip(weights, tangents, strict=True))
    _, pull = torch.func.vjp(render, *values)
    gradients = pull(tuple(weights))
    against = sum((v.double() * d.double()).sum() for v, d in zip(gradients, directions, strict=True))
    scale = sum((v.double() * d.double()).abs().sum() for v, d in zip(gradients, directions, strict=True))
    assert abs(along - against) < 1e-4 * scale


@pytest.mark.parametrize("name", RESPONSES)
def test_contributions_are_the_statistics_of_the_backward_pass(backend: str, name: str) -> None:
    splats, colors, extras, size = stages_of(name)
    given: dict[str, Any] = {"response": name, "extras": extras, "settings": USUAL.for_response(name)}
    tiles = stages.bin_splats(splats, *size, **given)
    given["rays"] = rays_of_stages(name)
    carrier = torch.zeros(*splats.depths.shape, 3, requires_grad=True)
    image, *_ = stages.composite(
        splats, colors, None, tiles, *size, carriers={"statistics": carrier}, **given
    )
    image.sum().backward()
    measured = stages.contributions(splats, tiles, *size, **given)
    assert carrier.grad is not None
    torch.testing.assert_close(measured[..., 0], carrier.grad[..., 1], rtol=1e-5, atol=1e-6)
    assert torch.equal(measured[..., 1], carrier.grad[..., 2])


@pytest.mark.parametrize("name", RESPONSES)
def test_any_number_of_threads_gives_the_same_bytes(name: str) -> None:
    scene = with_extras(name, random_scene(150))
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(
                render_with_gradients(gsplat_core.rasterization, scene, response=name, statistics=True)
            )
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert torch.equal(result.colors, results[0].colors)
        for key, gradient in result.gradients.items():
            assert torch.equal(gradient, results[0].gradients[key]), key


def test_generalized_is_the_gaussian_at_two(backend: str) -> None:
    scene = random_scene(100, cameras=2)
    gaussian = render_with_gradients(gsplat_core.rasterization, scene)
    generalized = render_with_gradients(
        gsplat_core.rasterization, scene.with_(extras=torch.full((100, 1), 2.0)), response="generalized"
    )
    torch.testing.assert_close(generalized.colors, gaussian.colors, rtol=1e-4, atol=2e-5)
    for name, gradient in gaussian.gradients.items():
        typical = gradient.square().mean().sqrt().item()
        torch.testing.assert_close(generalized.gradients[name], gradient, rtol=1e-3, atol=1e-3 * typical)


def test_a_level_is_that_of_the_response(kernels: str) -> None:
    opacities = torch.tensor([[0.9, 0.3, 0.01, 0.001], [0.5, 0.2, 0.99, 0.0]])
    for name, response in reference.RESPONSES.items():
        extras = torch.tensor([(low + high) / 2 for low, high in response.extras]).expand(2, 4, -1)
        given = extras.contiguous() if response.extras else None
        levels = ops.response_levels(opacities, given, name)
        expected = response.reach(opacities.double(), extras.double()).square().reshape(2, 4)
        torch.testing.assert_close(levels, expected.float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [name for name, response in RESPONSES.items() if not response.quadratic])
def test_gauss_newton_refuses_what_is_not_quadratic(kernels: str, name: str) -> None:
    splats, colors, extras, size = stages_of(name)
    tiles = stages.bin_splats(splats, *size, response=name, extras=extras)
    image = torch.rand(2, size[1], size[0], 3)
    flat = [x.flatten(0, 1) for x in (splats.means2d, splats.shapes, splats.opacities, colors)]
    drawing = (*flat, None, *tiles, *size, USUAL.numbers())
    of_splats = None if extras is None else extras.flatten(0, 1)
    with pytest.raises(RuntimeError, match=f"not implemented for the response '{name}'"):
        ops.composite_moments(*drawing, image, image, of_splats, name)


def test_arguments_that_do_not_fit_are_named() -> None:
    scene = random_scene(5, width=8, height=8).arguments()
    with pytest.raises(ValueError, match="response"):
        gsplat_core.rasterization(**scene, response="laplacian")
    with pytest.raises(ValueError, match=r"'extras' must have 0 numbers per Gaussian .* 'gaussian', got 1"):
        gsplat_core.rasterization(**scene, extras=torch.ones(5, 1))
    with pytest.raises(ValueError, match=r"'extras' must have 1 numbers .* 'generalized', got 0"):
        gsplat_core.rasterization(**scene, response="generalized")
    with pytest.raises(ValueError, match=r"\[5, 1\], got \[4, 1\]"):
        gsplat_core.rasterization(**scene, response="generalized", extras=torch.ones(4, 1))
    opacities = torch.rand(1, 5)
    with pytest.raises(RuntimeError, match=r"must be one of 'gaussian', .*'analytic', .*got 'laplacian'"):
        ops.response_levels(opacities, None, "laplacian")
    with pytest.raises(RuntimeError, match="'extras' must have 1 numbers per splat"):
        ops.response_levels(opacities, None, "generalized")


@pytest.mark.parametrize("name", RESPONSES)
def test_operators_are_registered_as_pytorch_wants_it(name: str) -> None:
    splats, colors, extras, size = stages_of(name)
    drawn = USUAL.for_response(name)
    tiles = stages.bin_splats(splats, *size, drawn, response=name, extras=extras)
    flat = [
        x.flatten(0, 1).requires_grad_() for x in (splats.means2d, splats.shapes, splats.opacities, colors)
    ]
    of_splats = None if extras is None else extras.flatten(0, 1).contiguous().requires_grad_()
    settings = drawn.numbers()
    given = rays_of_stages(name)
    rays = NO_RAYS if given is None else [x.flatten(0, 1).contiguous().requires_grad_() for x in given]
    arguments = (*flat, None, *tiles, *size, settings, of_splats, name, *rays, *NO_CARRIERS)
    opcheck(ops.composite, arguments)
    opcheck(
        ops.response_levels, (splats.opacities[0], None if of_splats is None else of_splats.detach(), name)
    )


def test_bytes_are_those_of_the_gaussian_on_each_backend(backend: str) -> None:
    """The level of a response finds the same lists as the one that binning knows."""
    splats, _, _, size = stages_of("gaussian")
    flat = [x.detach().flatten(0, 1) for x in splats]
    settings = USUAL.numbers()
    levels = ops.response_levels(flat[3], None, "gaussian")
    for known, given in zip(
        ops.bin_splats(*flat, *size, settings), ops.bin_splats(*flat, *size, settings, levels), strict=True
    ):
        assert_same_sums(backend, given, known)
