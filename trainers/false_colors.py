"""What pictures of a scene can show: its colours, or something else in false ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from gsplat_core.render.outputs import Outputs
from gsplat_core.render.scene import render
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians
from trainers.evaluation import backdrop, picture
from trainers.parts.part import Picture

Drawing = Callable[[Camera], Picture]
"""Makes the picture of one camera."""

# From how many cameras the range of depths is known, and what shares of their pixels are nearer and farther.
_LOOKS = 8
_OUTER = 0.01
_DEPTH = Outputs(colors=False, depth="expected")


def in_colors(gaussians: Gaussians, cameras: Sequence[Camera], background: str) -> Drawing:
    """The scene as it is."""
    del cameras
    return partial(picture, gaussians, background=background)


@torch.no_grad()
def depths_in_colors(gaussians: Gaussians, cameras: Sequence[Camera], background: str) -> Drawing:
    """The expected depth, from blue (near) to red (far), by one scale for all of these cameras."""
    near, far = _range_of_depths(gaussians, cameras[:: max(1, len(cameras) // _LOOKS)])
    colors = _turbo().to(gaussians.device)

    def draw(camera: Camera) -> Picture:
        drawn = render(gaussians, camera, outputs=_DEPTH)
        share = ((drawn.depths - near) / (far - near)).clamp(0, 1)
        return _before(colors[(255 * share).round().long()], drawn.alphas, gaussians, background)

    return torch.no_grad()(draw)


def normals_in_colors(gaussians: Gaussians, cameras: Sequence[Camera], background: str) -> Drawing:
    """Directions as red, green and blue: to the right, upward, and to the camera are bright."""
    del cameras

    def draw(camera: Camera) -> Picture:
        drawn = render(gaussians, camera, outputs=Outputs(colors=False, further=("normals",)))
        turn = torch.as_tensor(camera.viewmat[:3, :3], dtype=torch.float32, device=gaussians.device)
        normals = drawn.meta["normals"] @ turn.T * torch.tensor([1.0, -1.0, -1.0], device=gaussians.device)
        normals = normals / normals.norm(dim=-1, keepdim=True).clamp(min=1e-12)
        return _before(0.5 + 0.5 * normals, drawn.alphas, gaussians, background)

    return torch.no_grad()(draw)


def _before(colors: Tensor, alphas: Tensor, gaussians: Gaussians, background: str) -> Picture:
    behind = backdrop(background, gaussians.device)
    image = colors * alphas
    return Picture(image if behind is None else image + (1 - alphas) * behind, alphas, behind)


def _range_of_depths(gaussians: Gaussians, cameras: Sequence[Camera]) -> tuple[float, float]:
    depths = []
    for camera in cameras:
        drawn = render(gaussians, camera, outputs=_DEPTH)
        depths.append(drawn.depths[0][drawn.alphas[0, ..., 0] > 0.5].flatten()[::16])
    seen = torch.cat(depths)
    if not len(seen):
        return 0.0, 1.0
    order, last = seen.sort().values, len(seen) - 1
    near, far = float(order[round(_OUTER * last)]), float(order[round((1 - _OUTER) * last)])
    return near, max(far, near * (1 + 1e-6) + 1e-12)


def _turbo() -> Tensor:
    """[256, 3]"""
    from matplotlib import colormaps

    return torch.tensor(colormaps["turbo"](range(256))[:, :3], dtype=torch.float32)


DRAWINGS = {"color": in_colors, "depth": depths_in_colors, "normal": normals_in_colors}
"""By the name that `render --what` has for it."""
