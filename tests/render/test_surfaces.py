"""Surfels and the surfaces in their images: what the equations of the paper say, on every backend, with every
gradient."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import torch
from splats import (
    IMAGE_TOLERANCE,
    SCENES,
    Scene,
    assert_gradient,
    intrinsics,
    look_at,
    one_thread,
    random_scene,
)
from torch import Tensor

import gsplat_core
from gsplat_core import rasterization_2dgs
from gsplat_core.quaternions import quaternions_of
from gsplat_core.reference.surfels import Surfaces, surfaces
from gsplat_core.render import lists as lists_of_tiles
from gsplat_core.render import surfels
from gsplat_core.render.stages import TileLists
from gsplat_core.render.surfaces import distortion, normals_of_depths

WIDTH, HEIGHT = 41, 33
# In the frame of a small disc, the rounding of directions is divided by its scale.
TOLERANCE = 2e-3
IMAGES = ("colors", "alphas", "normals", "depths", "distortions", "medians")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def small(**options: Any) -> Scene:
    return random_scene(60, width=WIDTH, height=HEIGHT, **options)


def edge_on() -> Scene:
    """Discs that are seen almost from the side."""
    scene = small(sh_degree=None)
    position = -scene.tensors["viewmats"][0, :3, :3].T @ scene.tensors["viewmats"][0, :3, 3]
    towards = torch.nn.functional.normalize(scene.tensors["means"] - position, dim=-1)
    g = torch.Generator().manual_seed(3)
    across = torch.randn(2, 60, 3, generator=g)
    up = torch.nn.functional.normalize(torch.linalg.cross(towards, across[0]), dim=-1)
    normal = torch.nn.functional.normalize(up + 0.05 * towards, dim=-1)
    first = torch.nn.functional.normalize(torch.linalg.cross(normal, up + across[1]), dim=-1)
    axes = torch.stack([first, torch.linalg.cross(normal, first), normal], dim=-1)
    return scene.with_(quats=quaternions_of(axes))


CASES = {
    "discs": lambda: small(sh_degree=None),
    "harmonics": lambda: small(sh_degree=2),
    "two cameras": lambda: small(sh_degree=None, cameras=2),
    "from the side": edge_on,
    "smaller than pixels": lambda: small(sh_degree=None).with_(scales=torch.full((60, 3), 0.003)),
    "large": lambda: small(sh_degree=None).with_(
        scales=0.5 + small(sh_degree=None).tensors["scales"], opacities=torch.full((60,), 0.2)
    ),
}


def outputs_of(render: Any, scene: Scene, leaves: dict[str, Tensor], **options: Any) -> dict[str, Tensor]:
    """All images by name, the depths as sums."""
    given = scene.arguments(leaves)
    if render is surfaces:
        return dict(surfaces(**given, **options)._asdict())
    colors, alphas, normals, _, apart, median, _ = render(
        **given, render_mode="RGB+D", distloss=True, **options
    )
    images = (colors[..., :-1], alphas, normals, colors[..., -1:], apart, median)
    return dict(zip(IMAGES, images, strict=True))


def gradients(
    images: dict[str, Tensor], leaves: dict[str, Tensor], names: tuple[str, ...], keep: Tensor
) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(7)
    loss = torch.zeros(())
    for name in IMAGES:
        weights = torch.randn(images[name].shape, generator=g) * keep[..., None]
        if name in names:
            # Of a distortion there is little.
            loss = loss + ((100.0 if name == "distortions" else 1.0) * images[name] * weights).sum()
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
    by_name = dict(zip(leaves, found, strict=True))
    by_name["poses"] = by_moves(leaves["viewmats"], by_name.pop("viewmats"))
    by_name["Ks"] = torch.stack([by_name["Ks"][:, i, j] for i, j in ((0, 0), (1, 1), (0, 2), (1, 2))], -1)
    return by_name


def by_moves(viewmats: Tensor, gradient: Tensor) -> Tensor:
    """[C, 6] by turns and shifts of the cameras: what a matrix of no pose would do is not said."""
    generators = torch.zeros(6, 4, 4, dtype=viewmats.dtype)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        generators[i, j, k], generators[i, k, j], generators[3 + i, i, 3] = -1, 1, 1
    return ((generators @ viewmats.detach()[:, None]) * gradient[:, None]).sum((-1, -2))


@cache
def truth(case: str, *names: str) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
    scene = CASES[case]()
    leaves = scene.leaves(torch.float64)
    found = outputs_of(surfaces, scene, leaves)
    keep = ~found.pop("ambiguous")
    assert keep.double().mean() > 0.5
    return found, gradients(found, leaves, names, keep) if names else {}, keep


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("case", CASES)
def test_images_are_those_of_the_equations(case: str) -> None:
    expected, _, keep = truth(case)
    with torch.no_grad():
        found = outputs_of(rasterization_2dgs, CASES[case](), CASES[case]().tensors)
    for name in IMAGES:
        assert found[name].shape == expected[name].shape
        assert expected[name][keep].any()
        size = expected[name].abs().clamp(min=1)
        error = ((found[name] - expected[name]).abs() / size)[keep].max()
        assert error < IMAGE_TOLERANCE, f"{name} differ by {error:.2e}"


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "names", [("colors", "alphas"), ("normals",), ("depths",), ("medians",), ("distortions",), IMAGES]
)
def test_gradients_are_those_of_the_equations(case: str, names: tuple[str, ...]) -> None:
    if case != "discs" and len(names) < 2:
        pytest.skip("one scene for each image alone is enough")
    if case == "smaller than pixels":  # of whose medians scales get nothing but rounding
        names = tuple(name for name in names if name != "medians")
    _, expected, keep = truth(case, *names)
    scene = CASES[case]()
    leaves = scene.leaves()
    found = gradients(outputs_of(rasterization_2dgs, scene, leaves), leaves, names, keep)
    assert not found["scales"][:, 2].any()
    # A plane does not depend on the size of the disc in it; of what moves both, rounding leaves a little.
    rounding = 0.1 * expected["means"].square().mean().sqrt()
    off = (found.pop("scales") - expected["scales"]).abs()
    typical = expected["scales"].square().mean().sqrt()
    assert (off < TOLERANCE * (expected["scales"].abs() + typical + rounding)).all()
    for name, gradient in found.items():
        assert_gradient(name, gradient, expected[name], TOLERANCE)


@pytest.mark.usefixtures("backend")
def test_a_disc_lies_where_the_ray_meets_its_plane() -> None:
    """A tilted disc that fills the image is as deep as its plane everywhere, whatever the depth is."""
    angle = 0.5
    quats = torch.tensor([[math.cos(angle / 2), 0.0, math.sin(angle / 2), 0.0]])  # around y
    fx, cx = 30.0, WIDTH / 2
    colors, alphas, normals, found, apart, median, _ = rasterization_2dgs(
        means=torch.tensor([[0.0, 0.0, 4.0]]),
        quats=quats,
        scales=torch.full((1, 3), 3.0),
        opacities=torch.tensor([0.9]),
        colors=torch.rand(1, 3),
        viewmats=torch.eye(4)[None],
        Ks=intrinsics(fx, fx, cx, HEIGHT / 2)[None],
        width=WIDTH,
        height=HEIGHT,
        render_mode="RGB+ED",
        distloss=True,
    )
    normal = torch.tensor([-math.sin(angle), 0.0, -math.cos(angle)])
    x = (torch.arange(WIDTH) + 0.5 - cx) / fx
    plane = 4.0 * normal[2] / (normal[0] * x + normal[2])
    torch.testing.assert_close(colors[0, :, :, 3], plane.expand(HEIGHT, -1), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        torch.where(alphas > 0.45, median, 0.0)[0, ..., 0],
        torch.where(alphas > 0.45, plane.expand(HEIGHT, -1)[..., None], 0.0)[0, ..., 0],
        rtol=1e-5, atol=1e-5,
    )  # fmt: skip
    torch.testing.assert_close(normals, alphas * normal, rtol=1e-5, atol=1e-5)
    inside = found[0, 1:-1, 1:-1]
    torch.testing.assert_close(inside, normal.expand_as(inside), rtol=1e-4, atol=1e-4)
    assert not found[0, 0].any()
    assert not found[0, :, -1].any()
    assert apart.max() < 1e-6


@pytest.mark.usefixtures("backend")
def test_tile_lists_leave_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of large ones beside and around the camera either, of which a part is behind it."""
    scene = SCENES["around_the_camera"]()
    scene = scene.with_(scales=4 * scene.tensors["scales"], means=scene.tensors["means"])
    given = scene.arguments()
    listed, alphas, *_, meta = rasterization_2dgs(**given, tile_size=8)
    lists = lists_of_tiles.bin_splats

    def everywhere(*splats: Any, **options: Any) -> TileLists:
        """Each visible splat in each tile, with a shape that reaches everywhere."""
        order = lists(*splats, **options).order
        visible, tiles = len(order), meta["tile_width"] * meta["tile_height"]
        numbers = torch.arange(visible * tiles, dtype=torch.int32)
        return TileLists(
            offsets=visible * torch.arange(tiles + 1, dtype=torch.int32),
            flatten_ids=order.repeat(tiles),
            order=order,
            slot_offsets=tiles * torch.arange(visible + 1, dtype=torch.int32),
            slots=numbers.reshape(tiles, visible).T.contiguous().flatten(),
        )

    monkeypatch.setattr(lists_of_tiles, "bin_splats", everywhere)
    project = surfels.project_surfels

    def wide(*arguments: Any) -> Any:
        means2d, shapes, *rest = project(*arguments)
        return means2d, torch.where(shapes == 0, 0.0, torch.tensor([1e-4, 0.0, 1e-4])), *rest

    monkeypatch.setattr(surfels, "project_surfels", wide)
    full, full_alphas, *_ = rasterization_2dgs(**given, tile_size=8)
    assert torch.equal(full, listed)
    assert torch.equal(full_alphas, alphas)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("size", [0.0, 1e-12, 1e-6, 1e6])
def test_any_shape_has_finite_images_and_gradients(size: float) -> None:
    """Points, what is larger than the world, and some at the camera or without a place."""
    scene = small(sh_degree=1)
    scales, means = scene.tensors["scales"].clone(), scene.tensors["means"].clone()
    scales[:20, 0] = size
    scales[10:30] = size
    means[::7] = -scene.tensors["viewmats"][0, :3, :3].T @ scene.tensors["viewmats"][0, :3, 3]
    means[1], means[2, 1] = math.nan, math.inf
    scene = scene.with_(scales=scales, means=means)
    leaves = scene.leaves()
    found = outputs_of(rasterization_2dgs, scene, leaves)
    keep = torch.ones(1, HEIGHT, WIDTH)
    for name, image in found.items():
        assert image.isfinite().all(), name
    for name, gradient in gradients(found, leaves, IMAGES, keep).items():
        rows = gradient[torch.arange(60) > 2] if gradient.shape[0] == 60 else gradient
        assert rows.isfinite().all(), name


@pytest.mark.usefixtures("backend")
def test_the_signal_of_density_control_is_the_gradient_of_a_surfel_that_moves_in_the_image() -> None:
    """Far away and larger than pixels, moving it there is moving its centre by so many pixels' width."""
    scene = random_scene(30, width=WIDTH, height=HEIGHT, sh_degree=None)
    scene = scene.with_(scales=0.2 + scene.tensors["scales"])
    leaves = scene.leaves()
    colors, *_, meta = rasterization_2dgs(**scene.arguments(leaves))
    meta["gradient_2dgs"].retain_grad()
    g = torch.Generator().manual_seed(0)
    (colors * torch.randn(colors.shape, generator=g)).sum().backward()
    turn = scene.tensors["viewmats"][0, :3, :3]
    assert leaves["means"].grad is not None
    by_point = leaves["means"].grad @ turn.T
    points = scene.tensors["means"] @ turn.T + scene.tensors["viewmats"][0, :3, 3]
    expected = by_point[:, :2] * points[:, 2:] / scene.tensors["Ks"][0].diagonal()[:2]
    signal = meta["gradient_2dgs"].grad[0]
    seen = meta["radii"][0].amin(-1) > 0
    correlation = torch.corrcoef(torch.stack([signal[seen].flatten(), expected[seen].flatten()]))[0, 1]
    assert correlation > 0.99


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("case", ["discs", "two cameras"])
def test_forward_mode_is_the_adjoint(case: str) -> None:
    """Of all images, those of depths included."""
    scene = CASES[case]()
    names, values = list(scene.tensors), tuple(scene.tensors.values())
    g = torch.Generator().manual_seed(0)
    direction = tuple(0.01 * torch.randn(v.shape, generator=g) * v.abs().mean() for v in values)

    def image(*tensors: Tensor) -> Tensor:
        found = outputs_of(rasterization_2dgs, scene, dict(zip(names, tensors, strict=True)))
        # Of a distortion there is little, of the others much where a disc is seen from the side.
        sizes = {"distortions": 100.0, "depths": 0.1, "medians": 0.01}
        return torch.cat([sizes.get(name, 1.0) * found[name] for name in IMAGES], dim=-1)

    change = torch.func.jvp(image, values, direction)[1]
    assert all(part.any() for part in change.unbind(-1))
    weights = torch.randn(change.shape, generator=g)
    leaves = [value.clone().requires_grad_() for value in values]
    reverse = torch.autograd.grad(image(*leaves), leaves, weights, materialize_grads=True)
    products = [a.double() * b.double() for a, b in zip(direction, reverse, strict=True)]
    of_pixels = weights.double() * change.double()
    size = torch.cat([product.flatten() for product in products]).norm()
    assert (of_pixels.sum() - sum(product.sum() for product in products)).abs() < 1e-3 * size


def test_any_number_of_threads_gives_the_same_bytes(kernels: str) -> None:
    scene = small(sh_degree=1)

    def run(threads: int) -> list[Tensor]:
        torch.set_num_threads(threads)
        leaves = scene.leaves()
        found = outputs_of(rasterization_2dgs, scene, leaves)
        keep = torch.ones(1, HEIGHT, WIDTH)
        return [*found.values(), *gradients(found, leaves, IMAGES, keep).values()]

    if kernels.startswith("cpu"):
        assert all(torch.equal(a, b) for a, b in zip(run(1), run(3), strict=True))


def test_distortion_is_the_sum_over_pairs() -> None:
    g = torch.Generator().manual_seed(0)
    weights, depths = 0.1 * torch.rand(9, generator=g).double(), 1 + 4 * torch.rand(9, generator=g).double()
    hits = torch.stack([(weights * f).sum() for f in (depths, 1 / depths, 1 / depths**2)])
    near, far = 0.5, 20.0
    m = far / (far - near) * (1 - near / depths)
    pairs = (weights[:, None] * weights * (m[:, None] - m) ** 2).sum() / 2
    found = distortion(weights.sum()[None], hits, near, far)
    torch.testing.assert_close(found, pairs[None])


def test_normals_of_depths_are_those_of_a_sphere() -> None:
    """Half a pixel aside they would not be."""
    size, f = 64, 200.0
    K, viewmat = intrinsics(f, f, size / 2 + 3.3, size / 2 - 2.1), look_at((1.0, 0.5, -3.0))
    y, x = torch.meshgrid(torch.arange(size) + 0.5, torch.arange(size) + 0.5, indexing="ij")
    d = torch.stack([(x - K[0, 2]) / f, (y - K[1, 2]) / f, torch.ones_like(x)], -1)
    centre, radius = torch.tensor([0.0, 0.0, 5.0]), 3.0  # in the camera
    b, dd = (d * centre).sum(-1), (d * d).sum(-1)
    depths = (b - (b * b - dd * (centre.square().sum() - radius**2)).sqrt()) / dd
    found = normals_of_depths(depths[None], viewmat[None], K[None])[0]
    expected = torch.nn.functional.normalize(d * depths[..., None] - centre, dim=-1) @ viewmat[:3, :3]
    torch.testing.assert_close(found[1:-1, 1:-1], expected[1:-1, 1:-1], rtol=0, atol=2e-3)
    assert not normals_of_depths(torch.zeros(1, size, size), viewmat[None], K[None]).any()


def test_arguments_and_results_are_gsplats() -> None:
    scene = small(sh_degree=None)
    with torch.no_grad():
        dense = rasterization_2dgs(**scene.arguments(), render_mode="ED", depth_mode="median")
        packed = rasterization_2dgs(**scene.arguments(), packed=True)
    shapes = [tuple(image.shape[1:]) for image in dense[:6]]
    assert shapes == [(HEIGHT, WIDTH, channels) for channels in (1, 1, 3, 3, 1, 1)]
    assert not dense[4].any()
    assert packed[6]["means2d"].dim() == 2
    assert {"radii", "means2d", "depths", "gradient_2dgs", "flatten_ids"} <= dense[6].keys()
    with pytest.raises(NotImplementedError, match="sparse_grad"):
        rasterization_2dgs(**scene.arguments(), sparse_grad=True)
    with pytest.raises(ValueError, match="depth_mode"):
        rasterization_2dgs(**scene.arguments(), depth_mode="mean")
    with pytest.raises(ValueError, match="render_mode"):
        rasterization_2dgs(**scene.arguments(), render_mode="RGB-d")
    with pytest.raises(ValueError, match="response"):
        gsplat_core.rasterization(**scene.arguments(), response="surfel")


def test_nothing_at_all_is_an_empty_image() -> None:
    empty = small(sh_degree=None).only(0)
    for image in rasterization_2dgs(**empty.arguments(), render_mode="RGB+ED", distloss=True)[1:6]:
        assert not image.any()


def test_the_reference_knows_the_images() -> None:
    assert Surfaces._fields[:-1] == IMAGES
