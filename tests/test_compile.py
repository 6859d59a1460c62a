"""``torch.compile`` of functions that call ``rasterization``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from splats import random_scene
from torch import Tensor

from gsplat_core import rasterization
from gsplat_core.render.flow import Flow

SCENE = random_scene(60, cameras=2, width=40, height=30)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def run(function: Any, **options: Any) -> list[Tensor]:
    leaves = SCENE.leaves()
    image, extra = function(leaves, **options)
    image.square().sum().backward()
    return [image.detach(), extra.detach(), *(leaf.grad for leaf in leaves.values())]


def brightened(leaves: dict[str, Tensor], **options: Any) -> tuple[Tensor, Tensor]:
    colors, alphas, _ = rasterization(**SCENE.arguments(leaves), **options)
    return 2 * colors.clamp(0, 1), alphas.mean()


def with_meta(leaves: dict[str, Tensor], **options: Any) -> tuple[Tensor, Tensor]:
    colors, _, meta = rasterization(**SCENE.arguments(leaves), **options)
    return colors, meta["conics"].square().sum() + meta["tiles_per_gauss"].sum()


def with_further(leaves: dict[str, Tensor], **options: Any) -> tuple[Tensor, Tensor]:
    features = {"twice": 2 * leaves["means"]}
    colors, _, meta = rasterization(
        **SCENE.arguments(leaves), outputs=["normals", "median_depth"], top=2, features=features,
        flow=Flow(means=leaves["means"] + 0.1), **options,
    )  # fmt: skip
    further = meta["normals"].sum() + meta["median_depth"].sum() + meta["features"]["twice"].sum()
    return colors, further + meta["flow"].square().sum() + meta["top_weights"].sum()


@pytest.mark.parametrize(
    ("function", "render_mode"), [(brightened, "RGB+ED"), (with_meta, "RGB"), (with_further, "RGB+D")]
)
def test_one_graph_gives_the_same_images_and_gradients(function: Any, render_mode: str) -> None:
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    eager, graph = (run(f, render_mode=render_mode) for f in (function, compiled))
    for a, b in zip(eager, graph, strict=True):
        assert torch.allclose(a, b, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("options", [{"absgrad": True}, {"packed": True}, {"statistics": True}], ids=str)
def test_options_that_break_the_graph_still_work(options: dict[str, bool]) -> None:
    compiled = torch.compile(brightened, backend="aot_eager")
    for a, b in zip(run(brightened, **options), run(compiled, **options), strict=True):
        assert torch.allclose(a, b, atol=1e-6, rtol=1e-5)


def test_the_number_of_intersections_may_change_without_recompiling() -> None:
    compiled = torch.compile(brightened, fullgraph=True, backend="aot_eager")
    arguments = dict(SCENE.tensors)
    with torch.compiler.set_stance("default"):
        compiled(arguments)
    with torch.compiler.set_stance("fail_on_recompile"):
        moved = {**arguments, "means": 0.3 * arguments["means"]}
        assert torch.allclose(compiled(moved)[0], brightened(moved)[0], atol=1e-6)
