"""Depth along the rays of the pixels: how far away, in scene units, what a pixel shows is from where its ray
begins.

A response on the screen knows one depth of a splat, that of its centre, and so does each of its pixels: the
splat lies in the surface of that depth, a plane parallel to the image or, for cameras that go by the
distance, a sphere around the camera. The ray of a pixel is as much longer than the depth whatever the splat,
so distances are depths, blended as always, times the lengths of rays.

A response along rays sees a Gaussian where the ray comes nearest to its centre. That is another number for
each pair of a pixel and a Gaussian, which no colour can say, so they are looked up: one pass of the kernels
tells which Gaussians a pixel blends and in which order, and weights and distances of these are computed again
here, differentiably. It is made of PyTorch's operators and takes 20 to 50 times as long as colours do
(`tools/bench_outputs.py`): for measuring and for few rays, not for every step of a training.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from gsplat_core.render.inputs import Inputs
from gsplat_core.render.lists import Listed
from gsplat_core.render.rays import rays_of_cameras
from gsplat_core.render.settings import RenderSettings
from gsplat_core.render.stages import sightings

_PAIRS = 2**16
"""Of pixels and Gaussians, looked at at a time: so few that what is computed of them stays in the cache."""


def lengths_of_rays(inputs: Inputs, width: int, height: int) -> Tensor:
    """[B, C, H, W, 1]: how long rays are at the depth 1; zero for pixels without a ray."""
    rays = rays_of_cameras(inputs.camera, inputs.Ks, inputs.lens, width, height)[..., :3]
    some = rays.detach().any(-1, keepdim=True)
    return torch.where(some, torch.where(some, rays, 1.0).norm(dim=-1, keepdim=True), 0.0)


def distances_along_rays(
    inputs: Inputs, drawn: Listed, width: int, height: int, settings: RenderSettings
) -> Tensor:
    """[B, C, H, W, 1]: distances to where rays come nearest to Gaussians, summed with the blending weights of
    a response along rays.

    Raises:
        NotImplementedError: the response is not known here.
    """
    if inputs.response not in FALLS:
        raise NotImplementedError(
            f"there are no distances along rays of the response {inputs.response!r}, only of "
            f"{', '.join(map(repr, FALLS))}"
        )
    assert drawn.rays is not None
    along: dict[str, Any] = {"response": inputs.response, "extras": drawn.extras, "rays": drawn.rays}
    lists = (drawn.splats, drawn.tiles, width, height, settings)
    seen = sightings(*lists, counts=True, **along)
    assert seen.counts is not None
    most = int(seen.counts.max()) if seen.counts.numel() else 0
    flat = seen.counts.new_zeros(seen.counts.numel(), dtype=drawn.splats.opacities.dtype)
    if most == 0:
        return flat.reshape(*seen.counts.shape, 1)
    ids = sightings(*lists, top=most, **along).top_ids
    assert ids is not None
    ids = ids.flatten(0, 3)  # [pixels of all images, most]
    firsts = drawn.splats.depths.shape[-1] * (
        torch.arange(len(ids), device=ids.device) // max(width * height, 1)
    )

    # Pixels with about as many Gaussians together, so that little is looked at in vain.
    counts = seen.counts.flatten().long()
    order = counts.argsort(descending=True, stable=True)
    order = order[: int((counts > 0).sum())]
    tensors = [
        drawn.rays.rays.flatten(0, 3),
        drawn.rays.canonical.flatten(0, 2).T.contiguous(),
        drawn.splats.opacities.flatten(),
        None if drawn.extras is None else drawn.extras.flatten(0, 2),
    ]
    found, begin = [], 0
    while begin < len(order):
        longest = int(counts[order[begin]])
        some = order[begin : begin + max(_PAIRS // longest, 1)]
        begin += len(some)
        arguments = (ids[some, :longest], *tensors)
        in_vain = torch._C._are_functorch_transforms_active() or not torch.is_grad_enabled()
        function = _blended(FALLS[inputs.response], settings.max_alpha, some, firsts[some])
        found.append(
            function(*arguments) if in_vain else checkpoint(function, *arguments, use_reentrant=False)
        )
    return flat.index_copy(0, order, torch.cat(found)).reshape(*seen.counts.shape, 1)


def _blended(
    fall: Callable[[Tensor, Tensor | None], Tensor], max_alpha: float, pixels: Tensor, firsts: Tensor
) -> Callable[..., Tensor]:
    """The function of Gaussians [P, K] of pixels [P], front to back and -1 behind the last, counted from the
    `firsts` of their images [P], and of all rays, frames, opacities and extras that gives distances [P]."""

    def blended(
        ids: Tensor, rays: Tensor, canonical: Tensor, opacities: Tensor, extras: Tensor | None
    ) -> Tensor:
        there = ids >= 0
        rows = ids.clamp(min=0).long() + firsts[:, None]
        own = rays[pixels]
        dx, dy, dz = torch.nn.functional.normalize(own[:, :3], dim=-1)[:, :, None].unbind(1)
        # Component by component: sums over three numbers that lie side by side take far longer.
        numbers = canonical.index_select(1, rows.flatten()).unflatten(1, rows.shape)
        w = numbers[:9].unflatten(0, (3, 3))
        dg = [row[0] * dx + row[1] * dy + row[2] * dz for row in w]
        og = [*numbers[9:]]
        if own.shape[-1] == 6:
            ox, oy, oz = own[:, 3:, None].unbind(1)
            og = [o + row[0] * ox + row[1] * oy + row[2] * oz for o, row in zip(og, w, strict=True)]
        square = (dg[0] * dg[0] + dg[1] * dg[1] + dg[2] * dg[2]).clamp(min=1e-37)
        tau = -(og[0] * dg[0] + og[1] * dg[1] + og[2] * dg[2]) / square
        # Like the kernels by a cross product: both terms of og + tau dg are as large as the camera is far.
        across = [dg[i - 2] * og[i - 1] - dg[i - 1] * og[i - 2] for i in range(3)]
        squared = (across[0] * across[0] + across[1] * across[1] + across[2] * across[2]) / square
        faded = opacities[rows] * (-fall(squared, None if extras is None else extras[rows])).exp()
        alphas = torch.where(there, torch.where(faded <= max_alpha, faded, max_alpha), 0.0)
        through = torch.cat([torch.ones_like(alphas[:, :1]), (1 - alphas[:, :-1])], dim=1).cumprod(1)
        return (alphas * through * torch.where(there, tau, 0.0)).sum(1)

    return blended


def _gaussian(squared: Tensor, extras: Tensor | None) -> Tensor:
    del extras
    return squared / 2


def _generalized(squared: Tensor, extras: Tensor | None) -> Tensor:
    assert extras is not None
    ninths = (squared / 9).clamp(1e-24, 1e4)
    return 4.5 * ninths ** (extras[..., 0].clamp(1.0, 8.0) / 2)


FALLS: dict[str, Callable[[Tensor, Tensor | None], Tensor]] = {
    "ray": _gaussian,
    "ray_generalized": _generalized,
}
"""By response, -ln(alpha / opacity) of the squared Mahalanobis distance and of its extras [..., E]."""
