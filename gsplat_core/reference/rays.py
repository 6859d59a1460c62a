"""The rays of pixels: from which directions they are lit, and where they come nearest to Gaussians."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core.reference.cameras import CAMERAS, Camera, Intrinsics
from gsplat_core.reference.windshield import Pane, outside


def pixel_rays(
    camera_model: str, viewmat: Tensor, intrinsics: Intrinsics, windshield: Pane | None = None
) -> tuple[Tensor, Tensor]:
    """Origins and directions [P, 3] in the world of the rays through the centres of the P pixels of a camera;
    directions are zero where it sees nothing.

    Args:
        viewmat: [4, 4] world to camera.
        windshield: a pane before the camera, if there is one.
        intrinsics: of this camera alone.
    """
    width, height = intrinsics.width, intrinsics.height
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    pixels = torch.stack([x.flatten(), y.flatten()], dim=-1) + 0.5
    if camera_model == "ortho":
        origins, directions = _parallel(pixels, intrinsics)
    else:
        directions = _towards(pixels, CAMERAS[camera_model], intrinsics)
        origins = torch.zeros_like(directions)
    if windshield is not None:
        directions = outside(windshield, directions)
    turn, shift = viewmat[:3, :3], viewmat[:3, 3]
    return (origins - shift) @ turn, directions @ turn


def _parallel(pixels: Tensor, intrinsics: Intrinsics) -> tuple[Tensor, Tensor]:
    fx, fy, cx, cy = (number.reshape(()) for number in intrinsics[:4])
    zero = torch.zeros_like(pixels[:, 0])
    x, y = pixels.unbind(-1)
    origins = torch.stack([(x - cx) / fx, (y - cy) / fy, zero], dim=-1)
    return origins, torch.stack([zero, zero, zero + 1], dim=-1)


def _towards(pixels: Tensor, camera: Camera, intrinsics: Intrinsics) -> Tensor:
    """Directions [P, 3] that a camera projects to the pixels [P, 2]: by Newton's method on the sphere, from
    that of a pinhole camera on, with a last step that is differentiable."""
    fx, fy, cx, cy = (number.detach().reshape(()) for number in intrinsics[:4])
    x, y = pixels.unbind(-1)
    constants = intrinsics._replace(**{name: getattr(intrinsics, name).detach() for name in NUMBERS})
    start = torch.stack([(x - cx) / fx, (y - cy) / fy, torch.ones_like(x)], dim=-1)
    directions = torch.nn.functional.normalize(start, dim=-1)

    def step(directions: Tensor, intrinsics: Intrinsics) -> Tensor:
        slopes = camera.jacobian(directions, constants).detach()
        missing = pixels - camera.pixel(directions, intrinsics)
        return directions + (torch.linalg.pinv(slopes) @ missing[..., None])[..., 0]

    for _ in range(30):
        before = directions
        directions = torch.nn.functional.normalize(step(directions, constants).detach(), dim=-1)
        if (directions - before).abs().amax() < 1e-12:
            break
    found = (camera.pixel(directions, constants) - pixels).abs().amax(-1) < 1e-6
    seen = found & camera.sees(directions, constants, 0.0).visible
    return torch.where(seen[:, None], step(directions, intrinsics), 0.0)


NUMBERS = ("fx", "fy", "cx", "cy", "lens")


class Along(NamedTuple):
    """Rays [P, 3] and the Gaussians that they meet: means [V, 3] and frames [V, 3, 3], with W^T W the inverse
    covariance; and how far [V] the splats reach, as a Mahalanobis distance."""

    origins: Tensor
    directions: Tensor
    means: Tensor
    frames: Tensor
    reach: Tensor


class Nearest(NamedTuple):
    """[V, P]: where rays come nearest to Gaussians, along the ray in units of length, and the squared
    Mahalanobis distance there."""

    tau: Tensor
    squared: Tensor


def nearest(along: Along, means: Tensor) -> Nearest:
    """Moenne-Loccoz et al. (2024), equation 9. `means` [V, P, 3] are those of the Gaussians at the pixels."""
    directions = torch.nn.functional.normalize(along.directions, dim=-1)
    og = ((along.origins - means)[..., None, :] @ along.frames[:, None].mT)[..., 0, :]
    dg = directions @ along.frames.mT
    tau = -(og * dg).sum(-1) / dg.square().sum(-1).clamp(min=1e-300)
    return Nearest(tau, (og + tau[..., None] * dg).square().sum(-1))


def moved(along: Along, means2d: Tensor, at_pixels: Tensor, width: int, height: int) -> Tensor:
    """Means [V, P, 3] that move as their places in the image `at_pixels` [V, P, 2] do, which are `means2d`
    [V, 2] now: around the camera, by as much as rays of neighbouring pixels differ there."""
    columns = means2d[:, 0].detach().nan_to_num().clamp(0, max(width - 2, 0)).long()
    rows = means2d[:, 1].detach().nan_to_num().clamp(0, max(height - 2, 0)).long()
    here = rows * width + columns
    steps = []
    for size, stride in ((width, 1), (height, width)):
        there = here + stride if size > 1 else here
        unit = torch.nn.functional.normalize(along.directions.detach(), dim=-1)
        at_own = Along(along.origins[here], along.directions[here], *along[2:])
        tau = nearest(at_own, along.means[:, None].expand(-1, len(here), -1)).tau.diagonal()[:, None]
        origins = along.origins.detach()
        steps.append(origins[there] - origins[here] + tau.detach() * (unit[there] - unit[here]))
    change = at_pixels - at_pixels.detach()
    return along.means[:, None] + change @ torch.stack(steps, dim=1)
