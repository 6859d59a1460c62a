"""gsplat_core/ops: fake kernels and derivatives of the rasterizer's operators fit the operators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from backends import opcheck
from splats import adapted, covariances, random_scene
from torch import Tensor

import gsplat_core.ops.project_surfels  # noqa: F401  (registers its fake kernels)
from gsplat_core.ops.variants import GAUSSIAN, NO_CARRIERS, NO_RAYS
from gsplat_core.render import stages
from gsplat_core.render.settings import USUAL, RenderSettings
from gsplat_core.render.variants import CAMERAS, PAYLOADS

pytestmark = pytest.mark.usefixtures("backend")

ops = torch.ops.gsplat_core
SIZE = (40, 30)
DRAWING = (*SIZE, USUAL.numbers())


def leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().clone().requires_grad_()


def project_arguments(antialiased: bool, covars: bool, camera: str = "pinhole") -> tuple[Any, ...]:
    """Two scenes, two cameras each."""
    scenes = [random_scene(20, cameras=2, width=40, height=30, seed=seed) for seed in (0, 1)]
    parts = [adapted(scene, camera).tensors for scene in scenes]
    t = {name: torch.stack([part[name] for part in parts]) for name in parts[0]}
    shape: tuple[Tensor | None, ...] = (leaf(t["quats"]), leaf(t["scales"]), None)
    if covars:
        matrices = covariances(t["quats"].flatten(0, 1), t["scales"].flatten(0, 1)).unflatten(0, (2, 20))
        shape = (None, None, leaf(matrices.flatten(-2)[..., [0, 1, 2, 4, 5, 8]]))
    cameras = (leaf(t["viewmats"]), leaf(t["Ks"]), leaf(t["lens"]) if "lens" in t else None, camera)
    settings = RenderSettings(antialiased=antialiased).numbers()
    return (leaf(t["means"]), *shape, leaf(t["opacities"]), *cameras, *SIZE, settings)


def splats_and_tiles(num_channels: int) -> tuple[stages.Splats, Tensor, stages.TileLists]:
    splats = stages.Splats(*(s.detach() for s in ops.project(*project_arguments(False, False))))
    tiles = stages.bin_splats(splats, *SIZE)
    return splats, torch.rand(4, 20, num_channels), tiles


SHAPES = [(False, False), (True, False), (True, True)]


@pytest.mark.parametrize(
    ("antialiased", "covars", "camera"),
    [
        *((*shape, "pinhole") for shape in SHAPES),
        *((*SHAPES[i % 3], camera) for i, camera in enumerate(CAMERAS) if camera != "pinhole"),
    ],
)
def test_project(antialiased: bool, covars: bool, camera: str) -> None:
    arguments = project_arguments(antialiased, covars, camera)
    opcheck(ops.project, arguments)
    splats = ops.project(*arguments)
    v = [torch.rand_like(s) for s in splats[:4]]
    plain = tuple(a.detach() if isinstance(a, Tensor) else a for a in arguments)
    for needs_camera in (False, True):
        opcheck(ops.project_backward, (*plain, splats[4], *(x.detach() for x in v), needs_camera))


def test_project_surfels() -> None:
    means, quats, scales, _, opacities, viewmats, Ks, *_ = project_arguments(False, False)
    arguments = (means, quats, scales, opacities, viewmats, Ks, *DRAWING)
    opcheck(ops.project_surfels, arguments)
    plain = tuple(a.detach() if isinstance(a, Tensor) else a for a in arguments)
    *_, depths, opacities2d, radii, canonical = ops.project_surfels(*plain)
    v = [torch.rand_like(x) for x in (depths, opacities2d, canonical)]
    for needs_camera in (False, True):
        opcheck(ops.project_surfels_backward, (*plain, radii, *v, needs_camera))


@pytest.mark.parametrize(("degree", "split"), [(0, True), (3, False), (3, True)])
def test_spherical_harmonics(degree: int, split: bool) -> None:
    arguments = project_arguments(False, False)
    means, viewmats, radii = arguments[0], arguments[5], ops.project(*arguments)[4]
    sh = torch.rand(2, 20, 16, 3)
    parts = (leaf(sh[:, :, :1]), leaf(sh[:, :, 1:])) if split else (leaf(sh), None)
    opcheck(ops.spherical_harmonics, (degree, means, viewmats, *parts, radii))
    colors = ops.spherical_harmonics(degree, means, viewmats, *parts, radii).detach()
    plain = [None if x is None else x.detach() for x in (means, viewmats, *parts, radii)]
    for needs_camera in (False, True):
        arguments = (degree, *plain, colors, torch.rand_like(colors), needs_camera)
        opcheck(ops.spherical_harmonics_backward, arguments)


def test_bin_splats() -> None:
    splats, _, _ = splats_and_tiles(3)
    opcheck(ops.bin_splats, (*(s.flatten(0, 1) for s in splats), *DRAWING))


@pytest.mark.parametrize(
    ("channels", "absgrad", "statistics", "background"),
    [(1, True, False, True), (3, False, False, False), (3, True, True, False), (20, False, True, True)],
)
def test_composite(channels: int, absgrad: bool, statistics: bool, background: bool) -> None:
    splats, colors, tiles = splats_and_tiles(channels)
    means2d, shapes, _, opacities, _ = (s.flatten(0, 1) for s in splats)
    backgrounds = leaf(torch.rand(4, channels)) if background else None
    shared = (leaf(shapes), leaf(opacities), leaf(colors), backgrounds, *tiles, *DRAWING, *GAUSSIAN)
    wanted = {"absgrad": absgrad, "statistics": statistics}
    carriers = [
        torch.zeros(*means2d.shape[:2], payload.sums, requires_grad=True) if wanted.get(name) else None
        for name, payload in PAYLOADS.items()
    ]
    opcheck(ops.composite, (leaf(means2d), *shared, *carriers))
    image, alphas, probe, _ = (x.detach() for x in ops.composite(means2d, *shared, *carriers))
    plain = [x.detach() if isinstance(x, Tensor) else x for x in (means2d, *shared)]
    upstream = (
        torch.rand_like(image),
        torch.rand_like(alphas),
        torch.rand_like(probe) if statistics else None,
    )
    opcheck(ops.composite_backward, (*plain, image, alphas, *upstream), wanted)


def surfels(order: str = "global") -> tuple[Any, ...]:
    """The arguments of compositing discs that face a camera, up to the rays of its pixels."""
    splats, colors, _ = splats_and_tiles(3)
    tiles = stages.bin_splats(splats, *SIZE, response="surfel")
    means2d, shapes, depths, opacities, _ = (s.flatten(0, 1) for s in splats)
    size, (width, height) = depths[..., None] / SIZE[0], SIZE
    one = torch.ones_like(size)
    slopes = (means2d - torch.tensor([width / 2, height / 2])) / width
    rest = torch.tensor([0.0, 0.0, 0.01]).expand(*depths.shape, 3)
    discs = [3 * size * axis for axis in torch.eye(3)[:2]]
    canonical = torch.cat([*discs, torch.cat([slopes, one], -1) * depths[..., None], rest], dim=-1)
    x, y = torch.meshgrid(torch.arange(width) + 0.5, torch.arange(height) + 0.5, indexing="xy")
    rays = torch.stack([(x - width / 2) / width, (y - height / 2) / width, torch.ones_like(x)], dim=-1)
    settings = replace(USUAL, order=order).numbers()
    return (
        means2d, shapes, opacities, colors, None, *tiles, *SIZE, settings, None, "surfel", canonical,
        rays.expand(len(depths), -1, -1, -1).contiguous(),
    )  # fmt: skip


@pytest.mark.parametrize("depths", [False, True])
def test_composite_of_surfels(depths: bool) -> None:
    plain = surfels()
    arguments = [leaf(a) if isinstance(a, Tensor) and a.is_floating_point() else a for a in plain]
    opcheck(ops.composite, (*arguments, *NO_CARRIERS, depths))
    image, alphas, _, sums = ops.composite(*plain, *NO_CARRIERS, depths)
    assert sums.numel() == (3 * alphas.numel() if depths else 0)
    wanted = {"out_depths": sums, "v_out_depths": torch.rand_like(sums)} if depths else {}
    upstream = (torch.rand_like(image), torch.rand_like(alphas), None, True)
    opcheck(ops.composite_backward, (*plain, image, alphas, *upstream), wanted)


def test_what_surfels_do_not_have_is_refused() -> None:
    plain = surfels()
    with pytest.raises(RuntimeError, match="there is no order 'pixel' of the response 'surfel'"):
        ops.composite(*surfels("pixel"), *NO_CARRIERS)
    with pytest.raises(RuntimeError, match="'rays' must have 3 numbers per pixel with the response 'surfel'"):
        ops.composite(*plain[:-1], torch.cat([plain[-1], plain[-1]], dim=-1), *NO_CARRIERS)
    others = (*plain[:-3], "gaussian", *NO_RAYS)
    with pytest.raises(RuntimeError, match="of surfels only, not of the response 'gaussian'"):
        ops.composite(*others, *NO_CARRIERS, True)


def test_contributions() -> None:
    splats, _, tiles = splats_and_tiles(3)
    means2d, shapes, _, opacities, _ = (s.flatten(0, 1) for s in splats)
    opcheck(ops.contributions, (means2d, shapes, opacities, *tiles, *DRAWING))


@pytest.mark.parametrize("top", [0, 3])
def test_sightings(top: int) -> None:
    splats, _, tiles = splats_and_tiles(3)
    means2d, shapes, _, opacities, _ = (s.flatten(0, 1) for s in splats)
    drawn = (means2d, shapes, opacities, *tiles, *DRAWING, *GAUSSIAN)
    opcheck(ops.sightings, (*drawn, True, False, True, top == 0, top))
    labels = torch.randint(-1, 4, (means2d.shape[0], DRAWING[1], DRAWING[0]), dtype=torch.int32)
    opcheck(ops.label_weights, (*drawn, labels, 0, 4))
    for count in (0, 33):
        with pytest.raises(RuntimeError, match=f"'count' must be from 1 to 32, got {count}"):
            ops.label_weights(*drawn, labels, 0, count)


def test_camera_gradients_are_computed_only_when_asked_for() -> None:
    arguments = tuple(a.detach() if isinstance(a, Tensor) else a for a in project_arguments(False, False))
    splats = ops.project(*arguments)
    gradients = ops.project_backward(*arguments, splats[4], *(torch.rand_like(s) for s in splats[:4]), False)
    assert [g.numel() for g in gradients[-3:]] == [0, 0, 0]
    assert gradients[0].any()


@pytest.mark.parametrize("camera", CAMERAS)
def test_coefficients_that_a_camera_does_not_have_are_named(camera: str) -> None:
    arguments = list(project_arguments(False, False, camera))
    arguments[7] = torch.zeros(2, 2, CAMERAS[camera] + 1)
    expected = rf"'lens' must have {CAMERAS[camera]} coefficients .* '{camera}', got {CAMERAS[camera] + 1}"
    with pytest.raises(RuntimeError, match=expected):
        ops.project(*arguments)


def test_an_unknown_camera_is_named() -> None:
    arguments = list(project_arguments(False, False))
    arguments[8] = "camera obscura"
    known = ", ".join(f"'{name}'" for name in CAMERAS)
    with pytest.raises(RuntimeError, match=f"'camera' must be one of {known}, got 'camera obscura'"):
        ops.project(*arguments)


def test_wrong_arguments_are_named() -> None:
    arguments = list(project_arguments(False, False))
    arguments[1] = arguments[1][:, :5]
    with pytest.raises(RuntimeError, match=r"'quats' must have shape \[2, 20, 4\], got \[2, 5, 4\]"):
        ops.project(*arguments)
