"""Colours of a scene that is put beside another one, made to fit: Gaussian Stitching.

The source stays as it is. Of the target only the spherical harmonics change, not a bit of anything else.
First a cast that the whole target has is taken off: each channel is scaled as it takes for the mean colours
on both sides of the boundary to agree. Then its coefficients are trained, seen from cameras all around, with

- L_feature: Gaussians at the boundary have the harmonics of their neighbours in the source;
- L_color: the others have, from where one looks, the colours of their drivers at the boundary;
- L_grad: the gradients of the target's images (Sobel) remain those that there were without the cast;
- L_tune, in the second half: its pixels come near to colours of a palette of the source, the more so the more
  of the source has them.

Losses and weights are those of example-based modelling by Gaussian Stitching; its palette is one of k-means
here. Taking off the cast is ours: colours of the drivers alone flatten what the target has, and no loss of
these knows a cast from a colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core.apps.boundary import Boundary, drivers, find_boundary
from gsplat_core.compress.kmeans import kmeans
from gsplat_core.errors import UsageError
from gsplat_core.io.pieces import Pieces
from gsplat_core.optim import Adam
from gsplat_core.outliers import extent
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.scene import render
from gsplat_core.scene.gaussians import PLAIN, Gaussians
from gsplat_core.scene.harmonics import rgb_of, sh0_of, sh_basis
from gsplat_core.scene.schema import FROZEN


@dataclass(frozen=True)
class Config:
    """How a target is harmonized.

    Raises:
        UsageError: a number out of its range.
    """

    reach: float = 0.05
    """How near Gaussians of the boundary are to the source, in sizes of the composition."""
    opacity: float = 0.95
    """They are more opaque than this, if there are enough of them."""
    neighbours: int = 8
    """Of how many Gaussians of the source they are the mean, and how many drivers others have."""
    waves: float = 10.0
    """How wildly drivers change with the place."""
    remove_cast: bool = True
    """Whether a cast of the whole target is taken off first."""
    feature: float = 1.0
    """Weight of L_feature."""
    color: float = 1.0
    """Weight of L_color."""
    gradient: float = 2.0
    """Weight of L_grad."""
    tune: float = 2.0
    """Weight of L_tune."""
    palette: int = 8
    """How many colours of the source pixels are pulled to."""
    steps: int = 200
    """Of training; L_tune joins after the first half."""
    lr: float = 1e-3
    """Of the constant coefficients; the others have a twentieth, as in training."""
    views: int = 24
    """Cameras around the composition."""
    image_size: int = 128
    """Side of their images, in pixels."""
    seed: int = 0
    """Of the cameras, and of their order."""

    def __post_init__(self) -> None:
        for name in ("reach", "lr"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"harmonize: {name} must be positive, not {getattr(self, name)}.")
        for name in ("feature", "color", "gradient", "tune", "waves", "steps"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"harmonize: {name} must not be negative, not {getattr(self, name)}.")
        for name in ("neighbours", "palette", "views", "image_size"):
            if getattr(self, name) < 1:
                raise UsageError(f"harmonize: {name} must be at least 1, not {getattr(self, name)}.")
        if not 0 <= self.opacity <= 1:
            raise UsageError(f"harmonize: opacity must be from 0 to 1, not {self.opacity}.")


USUAL = Config()


class Harmonized(NamedTuple):
    """The target with other colours, and what is worth telling."""

    target: Gaussians
    boundary: int
    """Gaussians at it."""
    gains: tuple[float, float, float]
    """By which the channels of the target were scaled first."""
    seam: tuple[float, float]
    """How far mean constant colours of both sides were apart (root of squares), before and after."""


def harmonize(source: Gaussians, target: Gaussians, config: Config = USUAL) -> Harmonized:
    """The target with colours that fit the source.

    Args:
        source, target: plain Gaussians, the target where it belongs beside the source. Its `frozen` rows keep
            their colours, too.

    Raises:
        UsageError: the scenes do not touch, or are not plain Gaussians.
    """
    if source.primitive != PLAIN or target.primitive != PLAIN:
        kinds = " and ".join(sorted({source.primitive, target.primitive}))
        raise UsageError(f"Only scenes of plain Gaussians are harmonized, not of {kinds}.")
    degree = max(source.sh_degree, target.sh_degree)
    source, before = source.detached().with_sh_degree(degree), target.detached().with_sh_degree(degree)
    place = extent(Gaussians.merge([_bare(source), _bare(before)]))
    size = _SIZE * place.radius
    boundary = find_boundary(
        source, before, config.reach * size, config.opacity, config.neighbours,
        fewest=max(config.neighbours, before.num // 100),
    )  # fmt: skip
    gains = _gains(source, before, boundary) if config.remove_cast else torch.ones(3)
    start = _scaled(before, gains) if config.remove_cast else before
    sh0, shN = start.sh0.clone(), start.shN.clone()
    if config.steps:
        cameras = cameras_around(place.middle, size, config.views, config.image_size, config.seed)
        _Training(source, start, boundary, size, cameras, config).run(sh0, shN)
    after = _with_colors(before, sh0, shN)
    seam = (_seam(source, before, boundary), _seam(source, after, boundary))
    own = after.with_sh_degree(target.sh_degree)
    red, green, blue = gains.tolist()
    recoloured = _with_colors(target.detached(), own.sh0, own.shN)
    return Harmonized(recoloured, len(boundary.rows), (red, green, blue), seam)


def harmonized(parts: Sequence[Pieces], config: Config = USUAL) -> tuple[list[Pieces], list[Harmonized]]:
    """Parts of a composition, each but the first with colours that fit all before it; they are read whole.

    Raises:
        UsageError: as `harmonize`; there is one part only.
    """
    if len(parts) < 2:
        raise UsageError("--harmonize needs two scenes: the first stays, the others are fitted to it.")
    done, told = [parts[0]], []
    for part in parts[1:]:
        before = Gaussians.merge([_bare(earlier.whole()) for earlier in done])
        told.append(harmonize(before, part.whole(), config))
        done.append(Pieces.of(told[-1].target))
    return done, told


_SIZE = 2.5
"""Size of a composition in radii of its extent: the diameter of a ball that is filled evenly."""
_DISTANCE = 1.1  # of cameras, in sizes
_FOCAL = 1.0  # in sizes of the image: a field of view of 53 degrees
_OPAQUE = 0.95
_LARGEST_GAIN = 8.0


class _Training:
    """What the losses compare with, and the steps."""

    def __init__(
        self,
        source: Gaussians,
        start: Gaussians,
        boundary: Boundary,
        size: float,
        cameras: Sequence[Cameras],
        config: Config,
    ) -> None:
        self.start, self.cameras, self.config = start, cameras, config
        self.boundary = boundary
        neighbours = boundary.neighbours
        self.features = torch.cat([source.sh0[neighbours].mean(1), source.shN[neighbours].mean(1)], dim=1)
        inner = torch.ones(start.num, dtype=torch.bool, device=start.device)
        inner[boundary.rows] = False
        self.inner = inner.nonzero()[:, 0]
        edge = start.means[boundary.rows]
        self.drivers = boundary.rows[
            drivers(start.means[self.inner], edge, size, config.waves, config.neighbours)
        ]
        with torch.no_grad():
            self.gradients = [sobel(_image(start, camera)[0]) for camera in cameras]
            self.colors, self.shares = _palette(source, cameras, config.palette)

    def run(self, sh0: Tensor, shN: Tensor) -> None:
        """Changes the coefficients in place."""
        config, g = self.config, torch.Generator().manual_seed(self.config.seed)
        rates = ((sh0, config.lr), (shN, config.lr / 20))
        optimizer = Adam([{"params": [sh], "lr": rate} for sh, rate in rates if sh.numel()])
        for tensor in (sh0, shN):
            tensor.requires_grad_()
        for step in range(config.steps):
            view = int(torch.randint(len(self.cameras), (), generator=g))
            optimizer.zero_grad()
            self._loss(sh0, shN, view, tuning=2 * step >= config.steps).backward()
            optimizer.step()
        for tensor in (sh0, shN):
            tensor.requires_grad_(False)

    def _loss(self, sh0: Tensor, shN: Tensor, view: int, tuning: bool) -> Tensor:
        config, camera, sh = self.config, self.cameras[view], torch.cat([sh0, shN], dim=1)
        loss = config.feature * (sh[self.boundary.rows] - self.features).square().mean()
        if len(self.inner) and config.color:
            seen = self._seen_colors(sh, camera)
            wanted = seen.detach()[self.drivers].mean(1)
            loss = loss + config.color * (seen[self.inner] - wanted).square().mean()
        image, alphas = _image(_with_colors(self.start, sh0, shN), camera)
        loss = loss + config.gradient * (sobel(image) - self.gradients[view]).square().mean()
        opaque = image[alphas > _OPAQUE]
        if tuning and len(opaque):
            apart, nearest_color = torch.cdist(opaque, self.colors).min(dim=1)
            loss = loss + config.tune * (self.shares[nearest_color] * apart.square()).mean()
        return loss

    def _seen_colors(self, sh: Tensor, camera: Cameras) -> Tensor:
        """[N, 3] colours of the target from a camera."""
        viewmat = camera.viewmats[0]
        centre = -viewmat[:3, :3].T @ viewmat[:3, 3]
        directions = torch.nn.functional.normalize(self.start.means - centre, dim=1)
        basis = sh_basis(directions, self.start.sh_degree)
        return (0.5 + (basis[..., None] * sh).sum(1)).clamp(min=0)


def sobel(image: Tensor) -> Tensor:
    """Gradients [2, H - 2, W - 2, D] along x and y of an image [H, W, D] (Sobel and Feldman 1968)."""
    smooth, slope = image.new_tensor([1.0, 2, 1]), image.new_tensor([-1.0, 0, 1])
    kernels = torch.stack([torch.outer(smooth, slope), torch.outer(slope, smooth)])[:, None]
    channels = image.movedim(-1, 0)[:, None]
    return torch.nn.functional.conv2d(channels, kernels).movedim(0, -1)


def cameras_around(middle: Tensor, size: float, count: int, side: int, seed: int) -> list[Cameras]:
    """Cameras on a sphere around a place [3], spread evenly at random, that see a ball of this diameter."""
    g = torch.Generator().manual_seed(seed)
    outward = torch.nn.functional.normalize(torch.randn(count, 3, generator=g).double(), dim=1)
    K = torch.tensor([[_FOCAL * side, 0, side / 2], [0, _FOCAL * side, side / 2], [0, 0, 1]])
    cameras = []
    for direction in outward:
        forward = -direction
        least = torch.eye(3).double()[direction.abs().argmin()]
        right = torch.nn.functional.normalize(torch.linalg.cross(forward, least), dim=0)
        rotation = torch.stack([right, torch.linalg.cross(forward, right), forward])
        viewmat = torch.eye(4).double()
        viewmat[:3, :3] = rotation
        viewmat[:3, 3] = -rotation @ (middle.cpu().double() + _DISTANCE * size * direction)
        matrices = viewmat.float()[None].to(middle.device), K[None].to(middle.device)
        cameras.append(Cameras(*matrices, side, side, near=1e-2 * size))
    return cameras


def _image(scene: Gaussians, camera: Cameras) -> tuple[Tensor, Tensor]:
    """[H, W, 3] over black, and [H, W] alphas."""
    drawn = render(scene, camera)
    return drawn.colors[0], drawn.alphas[0, ..., 0]


def _palette(source: Gaussians, cameras: Sequence[Cameras], count: int) -> tuple[Tensor, Tensor]:
    """Colours [k, 3] of the source's pixels and their shares [k]; of its Gaussians where no pixel is
    opaque."""
    pixels = []
    for camera in cameras:
        image, alphas = _image(source, camera)
        pixels.append(image[alphas > _OPAQUE])
    points = torch.cat(pixels)
    if len(points) < count:
        points = rgb_of(source.sh0[:, 0]).clamp(min=0)
    colors, labels = kmeans(points, min(count, len(points)), iterations=20)
    shares = torch.bincount(labels.long(), minlength=len(colors)) / len(labels)
    return colors, shares


def _gains(source: Gaussians, target: Gaussians, boundary: Boundary) -> Tensor:
    """[3]: the mean colour of the source beside the boundary over that of the target (von Kries 1902)."""
    theirs, own = _sides(source, target, boundary)
    return (theirs.clamp(min=1e-3) / own.clamp(min=1e-3)).clamp(1 / _LARGEST_GAIN, _LARGEST_GAIN)


def _seam(source: Gaussians, target: Gaussians, boundary: Boundary) -> float:
    theirs, own = _sides(source, target, boundary)
    return float((theirs - own).square().mean().sqrt())


def _sides(source: Gaussians, target: Gaussians, boundary: Boundary) -> tuple[Tensor, Tensor]:
    """Mean constant colours [3] of both sides."""
    theirs, own = source.sh0[boundary.neighbours, 0], target.sh0[boundary.rows, 0]
    return rgb_of(theirs).mean((0, 1)), rgb_of(own).mean(0)


def _scaled(scene: Gaussians, gains: Tensor) -> Gaussians:
    gains = gains.to(scene.means)
    return _with_colors(scene, sh0_of(gains * rgb_of(scene.sh0)), gains * scene.shN)


def _with_colors(scene: Gaussians, sh0: Tensor, shN: Tensor) -> Gaussians:
    """The scene with other harmonics, but for rows that are frozen."""
    if FROZEN in scene.extras:
        frozen = scene.extras[FROZEN][:, None, None]
        sh0, shN = torch.where(frozen, scene.sh0, sh0), torch.where(frozen, scene.shN, shN)
    return Gaussians.of(
        {**scene.params, "sh0": sh0, "shN": shN}, scene.primitive, scene.extras, scene.metadata
    )


def _bare(scene: Gaussians) -> Gaussians:
    """Where the scene is, without what could disagree with another's."""
    return Gaussians.of(scene.params)
