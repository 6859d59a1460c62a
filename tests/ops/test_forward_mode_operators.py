"""gsplat_core/ops: the forward-mode operators have fake kernels that fit, and refuse tangents that do not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from backends import opcheck
from splats import adapted, covariances, random_scene
from torch import Tensor

from gsplat_core.ops.variants import GAUSSIAN
from gsplat_core.render import stages
from gsplat_core.render.settings import USUAL
from gsplat_core.render.variants import CAMERAS

pytestmark = pytest.mark.usefixtures("backend")

ops = torch.ops.gsplat_core
SIZE = (40, 30)
DRAWING = (*SIZE, USUAL.numbers())


def like(tensors: tuple[Any, ...]) -> list[Tensor | None]:
    return [None if t is None else torch.rand_like(t) for t in tensors]


def gaussians_and_cameras(covars: bool = False, camera: str = "pinhole") -> tuple[Tensor | None, ...]:
    scene = adapted(random_scene(20, cameras=2, width=40, height=30), camera)
    t = {name: value[None] for name, value in scene.tensors.items()}
    shape: tuple[Tensor | None, ...] = (t["quats"], t["scales"], None)
    if covars:
        matrices = covariances(t["quats"][0], t["scales"][0])[None]
        shape = (None, None, matrices.flatten(-2)[..., [0, 1, 2, 4, 5, 8]])
    return (t["means"], *shape, t["opacities"], t["viewmats"], t["Ks"], t.get("lens"))


@pytest.mark.parametrize(
    ("covars", "camera"), [(True, "pinhole"), *((i % 2 == 1, camera) for i, camera in enumerate(CAMERAS))]
)
def test_project_jvp(covars: bool, camera: str) -> None:
    tensors = gaussians_and_cameras(covars, camera)
    radii = ops.project(*tensors, camera, *DRAWING)[4]
    opcheck(ops.project_jvp, (*tensors, camera, *DRAWING, radii, *like(tensors)))


def test_project_surfels_jvp() -> None:
    means, quats, scales, _, opacities, viewmats, Ks, _ = gaussians_and_cameras()
    tensors = (means, quats, scales, opacities, viewmats, Ks)
    radii = ops.project_surfels(*tensors, *DRAWING)[4]
    opcheck(ops.project_surfels_jvp, (*tensors, *DRAWING, radii, *like(tensors)))


@pytest.mark.parametrize("split", [False, True])
def test_spherical_harmonics_jvp(split: bool) -> None:
    tensors = gaussians_and_cameras()
    radii, sh = ops.project(*tensors, "pinhole", *DRAWING)[4], torch.rand(1, 20, 16, 3)
    parts = (sh[:, :, :1].contiguous(), sh[:, :, 1:].contiguous()) if split else (sh, None)
    inputs = (tensors[0], tensors[5], *parts)
    colors = ops.spherical_harmonics(2, *inputs, radii)
    opcheck(ops.spherical_harmonics_jvp, (2, *inputs, radii, colors, *like(inputs)))


@pytest.mark.parametrize(("channels", "background"), [(3, True), (20, False)])
def test_composite_jvp(channels: int, background: bool) -> None:
    splats = stages.Splats(*ops.project(*gaussians_and_cameras(), "pinhole", *DRAWING))
    tiles = stages.bin_splats(splats, *SIZE)
    means2d, shapes, _, opacities, _ = (s.flatten(0, 1) for s in splats)
    inputs = (means2d, shapes, opacities, torch.rand(2, 20, channels))
    backgrounds = torch.rand(2, channels) if background else None
    drawn = (*inputs, backgrounds, *tiles, *DRAWING, *GAUSSIAN)
    opcheck(ops.composite_jvp, (*drawn, *like(inputs), None, None, None))


def test_tangents_of_another_shape_are_named() -> None:
    tensors = gaussians_and_cameras()
    radii = ops.project(*tensors, "pinhole", *DRAWING)[4]
    tangents = like(tensors)
    tangents[0] = torch.rand(1, 19, 3)
    with pytest.raises(RuntimeError, match=r"\[1, 19"):
        ops.project_jvp(*tensors, "pinhole", *DRAWING, radii, *tangents)
