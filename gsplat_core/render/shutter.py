"""Cameras that move while they expose an image line by line (a rolling shutter).

A camera turns and moves evenly from its pose at the start of the exposure to that at the end: rotations are
interpolated along the shortest way (slerp), translations linearly. All stages know the pose in the middle,
by which Gaussians are sorted and coloured; the rays of pixels begin where the camera is when their line is
exposed. The lines of an image are exposed one after the other, the first at the start and the last at the
end.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core.arguments import check_tensor
from gsplat_core.pinhole import check_cameras
from gsplat_core.render.camera_types import RollingShutterType
from gsplat_core.render.inputs import Inputs
from gsplat_core.render.settings import RenderSettings
from gsplat_core.render.variants import EVERY_RESPONSE

# To which side lines follow one another, right and down.
DIRECTIONS = {
    RollingShutterType.ROLLING_TOP_TO_BOTTOM: (0, 1),
    RollingShutterType.ROLLING_LEFT_TO_RIGHT: (1, 0),
    RollingShutterType.ROLLING_BOTTOM_TO_TOP: (0, -1),
    RollingShutterType.ROLLING_RIGHT_TO_LEFT: (-1, 0),
}


class Exposure(NamedTuple):
    """Of cameras with a rolling shutter."""

    viewmats: Tensor
    """[..., 4, 4] world to camera, in the middle."""
    motion: Tensor
    """[..., 9]: over the whole exposure the rotation vector and the change of translation; and (a, b, c), of
    which a pixel (x, y) is exposed at the time a (x - 1/2) + b (y - 1/2) + c, from 0 to 1. As
    ``RollingShutter`` of ``csrc/math/unscented.h`` has it."""

    @classmethod
    def between(
        cls, start: Tensor, end: Tensor, shutter: RollingShutterType, width: int, height: int
    ) -> Exposure:
        """From poses [..., 4, 4], differentiable; a camera that does not move has exactly its pose."""
        first, last = start.double(), end.double()
        turn = rotation_vector(_product(last[..., :3, :3], first[..., :3, :3].mT))
        way = last[..., :3, 3] - first[..., :3, 3]
        middle = first.clone()
        middle[..., :3, :3] = _product(rotation_of_vector(turn / 2), first[..., :3, :3])
        middle[..., :3, 3] = first[..., :3, 3] + way / 2
        right, down = DIRECTIONS[RollingShutterType(shutter)]
        lines = (right / max(width - 1, 1), down / max(height - 1, 1), float(right < 0 or down < 0))
        times = torch.tensor(lines, dtype=torch.float64, device=start.device).expand(*turn.shape[:-1], 3)
        return cls(middle.to(start.dtype), torch.cat([turn, way, times], dim=-1).to(start.dtype))


def exposed(
    inputs: Inputs,
    shutter: RollingShutterType | None,
    viewmats_rs: Tensor | None,
    width: int,
    height: int,
    settings: RenderSettings,
) -> Inputs:
    """The inputs with a rolling shutter, if there is one: arguments of :func:`gsplat_core.rasterization`.

    Raises:
        ValueError: an argument does not fit the others; the message names it.
    """
    if shutter is None or shutter == RollingShutterType.GLOBAL:
        if viewmats_rs is not None:
            raise ValueError("argument 'viewmats_rs' needs a 'rolling_shutter', got " + repr(shutter))
        return inputs
    if shutter not in DIRECTIONS:
        known = ", ".join(str(kind) for kind in RollingShutterType)
        raise ValueError(f"argument 'rolling_shutter' must be one of {known}, got {shutter!r}")
    if not settings.unscented or not EVERY_RESPONSE[inputs.response].along_rays:
        raise ValueError(
            f"argument 'rolling_shutter' = {shutter!r} needs with_ut=True and a response along rays: what is "
            f"seen at another time is not a splat. Got with_ut={settings.unscented} and the response "
            f"{inputs.response!r}"
        )
    cameras = inputs.viewmats.shape[1]
    check_tensor("viewmats_rs", viewmats_rs, "C 4 4", {"C": cameras}, inputs.batch)
    assert viewmats_rs is not None
    end = viewmats_rs.reshape(inputs.viewmats.shape)
    for poses in (inputs.viewmats, end):
        check_cameras(poses, inputs.Ks, rigid=True)
    if not end.requires_grad and torch.equal(inputs.viewmats, end):
        return inputs  # to the last bit, which rays with origins of their own may change
    exposure = Exposure.between(inputs.viewmats, end, shutter, width, height)
    return inputs._replace(viewmats=exposure.viewmats, motion=exposure.motion)


def rays_while_moving(of_cameras: Tensor, viewmats: Tensor, motion: Tensor) -> Tensor:
    """Rays [B, C, H, W, 6] in the world, as :class:`gsplat_core.render.rays.Rays` has them, from those in the
    axes of cameras [B, C, H, W, 3 or 6] and what `Exposure` has of these."""
    height, width = of_cameras.shape[-3:-1]
    turn, way, times = motion.double().split(3, dim=-1)
    along_x, along_y, begin = times.detach().unbind(-1)
    pose = viewmats.double()[..., None, :, :]
    centre = _centre(pose[..., :3, :3], pose[..., :3, 3])

    def lines(count: int, along: Tensor) -> tuple[Tensor, Tensor]:
        """[B, C, lines, 3, 3] camera to world, and [B, C, lines, 3] where the camera is, from the middle."""
        steps = torch.arange(count, dtype=torch.float64, device=motion.device)
        time = (along[..., None] * steps + begin[..., None]).clamp(0, 1)[..., None] - 0.5
        rotation = _product(rotation_of_vector(time * turn[..., None, :]), pose[..., :3, :3])
        begins = _centre(rotation, pose[..., :3, 3] + time * way[..., None, :]) - centre
        return rotation.mT.to(of_cameras.dtype), begins.to(of_cameras.dtype)

    # Either all rows or all columns are exposed at once.
    by_columns, by_rows = lines(width, along_x), lines(height, along_y)
    of_columns = (along_x != 0)[..., None, None, None]

    def of_pixels(rays: Tensor) -> Tensor:
        across, down = (
            turned(by_columns[0][..., None, :, :, :], rays),
            turned(by_rows[0][..., None, :, :], rays),
        )
        return torch.where(of_columns, across, down)

    origins = torch.where(of_columns, by_columns[1][..., None, :, :], by_rows[1][..., :, None, :])
    if of_cameras.shape[-1] == 6:
        origins = origins + of_pixels(of_cameras[..., 3:])
    directions = of_pixels(of_cameras[..., :3])
    return torch.cat([directions, origins.expand(directions.shape)], dim=-1)


def turned(matrices: Tensor, vectors: Tensor) -> Tensor:
    """[..., 3, 3] times [..., 3], rounded alike whatever the shapes are, and for so small ones faster than a
    batched product."""
    x, y, z = (vectors[..., i : i + 1] for i in range(3))
    return matrices[..., 0] * x + matrices[..., 1] * y + matrices[..., 2] * z


def _centre(rotation: Tensor, translation: Tensor) -> Tensor:
    return -_product(rotation.mT, translation[..., None])[..., 0]


def _product(a: Tensor, b: Tensor) -> Tensor:
    """a @ b, always summed up in the same order: R R^T is symmetric to the last bit."""
    return (a[..., :, :, None] * b[..., None, :, :]).sum(-2)


def rotation_vector(rotation: Tensor) -> Tensor:
    """[..., 3] the axis times the angle, at most pi, of rotations [..., 3, 3]; zero for symmetric ones."""
    skew = rotation - rotation.mT
    v = torch.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], dim=-1) / 2
    square = v.square().sum(-1, keepdim=True)
    small = square < 1e-6
    sine = torch.where(small, 1.0, square).sqrt()
    cosine = (rotation.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True) - 1) / 2
    angle = torch.atan2(sine, cosine)
    return v * torch.where(small, 1 + square / 6 + 0.075 * square.square(), angle / sine)


def rotation_of_vector(vector: Tensor) -> Tensor:
    """[..., 3, 3] the rotations by vectors [..., 3] (Rodrigues' formula); the identity for zero."""
    square = vector.square().sum(-1)[..., None, None]
    small = square < 1e-4
    angle = torch.where(small, 1.0, square).sqrt()
    sine = torch.where(small, 1 - square / 6 + square.square() / 120, angle.sin() / angle)
    cosine = torch.where(small, 0.5 - square / 24 + square.square() / 720, (1 - angle.cos()) / angle.square())
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    across = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    identity = torch.eye(3, dtype=vector.dtype, device=vector.device)
    return identity + sine * across + cosine * _product(across, across)
