"""What the derivatives of are checked by rendering alone: every camera and response of the registry, drawn in
every way that leads through other kernels. `tools/gradcheck.py` and the tests go through the same cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

import torch
from splats import Scene, adapted, random_scene
from torch import Tensor

from gsplat_core import rasterization, reference
from gsplat_core.gradient_check import Renderer
from gsplat_core.reference.unscented import Unscented
from gsplat_core.render.layers import LAYERS
from gsplat_core.render.variants import CAMERAS, PAYLOADS, RESPONSES
from gsplat_core.stochastic_gradients import Pixels

NUM, WIDTH, HEIGHT = 24, 23, 17
WHOLE = frozenset({"motion", "lens", "backgrounds"})
"""Parameters on which all pixels depend. Where a camera is linearized counts as independent of its
intrinsics, so Ks are none: a difference sees more than the derivative."""

DOUBLE = {"step": 1e-5, "tolerance": 1e-4}
FLOAT = {"step": 1.4e-3, "tolerance": 1e-2}

DRAWN: dict[str, dict[str, Any]] = {
    "colours": {},
    "everything": {
        "render_mode": "RGB-Ed", "outputs": tuple(LAYERS), "payloads": tuple(PAYLOADS), "features": True,
    },
    "expected depth": {"render_mode": "RGB+ED"},
    "antialiased": {"rasterize_mode": "antialiased"},
    "pixel order": {"order": "pixel"},
    "unscented": {"with_ut": True},
}  # fmt: skip


class Case(NamedTuple):
    camera: str
    response: str
    drawn: str

    @property
    def options(self) -> dict[str, Any]:
        return {"camera_model": self.camera, "response": self.response, **DRAWN[self.drawn]}

    def __str__(self) -> str:
        return f"{self.camera}-{self.response}-{self.drawn}"


@cache
def scene_of(case: Case) -> Scene:
    """Gaussians that hide one another, over several tiles, none of them opaque, black or
    smaller than a pixel, of which a step would be too long."""
    scene = random_scene(NUM, width=WIDTH, height=HEIGHT, sh_degree=2, seed=3)
    focal = torch.tensor([[19.0, 0, 12], [0, 20, 8], [0, 0, 1]])
    scene = scene.with_(
        Ks=focal[None], colors=0.4 * scene.tensors["colors"], scales=scene.tensors["scales"] + 0.1
    )
    if DRAWN[case.drawn].get("features"):
        features = torch.randn(NUM, 5, generator=torch.Generator().manual_seed(1))
        scene = scene.with_(features=features)
    return adapted(scene, case.camera, case.response)


def cases() -> Iterator[Case]:
    for camera in CAMERAS:
        for name, response in RESPONSES.items():
            for drawn in DRAWN:
                if drawn != "antialiased" or not (response.integrates or response.along_rays):
                    yield Case(camera, name, drawn)


def parameters(case: Case, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """The cameras' poses stay poses: what is moved is a twist [6], a translation and a rotation after
    them."""
    tensors = scene_of(case).tensors
    moved = {name: value.to(dtype) for name, value in tensors.items() if name not in ("Ks", "viewmats")}
    return {**moved, "motion": torch.zeros(6, dtype=dtype)}


def rigid_motion(twist: Tensor) -> Tensor:
    """[4, 4] of a translation and a rotation vector [6]."""
    zero = torch.zeros((), dtype=twist.dtype)
    x, y, z, a, b, c = twist
    rows = [[zero, -c, b, x], [c, zero, -a, y], [-b, a, zero, z], [zero, zero, zero, zero]]
    return torch.linalg.matrix_exp(torch.stack([torch.stack(row) for row in rows]))


def of_operators(case: Case) -> Renderer:
    return partial(_pixels, _operators, case)


def of_reference(case: Case) -> Renderer:
    return partial(_pixels, _reference, case)


def _pixels(render: Callable[..., Any], case: Case, tensors: Mapping[str, Tensor]) -> Pixels:
    """Losses are a random weighting of all that a pixel has."""
    scene, options = scene_of(case), dict(case.options)
    given = {"Ks": scene.tensors["Ks"], **tensors}
    given["viewmats"] = rigid_motion(given.pop("motion")) @ scene.tensors["viewmats"].to(given["means"])
    if options.pop("features", False):
        options["features"] = {"some": given.pop("features")}
    images, lists = render(scene.arguments(given) | options)
    g, losses = torch.Generator().manual_seed(99), torch.zeros(())
    for image in images:
        per_pixel = image.reshape(HEIGHT * WIDTH, -1)
        losses = losses + (torch.randn(per_pixel.shape, generator=g) * per_pixel).sum(1)
    return Pixels(losses, lists.reshape(HEIGHT * WIDTH, -1))


def _operators(arguments: dict[str, Any]) -> tuple[list[Tensor], Tensor]:
    colors, alphas, meta = rasterization(**arguments, tile_size=8, top=NUM)
    further = [meta[name] for name in arguments.get("outputs", ())]
    return [colors, alphas, *further, *meta.get("features", {}).values()], meta["top_ids"]


def _reference(arguments: dict[str, Any]) -> tuple[list[Tensor], Tensor]:
    names = arguments.pop("outputs", ())
    unscented = Unscented() if arguments.pop("with_ut", False) else None
    colors, alphas, meta = reference.rasterization(
        **arguments, further=names, unscented=unscented, weights=True
    )
    weights = meta["weights"][0].detach()
    depths = meta["ray_depths"][0] if "ray_depths" in meta else meta["depths"][0, :, None, None]
    near = torch.where(weights > 0, depths.detach(), torch.inf)
    near, order = near.sort(dim=0, stable=True)
    lists = torch.where(near.isfinite(), order, -1).movedim(0, -1)
    return [colors, alphas, *(meta[name] for name in names), *meta.get("features", {}).values()], lists
