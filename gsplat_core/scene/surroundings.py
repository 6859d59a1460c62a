"""Points to start from where the reconstruction has none: behind everything, and in gaps between its points.

Structure from motion finds no features in a sky, and matches none on leaves. Density control copies what is
there, so nothing grows in such places: a sky tears holes or becomes fog near the cameras, a forest stays a
smear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from gsplat_core.ops.neighbors import knn
from gsplat_core.scene.cameras import Matrix
from gsplat_core.scene.coverage import Coverage, has_gaps, has_sky
from gsplat_core.scene.dataset import Dataset, Points, View
from gsplat_core.scene.optics import optics_of
from gsplat_core.scene.scale import Rows, SceneScale, points_in_view

# Directions of the sky over the whole sphere: about 1.4 degrees apart.
_DIRECTIONS = 20_000
# The sky is so many times farther away than the cameras see, and than nearly all points are.
_SKY_DISTANCE = 20.0
_SKY_BEYOND_POINTS = 2.0
# Views that look at one place of the sky see one colour, to this standard deviation.
_SAME_COLOR = 0.15
# To this difference in every channel, the background is the sky.
_THERE_ALREADY = 0.03
# A gap takes its depth from the points around it: of so many, one that few of them are behind. What is too
# far hides nothing.
_NEIGHBORS = 12
_BEHIND = 0.75
_SAMPLE = 4000
# Points in a gap, per side of a cell and for each view before duplicates go.
_PER_SIDE = 3


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Added points and where they came from.

    Attributes:
        points: as those of the dataset.
        sky: how many of them, the first ones, stand behind everything.
    """

    points: Points
    sky: int


def surroundings(
    dataset: Dataset, sky: bool | None = None, gaps: bool | None = None, behind: int | None = None
) -> Surroundings:
    """Points behind everything and in gaps of the reconstruction.

    Args:
        dataset: with at least one point; all training photographs are read if any are added.
        sky, gaps: whether to add points of each kind; None: where many rays see no point.
        behind: the grey value, of 255, that is drawn behind the scene, if it is one; a sky of that colour is
            there already.
    """
    views, scale, points = dataset.train, dataset.scale, dataset.points.xyz.double().numpy()
    covered: list[Coverage] = []
    if sky is not False or gaps is not False:
        covered = [_kept(view, cover) for view, cover in zip(views, dataset.coverage, strict=True)]
    found = []
    if sky or (sky is None and has_sky(covered)):
        found.append(_sky(views, covered, points, scale, behind))
    in_sky = sum(len(part[0]) for part in found)
    if gaps or (gaps is None and has_gaps(covered)):
        found.append(_gaps(views, covered, scale, len(points)))
    places = np.concatenate([part[0] for part in found]) if found else np.zeros((0, 3))
    colors = np.concatenate([part[1] for part in found]) if found else np.zeros((0, 3))
    added = Points(torch.from_numpy(places.astype(np.float32)), torch.from_numpy(colors.astype(np.float32)))
    return Surroundings(added, in_sky)


def _sky(
    views: Sequence[View],
    covered: Sequence[Coverage],
    xyz: Matrix,
    scale: SceneScale,
    behind: int | None,
) -> tuple[Matrix, Matrix]:
    """Places on a sphere around the cameras that views see through open cells, in one colour."""
    far = float(np.quantile(np.linalg.norm(xyz - scale.center, axis=1), 0.99))
    radius = max(_SKY_DISTANCE * scale.length, _SKY_BEYOND_POINTS * far)
    places = scale.center + radius * _directions(_DIRECTIONS)
    seen, total, squares = np.zeros(len(places)), np.zeros((len(places), 3)), np.zeros((len(places), 3))
    visible = np.zeros(len(places))
    for view, cover in zip(views, covered, strict=True):
        rows, pixels, _ = points_in_view(view.camera, places)
        visible[rows] += 1
        cell = (pixels / cover.side).astype(np.int64)
        through = cover.open[cell[:, 1], cell[:, 0]]
        color = _colors_at(view, cover.side, pixels[through])
        seen[rows[through]] += 1
        total[rows[through]] += color
        squares[rows[through]] += color**2
    chosen = (seen > 0) & (seen >= 0.5 * visible)
    mean = total[chosen] / seen[chosen, None]
    spread = np.sqrt((squares[chosen] / seen[chosen, None] - mean**2).clip(min=0).mean(axis=1))
    needed = spread <= _SAME_COLOR
    if behind is not None:
        needed &= abs(mean - behind / 255).max(axis=1) > _THERE_ALREADY
    # Never more than there are points: a few of these deserve no sky of thousands.
    every = -(-int(needed.sum()) // len(xyz)) or 1
    return places[chosen][needed][::every], mean[needed][::every]


def _kept(view: View, cover: Coverage) -> Coverage:
    """Without the cells that are masked out."""
    mask = view.mask()
    if mask is None:
        return cover
    share = torch.nn.functional.adaptive_avg_pool2d(mask[None].float(), cover.open.shape)[0]
    kept = (share >= 1).numpy()
    return replace(cover, open=cover.open & kept, enclosed=cover.enclosed & kept)


def _gaps(
    views: Sequence[View], covered: Sequence[Coverage], scale: SceneScale, most: int
) -> tuple[Matrix, Matrix]:
    """Places in enclosed cells, as far away as what surrounds them."""
    places, colors, sizes = [np.zeros((0, 3))], [np.zeros((0, 3))], [np.zeros(0)]
    for view, cover in zip(views, covered, strict=True):
        middles = cover.centers(cover.enclosed)
        if not len(middles) or not len(cover.depths):
            continue
        every = max(len(cover.pixels) // _SAMPLE, 1)
        depths = cover.depths[::every]
        known, asked = _in_space(cover.pixels[::every]), _in_space(middles)
        nearest = knn(known, min(_NEIGHBORS, len(known)), asked)[0].numpy()
        depth = np.quantile(depths[nearest], _BEHIND, axis=1)
        steps = (np.arange(_PER_SIDE) + 0.5) / _PER_SIDE - 0.5
        within = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2) * cover.side
        pixels = (middles[:, None] + within).reshape(-1, 2)
        depth = np.repeat(depth, len(within))
        camera = view.camera
        inside = ((pixels >= 0) & (pixels < (camera.width, camera.height))).all(axis=1)
        pixels, depth = pixels[inside], depth[inside]
        rays = optics_of(camera).rays(pixels)
        lit = np.isfinite(rays[:, 0])
        rays, pixels, depth = rays[lit], pixels[lit], depth[lit]
        places.append((rays * depth[:, None] - camera.viewmat[:3, 3]) @ camera.viewmat[:3, :3])
        colors.append(_colors_at(view, cover.side / _PER_SIDE, pixels))
        sizes.append(depth * cover.side / _PER_SIDE / camera.K[0, 0])
    spread = _thinned(np.concatenate(places), np.concatenate(sizes), scale)
    rows = spread[:: -(-len(spread) // most) or 1]
    return np.concatenate(places)[rows], np.concatenate(colors)[rows]


def _in_space(pixels: Matrix) -> torch.Tensor:
    """[M, 3] float32, all at depth 0."""
    return torch.nn.functional.pad(torch.from_numpy(pixels.astype(np.float32)), (0, 1))


def _thinned(places: Matrix, sizes: Matrix, scale: SceneScale) -> Rows:
    """The row of one of the places in each cube as large as their median distance."""
    if not len(places):
        return np.zeros(0, np.int64)
    cube = np.floor((places - scale.center) / np.median(sizes)).astype(np.int64)
    return np.sort(np.unique(cube, axis=0, return_index=True)[1])


def _colors_at(view: View, side: float, pixels: Matrix) -> Matrix:
    """[K, 3] mean colours in [0, 1] of the blocks of about `side` pixels around pixels [K, 2]."""
    image = view.image().permute(2, 0, 1)[None].float() / 255
    size = (max(round(view.camera.height / side), 1), max(round(view.camera.width / side), 1))
    small = torch.nn.functional.adaptive_avg_pool2d(image, size)
    unit = 2 * pixels / (view.camera.width, view.camera.height) - 1
    grid = torch.from_numpy(unit.astype(np.float32))[None, None]
    sampled = torch.nn.functional.grid_sample(small, grid, padding_mode="border", align_corners=False)
    return sampled[0, :, 0].T.double().numpy()


def _directions(count: int) -> Matrix:
    """[count, 3] unit vectors, evenly over the sphere: a spiral by the golden angle."""
    index = np.arange(count) + 0.5
    height = 1 - 2 * index / count
    angle = np.pi * (1 + 5**0.5) * index
    flat = np.sqrt(1 - height**2)
    return np.stack([flat * np.cos(angle), flat * np.sin(angle), height], axis=1)
