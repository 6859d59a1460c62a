"""Flat Gaussians, by the equations of Huang et al., "2D Gaussian Splatting for Geometrically Accurate
Radiance Fields" (2024): every surfel meets every pixel."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core.reference.blending import MIN_ALPHA
from gsplat_core.reference.compositors import over
from gsplat_core.reference.gaussians import roots
from gsplat_core.reference.harmonics import view_dependent
from gsplat_core.reference.orders import by_depth, swappable

CUTOFF = 3.0  # standard deviations, of the box whose middle the filter is around
DISTORTION_NEAR, DISTORTION_FAR = 0.2, 100.0


class Surfaces(NamedTuple):
    """[C, H, W, ...]: colours, alphas, normals blended in world space, sums of weighted depths, distortions,
    median depths, and where float32 may decide otherwise."""

    colors: Tensor
    alphas: Tensor
    normals: Tensor
    depths: Tensor
    distortions: Tensor
    medians: Tensor
    ambiguous: Tensor


def surfaces(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    sh_degree: int | None = None,
    backgrounds: Tensor | None = None,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    max_alpha: float = 0.99,
    band: float = 1e-3,
) -> Surfaces:
    """Like :func:`gsplat_core.reference.rasterization`, of surfels and without batch dimensions."""
    means, opacities, colors, viewmats, Ks = (t.double() for t in (means, opacities, colors, viewmats, Ks))
    root = roots(quats, torch.cat([scales[..., :2], torch.ones_like(scales[..., :1])], -1), None)
    images = []
    for c in range(len(viewmats)):
        seen = colors
        doubtful = torch.zeros(len(means), dtype=torch.bool)
        if sh_degree is not None:
            everything = torch.ones(1, 1, len(means), dtype=torch.bool)
            camera = viewmats[c : c + 1, None]
            evaluated, black = view_dependent(
                colors[None, None], means[None, None], camera, everything, sh_degree, band
            )
            seen, doubtful = evaluated[0, 0], black[0, 0]
        behind = None if backgrounds is None else backgrounds[c].double()
        images.append(
            _image(
                means, root, opacities, seen, doubtful, viewmats[c], Ks[c], width, height,
                behind, near_plane, far_plane, max_alpha, band,
            )
        )  # fmt: skip
    return Surfaces(*(torch.stack(parts) for parts in zip(*images, strict=True)))


STEEP = 5.0  # per pixel: float32 knows where a pixel is to 1e-5 or so


def steepness(T: Tensor, k: Tensor, l: Tensor, met: Tensor, s: Tensor, t: Tensor) -> Tensor:  # noqa: E741
    """[V, P] by how much (s^2 + t^2) / 2 changes per pixel, no gradient: of discs seen from the side."""
    with torch.no_grad():
        rows = T[:, None, 2].expand_as(k)
        moved = [torch.linalg.cross(rows, l), torch.linalg.cross(k, rows)]
        deep = torch.where(met[..., 2] != 0, met[..., 2], 1.0)
        slopes = [(s * (m[..., 0] - s * m[..., 2]) + t * (m[..., 1] - t * m[..., 2])) / deep for m in moved]
        return torch.stack(slopes).norm(dim=0)


def middle_of_box(T: Tensor) -> Tensor:
    """[N, 2] of transformations T [N, 3, 3] from the tangent plane to the image: supplement, equation 9."""
    f = T.new_tensor([CUTOFF**2, CUTOFF**2, -1.0])
    size = (f * T[:, 2] ** 2).sum(-1, keepdim=True)
    middle = (f * T[:, :2] * T[:, 2:]).sum(-1) / size
    return torch.where(
        size < 0, middle, T[:, :2, 2] / T[:, 2:, 2]
    )  # some of it behind the camera: the centre


def _image(
    means: Tensor,
    root: Tensor,
    opacities: Tensor,
    colors: Tensor,
    doubtful: Tensor,
    viewmat: Tensor,
    K: Tensor,
    width: int,
    height: int,
    background: Tensor | None,
    near: float,
    far: float,
    max_alpha: float,
    band: float,
) -> tuple[Tensor, ...]:
    turn = viewmat[:3, :3]
    centres = means @ turn.T + viewmat[:3, 3]
    listed = by_depth(centres[:, 2], (centres[:, 2] > near) & (centres[:, 2] < far) & (opacities > MIN_ALPHA))
    centres, opacities, colors, doubtful = (t[listed] for t in (centres, opacities, colors, doubtful))
    axes = turn @ root[listed]  # in the camera; the last one is the normal
    T = K @ torch.cat([axes[..., :2], centres[..., None]], dim=-1)
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    pixels = torch.stack([x.flatten(), y.flatten()], -1).double()

    # Equations 8 to 10: the planes of a pixel's column and row in the tangent plane, and where they meet.
    k = pixels[:, 0, None] * T[:, None, 2] - T[:, None, 0]  # [V, P, 3]
    l = pixels[:, 1, None] * T[:, None, 2] - T[:, None, 1]  # noqa: E741
    met = torch.linalg.cross(k, l)
    crosses = met[..., 2] != 0
    s, t = (met[..., i] / torch.where(crosses, met[..., 2], 1.0) for i in (0, 1))
    depth = s * T[:, None, 2, 0] + t * T[:, None, 2, 1] + T[:, None, 2, 2]
    of_disc = s**2 + t**2
    of_filter = 2 * (pixels - middle_of_box(T)[:, None]).square().sum(-1)  # equation 11
    faded = opacities[:, None] * torch.exp(-torch.minimum(of_disc, of_filter) / 2)
    hit = crosses & (depth >= near)
    alphas = torch.where(hit & (faded >= MIN_ALPHA), faded.clamp(max=max_alpha), 0.0)
    weights, near_finish = over(alphas, band)

    def blended(values: Tensor) -> Tensor:
        return weights.T @ values

    image, alpha = blended(colors), weights.sum(0)[:, None]
    if background is not None:
        image = image + (1 - alpha) * background
    normal = torch.nn.functional.normalize(root[listed][..., 2], dim=-1)
    facing = (axes[..., 2] * centres).sum(-1, keepdim=True).detach()
    normals = blended(torch.where(facing > 0, -normal, normal))
    seen = weights > 0
    depth = torch.where(seen, depth, 1.0)
    depths = (weights * depth).sum(0)[:, None]
    m = DISTORTION_FAR / (DISTORTION_FAR - DISTORTION_NEAR) * (1 - DISTORTION_NEAR / depth)
    before = torch.cumsum(weights, 0) - weights
    moment1 = torch.cumsum(weights * m, 0) - weights * m
    moment2 = torch.cumsum(weights * m**2, 0) - weights * m**2
    distortions = (weights * (m**2 * before + moment2 - 2 * m * moment1)).sum(0)[:, None]
    through = torch.cumprod(1 - alphas, 0)
    through = torch.cat([torch.ones_like(through[:1]), through[:-1]])
    candidates = seen & (through > 0.5)
    last = torch.where(candidates, torch.arange(1, len(listed) + 1)[:, None], 0)
    found = last.max(0).values if len(listed) else torch.zeros(len(pixels), dtype=torch.int64)
    rows = (found - 1).clamp(min=0)
    medians = torch.zeros(len(pixels)).double()
    if len(listed):
        medians = torch.where(found > 0, depth.gather(0, rows[None])[0], 0.0)

    touched = faded > MIN_ALPHA * (1 - band)
    ambiguous = near_finish | ((faded / MIN_ALPHA - 1).abs() < band) | ((faded / max_alpha - 1).abs() < band)
    ambiguous |= touched & (crosses & ((depth / near - 1).abs() < band))
    ambiguous |= touched & ((of_disc / of_filter - 1).abs() < 1e-4)
    ambiguous |= seen & ((through - 0.5).abs() < 1e-4)
    ambiguous |= (of_disc < of_filter) & (faded * steepness(T, k, l, met, s, t) > STEEP)
    edge_on = facing.abs() < 1e-4 * centres.norm(dim=-1, keepdim=True)
    ambiguous |= touched & (doubtful[:, None] | edge_on) | swappable(centres[:, 2], touched)
    shape = (height, width, -1)
    images = (image, alpha, normals, depths, distortions, medians[:, None])
    return (*(t.reshape(shape) for t in images), ambiguous.any(0).reshape(height, width))
