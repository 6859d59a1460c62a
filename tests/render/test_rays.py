"""gsplat_core/render/rays.py: the rays of pixels, and Gaussians as rays see them."""

from __future__ import annotations

import pytest
import torch
from splats import adapted, covariances, random_scene
from torch import Tensor

from gsplat_core import reference
from gsplat_core.reference.cameras import Intrinsics
from gsplat_core.render.rays import canonical_frames, pixel_rays
from gsplat_core.render.variants import CAMERAS

SIZE = (23, 17)


def cameras_of(model: str) -> tuple[Tensor, Tensor, Tensor | None]:
    """viewmats, Ks and lens [1, 2, ...] in double precision."""
    t = adapted(random_scene(5, cameras=2, width=SIZE[0], height=SIZE[1]), model).tensors
    lens = t.get("lens")
    return t["viewmats"][None].double(), t["Ks"][None].double(), None if lens is None else lens[None].double()


@pytest.mark.parametrize("model", CAMERAS)
def test_all_points_of_a_ray_appear_at_its_pixel(model: str) -> None:
    viewmats, Ks, lens = cameras_of(model)
    rays = pixel_rays(model, viewmats, Ks, lens, *SIZE)
    centres = -(viewmats[..., :3, :3].mT @ viewmats[..., :3, 3:])[..., 0][:, :, None, None]
    origins = centres + (rays[..., 3:] if rays.shape[-1] == 6 else 0)
    x, y = torch.meshgrid(torch.arange(SIZE[0]) + 0.5, torch.arange(SIZE[1]) + 0.5, indexing="xy")
    pixels = torch.stack([x, y], dim=-1).double()
    for distance in (0.5, 3.0):
        points = origins + distance * rays[..., :3]
        for c in range(2):
            seen = points[0, c].reshape(-1, 3) @ viewmats[0, c, :3, :3].T + viewmats[0, c, :3, 3]
            numbers = [Ks[0, c, i, j][None] for i, j in ((0, 0), (1, 1), (0, 2), (1, 2))]
            coefficients = torch.zeros(1, 0).double() if lens is None else lens[0, c][None]
            appear = reference.CAMERAS[model].pixel(seen, Intrinsics(*numbers, coefficients, *SIZE))
            torch.testing.assert_close(appear.reshape(SIZE[1], SIZE[0], 2), pixels, rtol=0, atol=1e-4)


def test_a_gaussian_is_round_in_its_frame() -> None:
    t = {name: tensor[None].double() for name, tensor in random_scene(7, cameras=2).tensors.items()}
    frames = canonical_frames(t["means"], t["quats"], t["scales"], None, t["viewmats"])
    sigma = covariances(t["quats"][0], t["scales"][0])
    of_world = frames[0, :, :, :9].unflatten(-1, (3, 3))
    torch.testing.assert_close(of_world @ sigma @ of_world.mT, torch.eye(3).double().expand(2, 7, 3, 3))
    centres = -(t["viewmats"][..., :3, :3].mT @ t["viewmats"][..., :3, 3:])[0, :, :, 0]
    offsets = centres[:, None] - t["means"]
    torch.testing.assert_close(frames[0, :, :, 9:], (of_world @ offsets[..., None])[..., 0])
    triangle = sigma.flatten(-2)[None, :, [0, 1, 2, 4, 5, 8]]
    other = canonical_frames(t["means"], None, None, triangle, t["viewmats"])[..., 9:]
    torch.testing.assert_close(other.norm(dim=-1), frames[..., 9:].norm(dim=-1))  # up to a rotation
