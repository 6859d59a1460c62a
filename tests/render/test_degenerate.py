"""Gaussians that are flat, needles, huge, at or behind the camera, beyond what a lens sees, at the cap of
alpha: for each response, in each order."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from splats import (
    Scene,
    adapted,
    around_the_camera,
    assert_parity,
    extremes,
    flat,
    huge,
    needles,
    opaque,
    random_scene,
    render_with_gradients,
    tiny,
)

from gsplat_core import rasterization
from gsplat_core.render.settings import ORDERS
from gsplat_core.render.variants import RESPONSES

KINDS = (needles, huge, around_the_camera, opaque, flat, tiny)
EACH = 12
CASES = [(response, order) for response in RESPONSES for order in ORDERS]


def of_all_kinds(response: str) -> Scene:
    """Some of each kind in a small image. Along rays, discs are as thick as float32 knows their edges."""
    parts = [kind().tensors for kind in KINDS]
    scene = random_scene(EACH * len(KINDS), width=26, height=22, sh_degree=None)
    chosen = {
        name: torch.cat([part[name][-EACH:] for part in parts])
        for name in ("means", "quats", "scales", "opacities")
    }
    if RESPONSES[response].along_rays:
        chosen["scales"] = chosen["scales"].clamp(min=0.01)
    return adapted(scene.with_(**chosen), response=response)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(("response", "order"), CASES)
def test_images_and_gradients_are_those_of_the_reference(response: str, order: str) -> None:
    options: dict[str, Any] = {"response": response, "order": order}
    assert_parity(rasterization, of_all_kinds(response), max_ambiguous=0.7, **options)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("camera", ["pinhole", "fisheye", "equirectangular"])
@pytest.mark.parametrize(("response", "order"), CASES)
def test_everything_stays_finite(camera: str, response: str, order: str) -> None:
    scene = adapted(extremes(), camera, response)
    opacities = scene.tensors["opacities"].clone()
    opacities[::2] = 1.0
    found = render_with_gradients(
        rasterization,
        scene.with_(opacities=opacities),
        camera_model=camera,
        response=response,
        order=order,
        absgrad=True,
    )
    assert found.colors.isfinite().all()
    assert found.alphas.any()
    for name, gradient in found.gradients.items():
        assert gradient.isfinite().all(), name
