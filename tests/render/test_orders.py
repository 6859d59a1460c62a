"""The order of each pixel's own: `order="pixel"` on every backend."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import torch
from seen_pixels import TOP, assert_same
from seen_pixels import truth_of as seen_in
from splats import SCENES, Scene, Truth, adapted, assert_agrees, look_at, one_thread, random_scene, truth_of
from torch import Tensor

from gsplat_core import rasterization, reference
from gsplat_core.render.seen import SEEN
from gsplat_core.render.settings import RenderSettings
from gsplat_core.render.variants import CAMERAS, RESPONSES

PIXEL: dict[str, Any] = {"order": "pixel"}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@cache
def truth(name: str, camera: str = "pinhole", response: str = "gaussian") -> Truth:
    return truth_of(scene_of(name, camera, response), 0.6, **chosen(camera, response))


def scene_of(name: str, camera: str = "pinhole", response: str = "gaussian") -> Scene:
    made = {"crossed": crossed, "shuffled": shuffled}.get(name) or SCENES[name]
    return adapted(made(), camera, response)


def chosen(camera: str = "pinhole", response: str = "gaussian") -> dict[str, Any]:
    other = {} if response == "gaussian" else {"response": response}
    return {**PIXEL, "camera_model": camera, **other}


def crossed() -> Scene:
    """Long Gaussians that pierce one another: which one is in front changes within each of them."""
    scene = random_scene(28, cameras=2, width=45, height=37, sh_degree=None, seed=12)
    scales = torch.tensor([1.2, 0.15, 0.15]).expand(28, 3).contiguous()
    return scene.with_(scales=scales, means=0.4 * scene.tensors["means"])


def shuffled() -> Scene:
    """Slanted sheets through everything, whose depth in a pixel tells nothing of that of their centres: more
    of them swap than a lane on a GPU has room for."""
    scene = random_scene(90, width=34, height=26, sh_degree=None, seed=13)
    scales = torch.tensor([3.0, 3.0, 0.05]).expand(90, 3).contiguous()
    return scene.with_(scales=scales, opacities=0.15 * scene.tensors["opacities"])


@pytest.mark.parametrize("name", [*SCENES, "crossed", "shuffled"])
@pytest.mark.usefixtures("kernels")
def test_images_and_gradients_are_those_of_the_reference(name: str) -> None:
    assert_agrees(rasterization, scene_of(name), truth(name), **PIXEL)


@pytest.mark.parametrize(
    ("camera", "response"), [*((c, "gaussian") for c in CAMERAS), *(("pinhole", r) for r in RESPONSES)]
)
@pytest.mark.usefixtures("backend")
def test_every_response_and_camera(camera: str, response: str) -> None:
    found = truth("crossed", camera, response)
    assert_agrees(rasterization, scene_of("crossed", camera, response), found, **chosen(camera, response))


@pytest.mark.parametrize("channels", [1, 4, 11])
@pytest.mark.parametrize("tile_size", [8, 16, 32])
@pytest.mark.usefixtures("backend")
def test_any_channels_tiles_and_payloads(channels: int, tile_size: int) -> None:
    g = torch.Generator().manual_seed(2)
    scene = crossed().with_(
        colors=torch.rand(28, channels, generator=g), backgrounds=torch.rand(2, channels, generator=g)
    )

    def render(**given: Any) -> Any:
        return rasterization(**given, tile_size=tile_size, absgrad=True, statistics=True)

    assert_agrees(render, scene, truth_of(scene, **PIXEL), **PIXEL)


@pytest.mark.usefixtures("kernels")
def test_what_is_measured_is_that_of_the_order() -> None:
    """Contributions, statistics, sums of absolute gradients, labels: by the weights of the reference."""
    scene = crossed()
    _, _, meta = reference.rasterization(**scene.arguments(), **PIXEL, weights=True)
    weights, keep = meta["weights"], ~meta["ambiguous"]
    labels = (torch.arange(45) // 9).expand(2, 37, 45)
    labels = torch.where(keep, labels, -1)
    leaves = scene.leaves()
    _, _, found = rasterization(
        **scene.arguments(leaves), **PIXEL, statistics=True, absgrad=True, labels=(labels, 5)
    )
    (found["probe"] * keep).sum().backward()
    sums = (weights * keep[:, None]).flatten(2).sum(-1)
    torch.testing.assert_close(found["statistics"].grad[..., 0].double(), sums, rtol=1e-3, atol=1e-3)
    of_labels = torch.stack([((labels == i)[:, None] * weights).flatten(2).sum(-1).sum(0) for i in range(5)])
    torch.testing.assert_close(found["label_weights"].double(), of_labels, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["crossed", "opaque", "twins"])
@pytest.mark.usefixtures("kernels")
def test_what_pixels_see_is_what_the_weights_of_the_reference_say(name: str) -> None:
    scene = scene_of(name)
    found = rasterization(**scene.arguments(), **PIXEL, outputs=SEEN, top=TOP)[2]
    assert_same(found, seen_in(scene, **PIXEL))


@pytest.mark.usefixtures("kernels")
def test_what_needs_no_other_order_has_the_bytes_of_the_global_one() -> None:
    """Gaussians side by side: one per pixel, or several round ones whose centres are behind one another."""
    x, y = torch.meshgrid(torch.arange(-4.0, 5), torch.arange(-3.0, 4), indexing="ij")
    grid = torch.stack([x.flatten(), y.flatten(), torch.zeros(63)], dim=-1)
    scene = random_scene(63, width=70, height=50, sh_degree=None)
    alone = scene.with_(means=0.4 * grid, scales=torch.full((63, 3), 0.02))
    behind = scene.with_(
        means=torch.tensor([0.0, -0.05, 0.4]) * torch.arange(63.0)[:, None],
        scales=torch.full((63, 3), 0.3),
        viewmats=look_at((0.0, 0.05 * 4 / 0.4, -4.0), (0.0, 0.0, 0.0))[None],
    )
    for given in (alone, behind):
        leaves = [given.leaves(), given.leaves()]
        images = [
            rasterization(**given.arguments(each), order=order)
            for each, order in zip(leaves, ("global", "pixel"), strict=True)
        ]
        assert torch.equal(images[0][0], images[1][0])
        assert torch.equal(images[0][1], images[1][1])
        for image, _, _ in images:
            image.square().sum().backward()
        for name, leaf in leaves[0].items():
            other = leaves[1][name].grad
            assert leaf.grad is not None
            assert other is not None
            torch.testing.assert_close(leaf.grad, other, rtol=1e-4, atol=1e-5)


def turned(scene: Scene, angle: float) -> Scene:
    """The same place of the camera, turned about its vertical axis."""
    turn = torch.eye(4)
    turn[0, 0] = turn[2, 2] = math.cos(angle)
    turn[0, 2], turn[2, 0] = math.sin(angle), -math.sin(angle)
    return scene.with_(viewmats=turn @ scene.tensors["viewmats"])


@pytest.mark.usefixtures("backend")
def test_a_turning_camera_swaps_nothing() -> None:
    """Which of two Gaussians side by side is nearer by the camera's axis changes when that turns. What a ray
    sees first does not."""
    means = torch.tensor([[-0.25, 0.0, 0.0], [0.25, 0.0, 0.02]])
    scene = random_scene(2, width=41, height=31, sh_degree=None).with_(
        means=means,
        scales=torch.full((2, 3), 0.4),
        opacities=torch.full((2,), 0.9),
        colors=torch.tensor([[1.0, 0, 0], [0, 1, 0]]),
        viewmats=look_at((0.0, 0.0, -4.0))[None],
    )
    fronts: dict[str, list[Tensor]] = {"global": [], "pixel": []}
    for order, found in fronts.items():
        for angle in (-0.06, 0.06):
            meta = rasterization(**turned(scene, angle).arguments(), order=order, outputs=["first_ids"])[2]
            # Of the column in which the plane between the two appears.
            column = round(float(scene.tensors["Ks"][0, 0, 2]) + 62 * math.tan(angle))
            found.append(meta["first_ids"][0, 15, [column - 5, column + 5]])
    assert not torch.equal(*fronts["global"])
    assert torch.equal(*fronts["pixel"])
    assert fronts["pixel"][0].tolist() == [1, 0]  # a ray to the right passes the left one first


def test_gradients_do_not_pass_through_the_order() -> None:
    scene = crossed()
    leaves = scene.leaves()
    rasterization(**scene.arguments(leaves), **PIXEL)[0].sum().backward()
    assert all(leaf.grad is not None and leaf.grad.isfinite().all() for leaf in leaves.values())


def test_threads_and_runs_change_nothing() -> None:
    scene = crossed()
    found = []
    for threads in (1, 4):
        torch.set_num_threads(threads)
        leaves = scene.leaves()
        image = rasterization(**scene.arguments(leaves), **PIXEL)[0]
        image.square().sum().backward()
        found.append([image.detach(), *(leaf.grad for leaf in leaves.values())])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))  # type: ignore[arg-type]


def test_what_there_is_not_is_refused_by_name() -> None:
    scene = crossed()
    with pytest.raises(ValueError, match="'order' must be 'global' or 'pixel', got 'nearest'"):
        rasterization(**scene.arguments(), order="nearest")
    with pytest.raises(ValueError, match="'order'"):
        RenderSettings(order="Pixel")

    def image(means: Tensor) -> Tensor:
        return rasterization(**scene.arguments() | {"means": means}, **PIXEL)[0]

    means = scene.tensors["means"]
    with pytest.raises(NotImplementedError, match="order 'pixel'"):
        torch.func.jvp(image, (means,), (torch.ones_like(means),))
