"""The rays of the pixels, in the world, and Gaussians as rays see them.

A ray response (3D Gaussian Ray Tracing, Moenne-Loccoz et al. 2024) takes a Gaussian's opacity at a pixel from
where the pixel's ray comes nearest to it, and the order of each pixel's own (StopThePop, Radl et al. 2024) is
that of these places. Both look at the ray in the Gaussian's canonical frame, in which it is the standard
normal distribution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from gsplat_core.quaternions import rotation_matrices
from gsplat_core.render.inputs import Inputs, Windshield
from gsplat_core.render.settings import RenderSettings
from gsplat_core.render.shutter import rays_while_moving, turned
from gsplat_core.render.unprojection import UNPROJECTIONS
from gsplat_core.render.variants import EVERY_RESPONSE
from gsplat_core.render.windshield import rays_outside

if TYPE_CHECKING:
    from gsplat_core.render.stages import Splats


class Rays(NamedTuple):
    """What it takes to look at Gaussians along the rays of the pixels."""

    canonical: Tensor
    """[B, C, N, 12]: with an offset x in the world, W x in the Gaussian's frame, W row by row; then the
    camera's centre in the frame."""
    rays: Tensor
    """[B, C, H, W, 3 or 6]: directions in the world, of any length, zero where a pixel has no ray; and
    perhaps the origins minus the camera's centre."""

    def detached(self) -> Rays:
        """The same as constants."""
        return Rays(self.canonical.detach(), self.rays.detach())


def rays_of(inputs: Inputs, width: int, height: int, settings: RenderSettings) -> Rays | None:
    """What the response or the order, if it looks along rays, wants to know of them."""
    if EVERY_RESPONSE[inputs.response].along_rays:
        return _rays(inputs, width, height)
    if settings.order == "global":
        return None
    with torch.no_grad():  # an order is not differentiated
        return _rays(inputs.detached(), width, height)


def _rays(inputs: Inputs, width: int, height: int) -> Rays:
    return Rays(
        canonical_frames(inputs.means, inputs.quats, inputs.scales, inputs.covars, inputs.viewmats),
        pixel_rays(
            inputs.camera,
            inputs.viewmats,
            inputs.Ks,
            inputs.lens,
            width,
            height,
            inputs.motion,
            inputs.windshield,
        )
        if inputs.rays is None
        else rays_from(inputs.rays, inputs.viewmats),
    )


def rays_from(rays: Tensor, viewmats: Tensor) -> Tensor:
    """Origins and directions [B, C, H, W, 6] in the world, as `Rays.rays` has them."""
    centres = -(viewmats[..., :3, :3].mT @ viewmats[..., :3, 3:])[..., 0]
    return torch.cat([rays[..., 3:], rays[..., :3] - centres[..., None, None, :]], dim=-1)


def places_of(splats: Splats) -> Splats:
    """The splats with centres on which nothing depends: they only say where rays look for a Gaussian. What
    reaches them is the gradient that they would have if Gaussians followed them around the camera, for
    density control to read; it goes no further."""
    return splats._replace(means2d=_Place.apply(splats.means2d))


class _Place(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(means2d: Tensor) -> Tensor:
        return means2d.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> None:
        return None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        return torch.zeros_like(tangent)


def pixel_rays(
    camera: str,
    viewmats: Tensor,
    Ks: Tensor,
    lens: Tensor | None,
    width: int,
    height: int,
    motion: Tensor | None = None,
    windshield: Windshield | None = None,
) -> Tensor:
    """The rays through the pixels' centres, differentiable.

    Args:
        camera: the model of all cameras, one of :data:`gsplat_core.render.variants.CAMERAS`.
        viewmats, Ks: [B, C, 4, 4] world to camera and [B, C, 3, 3] in pixels.
        lens: [B, C, P] coefficients of the cameras beyond `Ks`, None where there are none.
        motion: [B, C, 9] of rolling shutters, :mod:`gsplat_core.render.shutter`, or None.
        windshield: a pane before the cameras, or None.

    Returns:
        [B, C, H, W, 3], or [B, C, H, W, 6] if they do not all begin at the camera's centre, as in `Rays`.

    Raises:
        NotImplementedError: the rays of this model are not known.
    """
    of_cameras = rays_of_cameras(camera, Ks, lens, width, height)
    if windshield is not None:
        of_cameras = rays_outside(windshield, of_cameras)
    if motion is not None:
        return rays_while_moving(of_cameras, viewmats, motion)
    parts = [of_cameras[..., :3], of_cameras[..., 3:]]
    to_world = viewmats[..., None, None, :3, :3].mT
    return torch.cat([turned(to_world, part) for part in parts if part.shape[-1]], dim=-1)


def rays_of_cameras(camera: str, Ks: Tensor, lens: Tensor | None, width: int, height: int) -> Tensor:
    """In the cameras' axes, as :data:`gsplat_core.render.unprojection.UNPROJECTIONS` has them. Those of
    cameras that are not trained are kept, as lenses take time.

    Raises:
        NotImplementedError: the rays of this model are not known.
    """
    if camera not in UNPROJECTIONS:
        raise NotImplementedError(f"the rays of the camera model {camera!r} are not known")
    numbers = [Ks] if lens is None else [Ks, lens]
    at_rest = lens is not None and not any(t.requires_grad or t.is_cuda for t in numbers)
    if at_rest and not (torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()):
        key = (camera, width, height, *(t.numpy().tobytes() for t in numbers))
        if key not in _kept:
            while len(_kept) >= _MOST_KEPT:
                del _kept[next(iter(_kept))]
            _kept[key] = _unprojected(camera, Ks, lens, width, height)
        return _kept[key]
    return _unprojected(camera, Ks, lens, width, height)


_kept: dict[tuple[object, ...], Tensor] = {}
_MOST_KEPT = 4  # lenses: captures have few


def _unprojected(camera: str, Ks: Tensor, lens: Tensor | None, width: int, height: int) -> Tensor:
    x = torch.arange(width, dtype=Ks.dtype, device=Ks.device) + 0.5
    y = torch.arange(height, dtype=Ks.dtype, device=Ks.device)[:, None] + 0.5
    fx, fy, cx, cy = (Ks[..., i, j, None, None] for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
    return UNPROJECTIONS[camera]((x - cx) / fx, (y - cy) / fy, lens)


def canonical_frames(
    means: Tensor, quats: Tensor | None, scales: Tensor | None, covars: Tensor | None, viewmats: Tensor
) -> Tensor:
    """`Rays.canonical` of Gaussians, differentiable. What is flat counts as :data:`LEAST_SCALE` thick.

    Args:
        means: [B, N, 3]; quats, scales: [B, N, 4] and [B, N, 3], or covars: [B, N, 6] instead.
        viewmats: [B, C, 4, 4] rigid, world to camera.
    """
    if covars is not None:
        xx, xy, xz, yy, yz, zz = covars.unbind(-1)
        sigma = torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], dim=-1).unflatten(-1, (3, 3))
        root, _ = torch.linalg.cholesky_ex(sigma)
        identity = torch.eye(3, dtype=sigma.dtype, device=sigma.device).expand_as(sigma)
        frames = torch.linalg.solve_triangular(root, identity, upper=False)
    else:
        assert quats is not None
        assert scales is not None
        frames = rotation_matrices(quats).mT / scales.clamp(min=LEAST_SCALE)[..., None]
    centres = -(viewmats[..., :3, :3].mT @ viewmats[..., :3, 3:])[..., 0]
    offsets = centres[:, :, None] - means[:, None]
    # Nobody sees a Gaussian whose place is not finite, but zero times that would be its gradient.
    offsets = torch.where(offsets.isfinite(), offsets, 0.0)
    seen = (frames[:, None] @ offsets[..., None])[..., 0]
    of_cameras = frames.flatten(-2)[:, None].expand(-1, centres.shape[1], -1, -1)
    return torch.cat([of_cameras, seen], dim=-1)


LEAST_SCALE = 1e-9
"""Scene units. Thinner Gaussians would have infinite frames."""
