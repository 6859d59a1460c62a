"""Small scenes as raw parameters, their views, and the dense Jacobian of their images."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace

import torch
from splats import adapted, random_scene
from torch import Tensor

from gsplat_core import rasterization
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.second_order.linearization import Settings


@dataclass(frozen=True)
class Camera:
    viewmat: Tensor
    K: Tensor
    width: int
    height: int
    _: KW_ONLY
    model: str = "pinhole"
    lens: Tensor | None = None


def scene(
    num: int = 30,
    views: int = 3,
    width: int = 12,
    height: int = 9,
    sh_degree: int = 1,
    seed: int = 0,
    model: str = "pinhole",
):
    """Gaussians and cameras of one model; the last camera's image is of another size."""
    s = adapted(random_scene(num, views, width, height, sh_degree, seed), model)
    t = s.tensors
    gaussians = Gaussians(
        means=t["means"],
        quats=t["quats"],
        scales=(2 * t["scales"]).log(),
        opacities=torch.logit(t["opacities"]),
        sh0=t["colors"][:, :1].contiguous(),
        shN=t["colors"][:, 1:].contiguous(),
    )
    lenses = t["lens"].split(1) if "lens" in t else [None] * views
    cameras = [
        Camera(v[None], k[None], width, height, model=model, lens=lens)
        for v, k, lens in zip(t["viewmats"], t["Ks"], lenses, strict=True)
    ]
    cameras[-1] = replace(cameras[-1], width=width - 3, height=height + 2)
    return gaussians, cameras


def render(gaussians: Gaussians, camera: Camera, settings: Settings) -> Tensor:
    background = settings.background
    colors, _, _ = rasterization(
        **gaussians.activated(),
        viewmats=camera.viewmat,
        Ks=camera.K,
        width=camera.width,
        height=camera.height,
        camera_model=camera.model,
        lens=camera.lens,
        sh_degree=settings.sh_degree,
        backgrounds=None if background is None else background[None],
        rasterize_mode="antialiased" if settings.drawn.antialiased else "classic",
        tile_size=settings.drawn.tile_size,
    )
    return colors[0]


def dense_jacobian(gaussians: Gaussians, cameras: list[Camera], settings: Settings) -> Tensor:
    """[numbers of all images, parameters] by reverse mode, row by row, in float64."""
    names = list(gaussians.params)
    rows = []
    for camera in cameras:

        def image(*params: Tensor, camera: Camera = camera) -> Tensor:
            moved = Gaussians(**dict(zip(names, params, strict=True)))
            return render(moved, camera, settings).flatten()

        parts = torch.autograd.functional.jacobian(image, tuple(gaussians.params.values()))
        rows.append(torch.cat([part.flatten(1) for part in parts], dim=1))
    return torch.cat(rows).double()


def flat(vector: dict[str, Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in vector.values()]).double()


def random_vector(gaussians: Gaussians, seed: int = 0) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return {name: torch.randn(p.shape, generator=g) for name, p in gaussians.params.items()}


@dataclass(frozen=True)
class Photo(Camera):
    image: Tensor
    mask: Tensor | None = None


def photographed(gaussians: Gaussians, cameras: list[Camera], settings: Settings) -> list[Photo]:
    """What the cameras see."""
    return [
        Photo(c.viewmat, c.K, c.width, c.height, render(gaussians, c, settings).clamp(0, 1)) for c in cameras
    ]


def disturbed(gaussians: Gaussians, strength: float = 1.0) -> Gaussians:
    sizes = {"means": 0.03, "quats": 0.1, "scales": 0.1, "opacities": 0.3, "sh0": 0.1, "shN": 0.05}
    noise = random_vector(gaussians, 5)
    params = gaussians.params.items()
    return Gaussians(**{name: value + strength * sizes[name] * noise[name] for name, value in params})
