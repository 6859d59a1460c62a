"""The equirectangular camera: all around, over the seam, and what holds near the poles."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from splats import Scene, assert_agrees, assert_parity, render_with_gradients, truth_of
from torch import Tensor

from gsplat_core import rasterization
from gsplat_core.render.flow import Flow
from gsplat_core.render.scene import measure
from gsplat_core.render.variants import PAYLOADS
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians

on_every_backend = pytest.mark.usefixtures("backend")
CAMERA = {"camera_model": "equirectangular"}
WIDTH, HEIGHT = 72, 36


def whole_sphere(width: int = WIDTH, height: int = HEIGHT) -> Tensor:
    fx, fy = width / (2 * math.pi), height / math.pi
    return torch.tensor([[[fx, 0, width / 2], [0, fy, height / 2], [0, 0, 1]]])


def turned(longitude: float) -> Tensor:
    """A camera at the origin whose axis points there."""
    c, s = math.cos(longitude), math.sin(longitude)
    matrix = torch.eye(4)
    matrix[:3, :3] = torch.tensor([[c, 0, -s], [0, 1, 0], [s, 0, c]])
    return matrix[None]


def all_around(num: int = 120, largest_latitude: float = 1.2, seed: int = 0, size: float = 0.25) -> Scene:
    """Gaussians in all directions, some of which cross the seam."""
    g = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=g)

    longitude, latitude = (2 * uniform(num) - 1) * math.pi, (2 * uniform(num) - 1) * largest_latitude
    longitude[: num // 4] = math.pi - 0.2 + 0.4 * uniform(num // 4)
    radius = 2 + 2 * uniform(num)
    means = radius[:, None] * torch.stack(
        [latitude.cos() * longitude.sin(), latitude.sin(), latitude.cos() * longitude.cos()], dim=-1
    )
    return Scene(
        {
            "means": means,
            "quats": torch.randn(num, 4, generator=g),
            "scales": size * (0.2 + uniform(num, 3)),
            "opacities": 0.1 + 0.8 * uniform(num),
            "colors": uniform(num, 3),
            "viewmats": torch.eye(4)[None],
            "Ks": whole_sphere(),
            "backgrounds": uniform(1, 3),
        },
        WIDTH,
        HEIGHT,
    )


@on_every_backend
@pytest.mark.parametrize(
    "options", [{}, {"rasterize_mode": "antialiased"}, {"render_mode": "RGB+ED"}, {"tile_size": 8}], ids=str
)
def test_parity_all_around(options: dict[str, Any]) -> None:
    def render(**arguments: Any) -> Any:
        return rasterization(**arguments)

    scene, known = all_around(), {k: v for k, v in options.items() if k != "tile_size"}
    found = truth_of(scene, **CAMERA, **known)
    assert (found.rendered.gradients["Ks"].abs() > 0).sum() == 4  # copies move with the focal length, too
    assert_agrees(render, scene, found, **CAMERA, **options)


@pytest.mark.parametrize("options", [{"response": "generalized"}, {"sh_degree": 1}], ids=str)
def test_parity_of_variants(options: dict[str, Any]) -> None:
    scene = all_around(60)
    if "response" in options:
        scene = scene.with_(extras=torch.linspace(1, 4, 60)[:, None])
    else:
        scene = scene.with_(colors=torch.randn(60, 4, 3, generator=torch.Generator().manual_seed(1)))
    assert_parity(rasterization, scene, **CAMERA, **options)


@on_every_backend
@pytest.mark.parametrize("packed", [False, True])
def test_it_does_not_matter_where_the_seam_is(packed: bool) -> None:
    """A camera turned by a number of pixels sees the panorama moved by as many, and every Gaussian gets the
    same gradient and is measured alike."""
    scene, pixels = all_around(), 29
    names = tuple(PAYLOADS)

    def seen(viewmats: Tensor, moved: int) -> tuple[Tensor, dict[str, Tensor]]:
        leaves = scene.with_(viewmats=viewmats).leaves()
        image, alphas, meta = rasterization(
            **scene.arguments(leaves), **CAMERA, absgrad=True, payloads=names, packed=packed
        )
        image, alphas = image.roll(moved, dims=2), alphas.roll(moved, dims=2)
        g = torch.Generator().manual_seed(3)
        loss = (image * torch.randn(image.shape, generator=g)).sum() + alphas.square().sum()
        error = torch.rand(meta["probe"].shape, generator=g).roll(-moved, dims=2)
        (loss + (meta["probe"] * error).sum()).backward()
        found = {name: leaf.grad for name, leaf in leaves.items() if name not in ("viewmats", "Ks")}
        rows = meta["gaussian_ids"] if packed else torch.arange(len(scene.tensors["means"]))
        assert torch.equal(rows, torch.arange(len(rows)))
        for name in names:
            found[name] = meta["payloads"][name].grad
        found["absgrad of means2d"] = meta["means2d"].absgrad
        return image.detach(), {name: g for name, g in found.items() if g is not None}

    image, gradients = seen(torch.eye(4)[None], 0)
    other, other_gradients = seen(turned(2 * math.pi * pixels / WIDTH), pixels)
    torch.testing.assert_close(other, image, atol=2e-4, rtol=1e-3)
    for name, gradient in gradients.items():
        size = float(gradient.abs().max())
        torch.testing.assert_close(other_gradients[name], gradient, atol=3e-3 * size, rtol=1e-2, msg=name)


def test_a_splat_on_the_seam_appears_on_both_sides() -> None:
    scene = all_around(1)
    scene = scene.with_(
        means=torch.tensor([[0.02, 0.0, -3.0]]),
        scales=torch.full((1, 3), 0.3),
        quats=torch.tensor([[1.0, 0, 0, 0]]),
    )
    _, alphas, meta = rasterization(**scene.arguments(), **CAMERA)
    row = alphas[0, HEIGHT // 2, :, 0]
    assert row[-1] > 0.05
    assert row[0] > 0.05
    torch.testing.assert_close(row[:6], row.flip(0)[:6], atol=0.1, rtol=0.1)
    assert row[10:-10].max() == 0
    tiles = alphas.shape[2] // 16 + 1
    listed = meta["flatten_ids"]
    assert set(listed.tolist()) == {0}
    assert int(meta["tiles_per_gauss"][0, 0]) == len(listed)
    assert len(meta["isect_ids"]) == len(listed)
    assert len(listed) < 4 * tiles  # at the borders only


@on_every_backend
def test_contributions_are_of_both_sides() -> None:
    scene = all_around(40)
    t = scene.tensors
    gaussians = Gaussians(
        means=t["means"], quats=t["quats"], scales=t["scales"].log(), opacities=t["opacities"].logit(),
        sh0=torch.zeros(40, 1, 3), shN=torch.zeros(40, 0, 3),
    )  # fmt: skip
    camera = Camera(
        torch.eye(4).double().numpy(), t["Ks"][0].double().numpy(), WIDTH, HEIGHT, model="equirectangular"
    )
    sums, splats = measure(gaussians, camera)
    _, _, meta = rasterization(**scene.arguments(), **CAMERA, statistics=True)
    meta["probe"].sum().backward()
    assert sums.shape == (1, 40, 3)
    assert splats.depths.shape == (1, 1, 40)
    torch.testing.assert_close(sums[..., 0], meta["statistics"].grad[..., 1], atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(sums[..., 1], meta["statistics"].grad[..., 2])
    assert (sums[..., 2] <= 1).all()


@on_every_backend
def test_copies_are_called_by_what_they_are_copies_of() -> None:
    """Two cameras, one of them turned by a number of pixels, see the same Gaussians as many pixels apart."""
    scene, pixels = all_around(60), 17
    g = torch.Generator().manual_seed(2)
    label = torch.randint(-1, 3, (HEIGHT, WIDTH), generator=g)
    both = scene.with_(
        viewmats=torch.cat([torch.eye(4)[None], turned(2 * math.pi * pixels / WIDTH)]),
        Ks=scene.tensors["Ks"].expand(2, 3, 3),
        backgrounds=torch.zeros(2, 3),
    )
    outputs = ["first_ids", "strongest_ids", "median_depth", "counts"]
    _, _, meta = rasterization(
        **both.arguments(), **CAMERA, outputs=outputs, top=2,
        labels=(torch.stack([label, torch.full_like(label, -1)]), 3),
    )  # fmt: skip
    for name in [*outputs, "top_ids"]:
        first, second = meta[name][0], meta[name][1].roll(pixels, dims=1)
        assert (first == -1).any() or name in ("counts", "median_depth")
        assert first.max() < 60
        close = (first - second).abs() < (1e-4 if name == "median_depth" else 1)
        assert close.double().mean() > 0.98, name  # but for ties
    _, _, other = rasterization(
        **both.arguments(), **CAMERA,
        labels=(torch.stack([torch.full_like(label, -1), label.roll(-pixels, dims=1)]), 3),
    )  # fmt: skip
    assert meta["label_weights"].shape == (3, 60)
    torch.testing.assert_close(other["label_weights"], meta["label_weights"], atol=2e-2, rtol=1e-2)


def test_there_is_no_flow_over_the_seam() -> None:
    scene = all_around(5)
    with pytest.raises(NotImplementedError, match="no flow over the seam of 'equirectangular'"):
        rasterization(**scene.arguments(), **CAMERA, flow=Flow(means=scene.tensors["means"]))


def by_pinholes(scene: Scene, width: int, height: int) -> Tensor:
    """[H, W, 3] the panorama of small Gaussians, out of pinhole images with a narrow field of view around
    each pixel of a coarser grid."""
    step, focal = 4, 24 * width / (2 * math.pi)
    image = torch.zeros(height, width, 3)
    side = 48 * step
    Ks = torch.tensor([[[focal, 0, side / 2], [0, focal, side / 2], [0, 0, 1]]])
    for y0 in range(0, height, step):
        for x0 in range(0, width, step):
            middle = torch.tensor([(x0 + step / 2) / width * 2 - 1, (y0 + step / 2) / height - 0.5]) * math.pi
            a, b = float(middle[0]), float(middle[1])
            forward = torch.tensor([math.cos(b) * math.sin(a), math.sin(b), math.cos(b) * math.cos(a)])
            right = torch.tensor([math.cos(a), 0, -math.sin(a)])
            down = torch.linalg.cross(forward, right)
            viewmat = torch.eye(4)
            viewmat[:3, :3] = torch.stack([right, down, forward])
            fine, *_ = rasterization(
                **scene.with_(viewmats=viewmat[None], Ks=Ks).arguments() | {"width": side, "height": side},
                eps2d=0.3 * 24**2,
            )
            y, x = torch.meshgrid(torch.arange(y0, y0 + step), torch.arange(x0, x0 + step), indexing="ij")
            longitude, latitude = ((x + 0.5) / width * 2 - 1) * math.pi, ((y + 0.5) / height - 0.5) * math.pi
            rays = torch.stack(
                [latitude.cos() * longitude.sin(), latitude.sin(), latitude.cos() * longitude.cos()], dim=-1
            )
            local = rays @ viewmat[:3, :3].T
            grid = focal * local[..., :2] / local[..., 2:] / (side / 2)
            sampled = torch.nn.functional.grid_sample(
                fine.permute(0, 3, 1, 2), grid[None], align_corners=False
            )
            image[y0 : y0 + step, x0 : x0 + step] = sampled[0].permute(1, 2, 0)
    return image


def test_away_from_the_poles_it_is_what_pinhole_cameras_see() -> None:
    """To 60 degrees of latitude; the error of the linearization grows with the tangent."""
    scene = all_around(200, largest_latitude=math.pi / 2, size=0.12)
    image, *_ = rasterization(**scene.arguments(), **CAMERA)
    error = (image[0] - by_pinholes(scene, WIDTH, HEIGHT)).abs().mean(-1)
    assert error[6:-6].mean() < 0.012
    assert error.mean() < 0.03


@on_every_backend
def test_at_the_poles_everything_is_finite_and_nothing_is_missing() -> None:
    """A Gaussian at a pole covers all longitudes there, wherever in its pixel it is."""
    for aside in (0.0, 1e-30, 1e-9, 1e-6, 1e-3, 0.02):
        scene = all_around(1).with_(
            means=torch.tensor([[0.6 * aside, 2.0, -0.8 * aside]]),
            scales=torch.full((1, 3), 0.2),
            opacities=torch.ones(1),
            colors=torch.ones(1, 3),
            backgrounds=torch.zeros(1, 3),
        )
        found = render_with_gradients(rasterization, scene, **CAMERA)
        assert found.colors[0, -1].min() > 0.6, aside
        assert found.colors[0, : HEIGHT // 2].max() == 0
        assert all(gradient.isfinite().all() for gradient in found.gradients.values())
