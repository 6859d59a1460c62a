"""Depths of a few photographs by a plane sweep: for each pixel, the depth at which the other photographs
look most like its surroundings (Collins 1996, with the normalised correlation that multi-view stereo
compares by).

Planes are evenly spaced in inverse depth, in which steps are steps of pixels. Believed is what stands out
among the planes and what another photograph, swept by itself, agrees with; the rest is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

from gsplat_core.scene.cameras import Camera, Matrix
from gsplat_core.scene.optics import optics_of

PLANES = 96
# Sides of the windows that are compared, in pixels: the small ones are exact, the large ones sure.
_WINDOWS = (3, 7, 13)
# Photographs that look at a place from directions that differ by more look too different.
_WIDEST = np.radians(50.0)
_MOST_SOURCES = 4
# Correlations are believed above this, if no plane but the neighbours comes as near to it as that.
_LIKE = 0.6
_STANDS_OUT = 0.03
_BESIDE = 3
# In planes: how well two photographs must agree on a place.
_AGREEMENT = 1.5
_FLAT = 1e-4


class Picture(NamedTuple):
    """A photograph to sweep: its camera, of the image's size; `image` [H, W, 3] float32 in [0, 1]; and the
    least and the largest inverse depth of what it may show."""

    camera: Camera
    image: Tensor
    least: float
    most: float


def plane_sweep(pictures: Sequence[Picture]) -> list[Tensor]:
    """For each picture [H, W] float32 the inverse depths of its pixels; NaN where they are not believed.

    With a single photograph nothing is.
    """
    found = [_swept(number, pictures) for number in range(len(pictures))]
    return [_confirmed(number, pictures, found) for number in range(len(pictures))]


def _swept(number: int, pictures: Sequence[Picture]) -> Tensor:
    picture = pictures[number]
    height, width = picture.image.shape[:2]
    sources = _sources(number, pictures)
    if not sources:
        return torch.full((height, width), torch.nan)
    grey = picture.image.mean(dim=-1)
    planes = np.linspace(picture.least, picture.most, PLANES)
    rays = _rays(picture.camera)
    alike = torch.stack([_likeness(grey, rays, planes, picture.camera, pictures[j]) for j in sources])
    # What hides from some is seen by others.
    better = alike.sort(dim=0, descending=True).values[: (len(sources) + 1) // 2]
    return _best(better.mean(dim=0), planes)


def _sources(number: int, pictures: Sequence[Picture]) -> list[int]:
    """The photographs that look at what this one shows in the middle, from the side but not from too far
    aside; those from a direction of about 10 degrees first."""
    here = pictures[number]
    middle = np.array([[here.camera.width / 2, here.camera.height / 2]])
    ray = _finite(optics_of(here.camera).rays(middle))[0]
    depth = 2 / (here.least + here.most)
    place = here.camera.center + here.camera.viewmat[:3, :3].T @ (ray * depth)
    ranked = []
    for j, there in enumerate(pictures):
        a, b = place - here.camera.center, place - there.camera.center
        if j == number or not np.any(here.camera.center != there.camera.center):
            continue
        angle = np.arccos(np.clip(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-30), -1, 1))
        if 0 < angle < _WIDEST:
            ranked.append((abs(np.log(angle / np.radians(10.0))), j))
    return [j for _, j in sorted(ranked)[:_MOST_SOURCES]]


def _rays(camera: Camera) -> Matrix:
    """[H * W, 3] of the pixels' middles, of depth 1."""
    x, y = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    return optics_of(camera).rays(np.stack([x.ravel(), y.ravel()], axis=1))


def _finite(values: Matrix) -> Matrix:
    return np.where(np.isfinite(values), values, 0.0)


def _likeness(grey: Tensor, rays: Matrix, planes: Matrix, camera: Camera, source: Picture) -> Tensor:
    """[planes, H, W] the correlation with a source in [-1, 1], the mean over windows; -1 where that does
    not look."""
    height, width = grey.shape
    relative = source.camera.viewmat @ np.linalg.inv(camera.viewmat)
    other = optics_of(source.camera)
    turned = rays @ relative[:3, :3].T
    grids = []
    for q in planes:
        pixels = other.pixels(turned + q * relative[:3, 3])  # (ray / q turned and moved) times q
        unit = 2 * pixels / (source.camera.width, source.camera.height) - 1
        grids.append(np.where(np.isfinite(unit), unit, 9.0))
    grid = torch.from_numpy(np.stack(grids).astype(np.float32)).view(len(planes), height, width, 2)
    there = source.image.mean(dim=-1).expand(len(planes), 1, -1, -1)
    warped = grid_sample(there, grid, padding_mode="border", align_corners=False)[:, 0]
    inside = (grid.abs() <= 1).all(dim=-1)
    alike = torch.stack([_correlation(grey, warped, side) for side in _WINDOWS]).mean(dim=0)
    return alike.where(inside, -1.0)


def _correlation(a: Tensor, b: Tensor, side: int) -> Tensor:
    """[D, H, W] of a [H, W] with each of b [D, H, W] in windows around each pixel."""

    def mean(values: Tensor) -> Tensor:
        for window in ((side, 1), (1, side)):
            half = (window[0] // 2, window[1] // 2)
            values = avg_pool2d(values, window, 1, half, count_include_pad=False)
        return values

    a = a[None]
    mean_a, mean_b = mean(a), mean(b)
    spread_a = (mean(a * a) - mean_a**2).clamp(min=0)
    spread_b = (mean(b * b) - mean_b**2).clamp(min=0)
    return (mean(a * b) - mean_a * mean_b) / (spread_a * spread_b + _FLAT**2).sqrt().clamp(min=_FLAT)


def _best(alike: Tensor, planes: Matrix) -> Tensor:
    """[H, W] inverse depths where a plane stands out, between planes by a parabola; NaN elsewhere."""
    count = len(planes)
    top, plane = alike.max(dim=0)
    near = (torch.arange(count)[:, None, None] - plane).abs() <= _BESIDE
    second = alike.masked_fill(near, -1.0).amax(dim=0)
    inner = plane.clamp(1, count - 2)
    before, at, after = (alike.gather(0, (inner + k)[None])[0] for k in (-1, 0, 1))
    bend = (2 * at - before - after).clamp(min=1e-6)
    shift = ((after - before) / (2 * bend)).clamp(-0.5, 0.5)
    step = (planes[-1] - planes[0]) / (count - 1)
    q = planes[0] + step * (inner + shift)
    # At the ends, where it may lie beyond, it is not known.
    sure = (top > _LIKE) & (top - second > _STANDS_OUT) & (plane == inner)
    return q.float().where(sure, torch.nan)


def _confirmed(number: int, pictures: Sequence[Picture], found: Sequence[Tensor]) -> Tensor:
    """Those inverse depths that another photograph's agree with."""
    here, q = pictures[number], found[number]
    flat = q.flatten()
    rows = flat.isfinite().nonzero()[:, 0].numpy()
    own = flat.double().numpy()[rows]
    places = (_rays(here.camera)[rows] / own[:, None] - here.camera.viewmat[:3, 3]) @ here.camera.viewmat[
        :3, :3
    ]
    agreed = np.zeros(len(rows), bool)
    for j, there in enumerate(pictures):
        if j == number:
            continue
        local = places @ there.camera.viewmat[:3, :3].T + there.camera.viewmat[:3, 3]
        lens = optics_of(there.camera)
        depths, pixels = lens.depths(local), _finite(lens.pixels(local))
        inside = (
            (depths > 0)
            & (pixels > 0).all(axis=1)
            & (pixels < (there.camera.width, there.camera.height)).all(axis=1)
        )
        cell = pixels[inside].astype(np.int64)
        theirs = found[j].double().numpy()[cell[:, 1], cell[:, 0]]
        apart = (there.most - there.least) / (PLANES - 1) * _AGREEMENT
        with np.errstate(invalid="ignore"):
            agreed[inside] |= np.abs(theirs - 1 / depths[inside]) <= apart
    result = torch.full_like(flat, torch.nan)
    result[rows[agreed]] = flat[rows[agreed]]
    return result.view_as(q)
