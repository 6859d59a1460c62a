"""One Gaussian for each pixel, or block of pixels, of a few photographs, somewhere on its ray.

What CoherentGS (Paliwal et al. 2024) starts with where photographs are too few for a scene to grow out of
sparse points: everything that is seen has a Gaussian of its colour, and only how far away it is remains
open.

What no photograph shows, another view looks into: beside what is near, and beyond the borders. So behind each
photograph there is a coarse copy of it, larger than itself and of the colours of what is far there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from gsplat_core.scene.cameras import Matrix
from gsplat_core.scene.dataset import View
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import sh0_of
from gsplat_core.scene.optics import optics_of

# Opaque enough to be seen, transparent enough that gradients reach what is behind: the more photographs,
# the more layers lie on each other. Of CoherentGS, for 2, 3 and 4 photographs.
_OPACITIES = {1: 0.8, 2: 0.6, 3: 0.5}
_OPACITY = 0.35
# The copy: so many times coarser, beyond each border by such a share of the photograph, and farther by
# this factor.
_COARSER = 8
_MARGIN = 0.25
_FARTHER = 1.1
_BEHIND_OPACITY = 0.9
_BEHIND_RADIUS = 1.5  # of that of others
# How much more what is far counts in its colours and depths: by this power of the depth.
_PREFERENCE = 16
# Of blocks that are masked out in part, those count of which at least so much is kept.
_KEPT = 0.5


@dataclass(frozen=True, eq=False)
class PixelRays:
    """The rays of blocks of pixels of all photographs, one photograph after the other; of each those of the
    photograph itself come first, then those of its coarse copy.

    Attributes:
        counts: of rays, for each photograph; `fine`: of those of it itself.
        places: [N, 2] where in the photograph, from 0 to 1 along its width and its height.
        origins: [N, 3] where they begin.
        directions: [N, 3], each as long as to have the depth 1.
        widths: [N] how far neighbouring rays are apart at the depth 1.
        spacing: how many pixels a block of the photograph itself is wide and high.
    """

    counts: list[int]
    fine: list[int]
    places: Tensor
    origins: Tensor
    directions: Tensor
    widths: Tensor
    spacing: int

    def __len__(self) -> int:
        return len(self.places)

    def at(self, depths: Tensor) -> Tensor:
        """[N, 3] the places at depths [N] along the rays."""
        return self.origins + depths[:, None] * self.directions

    def depths(self, places: Tensor) -> Tensor:
        """[N] how deep on their rays places [N, 3] are; of those beside them, the nearest ones on them."""
        along = ((places - self.origins) * self.directions).sum(dim=1)
        return along / self.directions.square().sum(dim=1)

    def to(self, device: torch.device) -> PixelRays:
        return replace(
            self,
            places=self.places.to(device),
            origins=self.origins.to(device),
            directions=self.directions.to(device),
            widths=self.widths.to(device),
        )


def blocks(views: Sequence[View], spacing: int) -> int:
    """How many rays photographs have, at most."""
    return sum(len(middles) for view in views for middles in _middles(view, spacing))


def spacing_for(views: Sequence[View], most: int) -> int:
    """The least side of blocks with which there are at most so many rays, or one for each photograph."""
    spacing, largest = 1, max(max(view.camera.width, view.camera.height) for view in views)
    while blocks(views, spacing) > most and spacing < largest:
        spacing += 1
    return spacing


def pixel_rays(views: Sequence[View], spacing: int) -> PixelRays:
    """The rays of all blocks of pixels that are not masked out and see something."""
    parts = []
    for view in views:
        fine, coarse = _middles(view, spacing)
        kept = _pooled(_kept(view)[None], spacing)[0].flatten() >= _KEPT
        parts.append(_rays(view, fine[kept.numpy()], spacing))
        parts.append(_rays(view, coarse, _COARSER * spacing, _BEHIND_RADIUS))
    own = [len(part[0]) for part in parts[::2]]
    counts = [a + len(part[0]) for a, part in zip(own, parts[1::2], strict=True)]
    columns = [np.concatenate([part[k] for part in parts]).astype(np.float32, "C") for k in range(4)]
    places, origins, directions, widths = map(torch.from_numpy, columns)
    return PixelRays(counts, own, places, origins, directions, widths, spacing)


def pixel_aligned(
    rays: PixelRays,
    views: Sequence[View],
    inverse: Sequence[Tensor],
    sh_degree: int = 3,
    radius: float = 0.5,
) -> Gaussians:
    """A Gaussian on each ray, isotropic and without view dependence.

    Args:
        inverse: the inverse depths of each view, [H, W] of an image of any size of its shape.
        radius: the standard deviation of a Gaussian, in distances between neighbouring rays.
    """
    num, opaque = len(rays), _OPACITIES.get(len(views), _OPACITY)
    depths, colors, opacities = [], [], []
    for number, (view, places) in enumerate(zip(views, rays.places.split(rays.counts), strict=True)):
        own, behind = places[: rays.fine[number]], places[rays.fine[number] :]
        deep = 1 / inverse[number]
        far_deep, far_color = _behind(view, deep, rays.spacing)
        depths += [_at(deep, own), _FARTHER * _at(far_deep, behind)]
        colors += [_at(_colors(view, rays.spacing), own), _at(far_color, behind)]
        opacities += [torch.full((len(own),), opaque), torch.full((len(behind),), _BEHIND_OPACITY)]
    found = torch.cat(depths)
    quats = torch.zeros(num, 4)
    quats[:, 0] = 1
    return Gaussians(
        means=rays.at(found),
        quats=quats,
        scales=(radius * rays.widths * found).log()[:, None].repeat(1, 3),
        opacities=torch.cat(opacities).logit(),
        sh0=sh0_of(torch.cat(colors))[:, None, :].contiguous(),
        shN=torch.zeros(num, (sh_degree + 1) ** 2 - 1, 3),
    )


def _middles(view: View, spacing: int) -> tuple[Matrix, Matrix]:
    """[M, 2] of the blocks of a photograph, and of the larger ones of its copy, in pixels."""
    size = np.array([view.camera.width, view.camera.height])
    columns, rows = -(-size // spacing)
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    corners = spacing * np.stack([x.ravel(), y.ravel()], axis=1)
    coarse = _COARSER * spacing
    across, down = (np.arange(-_MARGIN * side, (1 + _MARGIN) * side, coarse) + coarse / 2 for side in size)
    x, y = np.meshgrid(across, down)
    return (corners + np.minimum(corners + spacing, size)) / 2, np.stack([x.ravel(), y.ravel()], axis=1)


def _rays(view: View, pixels: Matrix, spacing: int, wider: float = 1.0) -> list[Matrix]:
    """Places, origins, directions and widths of those of the pixels [M, 2] that see something."""
    camera, lens = view.camera, optics_of(view.camera)
    rays, beside = lens.rays(pixels), lens.rays(pixels + np.array([spacing, 0.0]))
    with np.errstate(invalid="ignore"):
        widths = np.linalg.norm(beside - rays, axis=1)
    lit = np.isfinite(rays).all(axis=1) & np.isfinite(widths)
    turned = rays[lit] @ camera.viewmat[:3, :3]
    origins = np.broadcast_to(camera.center, turned.shape)
    return [pixels[lit] / (camera.width, camera.height), origins, turned, wider * widths[lit]]


def _kept(view: View) -> Tensor:
    """[H, W] 1 where a photograph is not masked out."""
    mask = view.mask()
    return torch.ones(view.camera.height, view.camera.width) if mask is None else mask.float()


def _pooled(planes: Tensor, side: int) -> Tensor:
    """[K, rows, columns] the means over blocks."""
    return avg_pool2d(planes[None], side, ceil_mode=True)[0]


def _colors(view: View, spacing: int) -> Tensor:
    """[rows, columns, 3] the mean colours of blocks, of what is not masked out."""
    image = _pooled(view.image().permute(2, 0, 1).float() / 255, spacing)
    share = _pooled(_kept(view)[None], spacing)
    return (image / share.clamp(min=1e-6)).permute(1, 2, 0)


def _behind(view: View, depths: Tensor, spacing: int) -> tuple[Tensor, Tensor]:
    """How deep [H, W] what is far around a pixel is, and which colour [H, W, 3] it has."""
    height, width = depths.shape
    colors = _pooled(view.image().permute(2, 0, 1).float() / 255, max(spacing, 1))[None]
    colors = interpolate(colors, (height, width), mode="bilinear")[0]
    kept = interpolate(_kept(view)[None, None], (height, width), mode="area")[0]
    counts = (depths / depths.max()).pow(_PREFERENCE).clamp(min=1e-12) * kept.clamp(min=1e-6)
    side = 2 * round(_COARSER * spacing * width / view.camera.width) + 1
    pooled = avg_pool2d(
        torch.cat([counts, counts * depths, counts * colors])[None],
        side,
        1,
        side // 2,
        count_include_pad=False,
    )[0]
    values = pooled[1:] / pooled[:1]
    return values[0], values[1:].permute(1, 2, 0)


def _at(values: Tensor, places: Tensor) -> Tensor:
    """[M, ...] the numbers of an image [H, W, ...] at places [M, 2], those at its border beyond it."""
    size = torch.tensor([values.shape[1], values.shape[0]])
    cell = (places * size).floor().long().clamp(min=0).minimum(size - 1)
    return values[cell[:, 1], cell[:, 0]]
