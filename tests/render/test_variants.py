"""Every variant that the compiled library lists does what every variant must: it agrees with the reference's
variant of the same name in images, gradients and measurements; its forward mode is the derivative and the
adjoint of its backward; its tile lists leave nothing out; neither threads nor their order change a result.

What is registered is tested: a new line in csrc/raster/variants.h makes new rows here, and asks for the
counterpart in gsplat_core/reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

import pytest
import torch
from cuda_on_cpu.operators import emulated
from splats import (
    Scene,
    Truth,
    adapted,
    assert_agrees,
    assert_gradient,
    one_thread,
    random_scene,
    render_with_gradients,
    truth_of,
)
from torch import Tensor

import gsplat_core
from gsplat_core import reference
from gsplat_core.render import lists as lists_of_tiles
from gsplat_core.render.stages import TileLists
from gsplat_core.render.variants import CAMERAS, COMPOSITORS, PAYLOADS, RESPONSES

CASES = [(camera, response) for camera in CAMERAS for response in RESPONSES]
# What a splat carries to the pixels: so many channels, and perhaps its depth.
CARRIED: dict[str, tuple[int, dict[str, Any]]] = {
    "one channel": (1, {}),
    "three channels": (3, {}),
    "many channels": (9, {}),
    "depth": (3, {"render_mode": "RGB+ED"}),
    "antialiased": (3, {"rasterize_mode": "antialiased"}),
}
WIDTH, HEIGHT = 29, 22
every_variant = pytest.mark.parametrize(("camera", "response"), CASES)


def taking_turns(*options: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Every camera with every response and one of the options, so that each option meets each camera and each
    response: no kernel depends on more than two of the three."""
    cases = []
    for i, camera in enumerate(CAMERAS):
        for j, response in enumerate(RESPONSES):
            cases.append((camera, response, *options[(i + j) % len(options)]))
    return cases


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@cache
def scene_for(camera: str, response: str, channels: int = 3) -> Scene:
    """Enough splats to hide one another, over several tiles."""
    scene = random_scene(40, width=WIDTH, height=HEIGHT, sh_degree=None, seed=3)
    g = torch.Generator().manual_seed(1)
    scene = scene.with_(
        colors=torch.rand(40, channels, generator=g),
        backgrounds=torch.rand(1, channels, generator=g),
        Ks=torch.tensor([[[24.0, 0, 15], [0, 26, 10], [0, 0, 1]]]),
    )
    return adapted(scene, camera, response)


def chosen(camera: str, response: str) -> dict[str, Any]:
    """The arguments of a renderer."""
    return {"camera_model": camera} | ({} if response == "gaussian" else {"response": response})


def render(**arguments: Any) -> Any:
    return gsplat_core.rasterization(**arguments | {"tile_size": 8})


@cache
def truth(camera: str, response: str, carried: str = "three channels") -> Truth:
    channels, options = CARRIED[carried]
    return truth_of(scene_for(camera, response, channels), **chosen(camera, response), **options)


def test_the_reference_has_the_cameras_of_the_library() -> None:
    assert {name: len(camera.coefficients) for name, camera in reference.CAMERAS.items()} == CAMERAS


def test_the_reference_has_the_payloads_of_the_library() -> None:
    theirs = {name: payload.sums for name, payload in reference.PAYLOADS.items()}
    assert {name: payload.sums for name, payload in PAYLOADS.items()} == theirs


def test_the_reference_has_the_compositors_of_the_library() -> None:
    assert sorted(reference.COMPOSITORS) == sorted(COMPOSITORS)


def test_the_reference_has_the_responses_of_the_library() -> None:
    theirs = {name: len(response.extras) for name, response in reference.RESPONSES.items()}
    assert {name: response.extras for name, response in RESPONSES.items()} == theirs


@pytest.mark.parametrize(
    ("camera", "response", "carried"),
    # What is smoothed depends on the camera, and few responses can be.
    dict.fromkeys(
        [*taking_turns(*product(CARRIED)), *((camera, "gaussian", "antialiased") for camera in CAMERAS)]
    ),
)
@pytest.mark.usefixtures("backend")
def test_images_and_gradients_are_those_of_the_reference(camera: str, response: str, carried: str) -> None:
    channels, options = CARRIED[carried]
    scene = scene_for(camera, response, channels)
    if carried == "antialiased" and (RESPONSES[response].integrates or RESPONSES[response].along_rays):
        for renderer in (render, reference.rasterization):
            with pytest.raises(ValueError, match=f"antialiased.*{response!r}|{response!r}.*antialiased"):
                renderer(**scene.arguments(), **chosen(camera, response), **options)
        return
    found = truth(camera, response, carried)
    assert_agrees(render, scene, found, **chosen(camera, response), **options)


def summed_up(
    function: Any, camera: str, response: str, *payloads: str, keep: Tensor, channels: int = 3
) -> dict[str, Tensor]:
    """What payloads sum up, and the gradient of the means beside them, for a random loss of pixels that
    `keep` [1, H, W] does not mask."""
    scene = scene_for(camera, response, channels)
    leaves = scene.leaves()
    image, alphas, meta = function(
        **scene.arguments(leaves), **chosen(camera, response), payloads=payloads, tile_size=8
    )
    g = torch.Generator().manual_seed(5)
    weights, probe = torch.randn(image.shape, generator=g), torch.randn(keep.shape, generator=g)
    loss = (keep[..., None] * (weights * image + alphas)).sum()
    if any(PAYLOADS[name].probed for name in payloads):
        loss = loss + (keep * probe * meta["probe"]).sum()
    loss.backward()
    means = leaves["means"].grad
    assert means is not None
    return {name: meta["payloads"][name].grad for name in payloads} | {"means": means}


@cache
def truly_summed_up(camera: str, response: str, channels: int) -> dict[str, Tensor]:
    def renderer(*, tile_size: int, **arguments: Any) -> Any:
        del tile_size  # the reference has none
        return reference.rasterization(**arguments)

    keep = ~truth(camera, response).ambiguous
    return summed_up(renderer, camera, response, *PAYLOADS, keep=keep, channels=channels)


@pytest.mark.parametrize(
    ("camera", "response", "payload", "channels"), taking_turns(*product(PAYLOADS, (3, 9)))
)
@pytest.mark.usefixtures("backend")
def test_payloads_are_those_of_the_reference(camera: str, response: str, payload: str, channels: int) -> None:
    keep = ~truth(camera, response).ambiguous
    expected = truly_summed_up(camera, response, channels)
    found = summed_up(gsplat_core.rasterization, camera, response, payload, keep=keep, channels=channels)
    for name in (payload, "means"):
        # Counts and sums over all pixels know no mask.
        columns = slice(1) if name == "statistics" else slice(None)
        assert expected[name].any()
        assert_gradient(name, found[name][..., columns], expected[name][..., columns])


@every_variant
@pytest.mark.usefixtures("backend")
def test_payloads_do_not_disturb_one_another(camera: str, response: str) -> None:
    keep = torch.ones(1, HEIGHT, WIDTH)
    together = summed_up(gsplat_core.rasterization, camera, response, *PAYLOADS, keep=keep)
    for payload in PAYLOADS:
        alone = summed_up(gsplat_core.rasterization, camera, response, payload, keep=keep)
        torch.testing.assert_close(alone[payload], together[payload], rtol=1e-5, atol=1e-6)


@every_variant
@pytest.mark.usefixtures("backend")
def test_forward_mode_is_the_derivative_and_the_adjoint(camera: str, response: str) -> None:
    scene, keep = scene_for(camera, response), ~truth(camera, response).ambiguous[..., None]
    names = list(scene.tensors)
    values = tuple(scene.tensors.values())
    g = torch.Generator().manual_seed(0)
    direction = tuple(0.01 * torch.randn(v.shape, generator=g) * v.abs().mean() for v in values)

    def image(function: Any, *tensors: Tensor) -> Tensor:
        arguments = scene.arguments(dict(zip(names, tensors, strict=True)))
        colors, alphas, _ = function(**arguments, **chosen(camera, response))
        return keep * torch.cat([colors, alphas], dim=-1)

    def changes(direction: tuple[Tensor, ...]) -> Tensor:
        found: Tensor = torch.func.jvp(lambda *tensors: image(render, *tensors), values, direction)[1]
        return found

    # Where a camera is linearized counts as independent of its intrinsics, so differences of these would see
    # more than the derivative.
    without_Ks = tuple(0 * d if name == "Ks" else d for name, d in zip(names, direction, strict=True))
    step = 1e-4
    moved = [step * d for d in without_Ks]
    ends = [
        image(reference.rasterization, *(v.double() + s * m for v, m in zip(values, moved, strict=True)))
        for s in (1, -1)
    ]
    difference = (ends[0] - ends[1]) / (2 * step)
    assert_gradient("the directional derivative", changes(without_Ks), difference)

    change = changes(direction)
    leaves = [value.clone().requires_grad_() for value in values]
    gradients = torch.autograd.grad(image(render, *leaves), leaves, change, materialize_grads=True)
    product = sum(float((a.double() * b.double()).sum()) for a, b in zip(direction, gradients, strict=True))
    assert product == pytest.approx(float(change.double().square().sum()), rel=1e-4)


@every_variant
@pytest.mark.usefixtures("backend")
def test_tile_lists_leave_nothing_out(camera: str, response: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = scene_for(camera, response)
    arguments = scene.arguments() | chosen(camera, response) | {"tile_size": 8}
    listed, alphas, meta = gsplat_core.rasterization(**arguments)
    lists = lists_of_tiles.bin_splats

    def everywhere(*splats: Any, **options: Any) -> TileLists:
        """Each visible splat in each tile."""
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
    full, full_alphas, full_meta = gsplat_core.rasterization(**arguments)
    assert len(full_meta["flatten_ids"]) > 1.5 * len(meta["flatten_ids"]) > 0
    assert torch.equal(full, listed)
    assert torch.equal(full_alphas, alphas)


@pytest.mark.parametrize("packed", [False, True])
def test_flags_and_payloads_of_the_same_name_give_the_same(packed: bool) -> None:
    arguments = scene_for("pinhole", "gaussian").arguments() | {"packed": packed}
    arguments["means"] = arguments["means"].clone().requires_grad_()
    flags = {"absgrad": True, "statistics": True}
    image, _, meta = gsplat_core.rasterization(**arguments, **flags, payloads=["absgrad", "statistics"])
    image.square().sum().backward()
    sums = meta["payloads"]
    assert torch.equal(sums["absgrad"].grad, meta["means2d"].absgrad)
    assert torch.equal(sums["statistics"].grad, meta["statistics"].grad)
    assert all(carrier.grad.any() for carrier in sums.values())


@every_variant
def test_any_number_of_threads_gives_the_same_bytes(camera: str, response: str) -> None:
    def run(threads: int) -> list[Tensor]:
        torch.set_num_threads(threads)
        found = render_with_gradients(
            render, scene_for(camera, response), payloads=tuple(PAYLOADS), **chosen(camera, response)
        )  # fmt: skip
        measured = [found.meta["payloads"][name].grad for name in PAYLOADS]
        return [found.colors, found.alphas, *measured, *found.gradients.values()]

    alone = run(1)
    for threads in (2, 3):
        assert all(torch.equal(a, b) for a, b in zip(alone, run(threads), strict=True))


@every_variant
def test_results_do_not_depend_on_the_order_of_cuda_threads(camera: str, response: str) -> None:
    scene, found = scene_for(camera, response), truth(camera, response)
    for seed in range(1, 6):
        with emulated(seed=seed, check=False):
            assert_agrees(render, scene, found, **chosen(camera, response))


@pytest.mark.parametrize(
    "wish", [{"camera_model": "nowhere"}, {"response": "nowhere"}, {"payloads": ["nowhere"]}]
)
def test_what_is_not_listed_is_refused_by_name(wish: dict[str, Any]) -> None:
    with pytest.raises((ValueError, RuntimeError), match="nowhere"):
        gsplat_core.rasterization(**scene_for("pinhole", "gaussian").arguments(), **wish)


@pytest.mark.parametrize("kind", ["camera", "response"])
def test_numbers_that_a_variant_does_not_have_are_refused(kind: str) -> None:
    argument, rows = {"camera": ("lens", 1), "response": ("extras", 40)}[kind]
    with pytest.raises((ValueError, RuntimeError), match=argument):
        gsplat_core.rasterization(
            **scene_for("pinhole", "gaussian").arguments(), **{argument: torch.zeros(rows, 7)}
        )
