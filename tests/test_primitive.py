"""gsplat_core/primitive.py: raw parameters become Gaussians before they are projected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from splats import look_at, random_scene
from torch import Tensor

from gsplat_core import primitive, rasterization
from gsplat_core.errors import UsageError
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.schema import GAUSSIAN, Field

SCENE = random_scene(60, width=40, height=30)
del SCENE.tensors["backgrounds"]
CAMERA = {
    "viewmats": SCENE.tensors["viewmats"],
    "Ks": SCENE.tensors["Ks"],
    "width": 40,
    "height": 30,
    "sh_degree": 3,
}


def raw_parameters() -> dict[str, Tensor]:
    t = SCENE.tensors
    raw = {
        "means": t["means"],
        "quats": t["quats"],
        "scales": t["scales"].log(),
        "opacities": t["opacities"].logit(),
        "sh0": t["colors"][:, :1],
        "shN": t["colors"][:, 1:],
    }
    return {name: value.clone().requires_grad_() for name, value in raw.items()}


def test_the_gaussian_activates_its_parameters() -> None:
    params = raw_parameters()
    image, *_ = rasterization(**primitive.evaluate(params).arguments(), **CAMERA)
    expected, *_ = rasterization(**SCENE.arguments())
    assert torch.allclose(image, expected, atol=1e-5)
    image.sum().backward()
    assert all(value.grad.any() for value in params.values())


DRIFTING = GAUSSIAN.plus(Field("velocities", (3,), learning_rate=1e-4, similarity="vector"))


def test_a_new_primitive_is_a_function_with_a_name_and_a_schema() -> None:
    @primitive.register("drifting", DRIFTING)
    def drifting(params: Mapping[str, Tensor], context: Mapping[str, Any]) -> primitive.Evaluated:
        """Moves with constant velocity; reads `time` from the context."""
        still = primitive.gaussian(params, context)
        return still._replace(means=still.means + context["time"] * params["velocities"])

    try:
        assert {"drifting", "gaussian"} <= set(primitive.names())
        params = raw_parameters() | {"velocities": torch.ones(60, 3).requires_grad_()}
        scene = Gaussians.of(params, "drifting")
        moved = primitive.evaluate(scene, {"time": 0.25})
        alike = primitive.evaluate(params, {"time": 0.25}, "drifting")
        assert torch.equal(moved.means, alike.means)
        image, *_ = rasterization(**moved.arguments(), **CAMERA)
        followed = CAMERA | {"viewmats": look_at((-0.25, -0.75, -4.25), (-0.25, -0.25, -0.25))[None]}
        still, *_ = rasterization(**primitive.gaussian(params, {}).arguments(), **followed)
        assert torch.allclose(image, still, atol=1e-3)
        image.sum().backward()
        assert params["velocities"].grad.any()
        with pytest.raises(
            ValueError, match="the primitive 'drifting' needs 'velocities'; given are 'means', "
        ):
            primitive.evaluate(raw_parameters(), {"time": 0}, "drifting")
        with pytest.raises(UsageError, match="'drifting' is registered already"):
            primitive.register("drifting")(drifting)
    finally:
        del primitive._registry["drifting"]


def test_an_unknown_name_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no primitive is named 'gausian'; there are: .*gaussian"):
        primitive.get("gausian")
