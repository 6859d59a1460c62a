"""Turns photographs of a lens with distortion into photographs of a pinhole camera.

The pinhole camera keeps the lens's focal length, so the image's centre keeps its resolution, and shows the
largest part of the scene, as found from the image's borders, of which every pixel is defined.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from gsplat_core.errors import DataError
from gsplat_core.scene.cameras import Camera, Matrix
from gsplat_core.scene.images import BYTES_PER_PIXEL, AlphaRule, Pixels, room_for, shrink
from gsplat_core.scene.lens import LENS_MODEL_BY_NAME, Lens
from gsplat_core.scene.photos import Photo

Indices = npt.NDArray[np.int64]

# The pinhole image reaches at most this many image widths to each side, which bounds what a fisheye becomes.
_WIDEST = 1.0


# What undistorting takes for a pixel meanwhile.
UNDISTORTED_BYTES = 160

# So many places of a grid are computed at a time: what their formula takes meanwhile fits into the cache.
_BLOCK = 1 << 14

_PINHOLE = LENS_MODEL_BY_NAME["PINHOLE"]

# Of the image's area that must be left: coefficients that leave less are wrong.
_LEAST_SHARE = 0.01


def undistorted_camera(lens: Lens, viewmat: Matrix, name: str) -> Camera:
    """The pinhole camera that shows what the lens shows, at full resolution.

    Raises:
        DataError: the distortion's coefficients leave no usable part of the image.
    """
    K, width, height = _pinhole(lens)
    if width < 2 or height < 2 or width * height < _LEAST_SHARE * lens.width * lens.height:
        raise DataError(
            name,
            f"the {lens.model.name} lens with coefficients {lens.coefficients} leaves nothing to undistort",
            remedy="Check the camera's parameters, or calibrate it again.",
        )
    return Camera(viewmat, K, width, height, name)


def undistorted_image(photo: Photo, camera: Camera, alpha: AlphaRule) -> Pixels:
    """[H, W, C] uint8 image of ``camera``, which undistorted_camera made and which may have been shrunk.

    C is that of ``photo.decode``. Made anew each time: a file of it would take longer to read, and six times
    as long to write.
    """
    lens = photo.shot.lens
    factor = working_reduction(lens, camera) if not photo.is_masked else 1
    if factor == 1:
        full = photo.decode(alpha)
        with room_for(full.size // 3 * UNDISTORTED_BYTES // BYTES_PER_PIXEL):
            return shrink(undistort(full, lens), camera.width, camera.height)
    lens = lens.resized(round(lens.width / factor), round(lens.height / factor))
    larger = camera.resized(2 * camera.width, 2 * camera.height)
    reduced = photo.decode(alpha, (lens.width, lens.height))
    with room_for(reduced.size // 3 * UNDISTORTED_BYTES // BYTES_PER_PIXEL):
        grid, _ = _sampling_grid(lens, _as_lens(larger.K, larger.width, larger.height))
        return shrink(_sampled(reduced, grid), camera.width, camera.height)


def undistorts(photo: Photo, camera: Camera) -> bool:
    """Whether the camera is a pinhole, but the photograph's lens is none."""
    return camera.model == "pinhole" and not photo.shot.lens.is_pinhole


def nearest_pixels(photo: Photo, camera: Camera) -> tuple[Indices, Indices]:
    """Row and column [H, W] of the photograph's pixel, at the size of its lens, that the middle of each pixel
    of a camera sees, for what cannot be averaged.

    Args:
        camera: of the photograph, undistorted or not, and perhaps shrunk.
    """
    lens = photo.shot.lens
    if undistorts(photo, camera):
        places = lens.distort(_ideal(camera.K, _centers(camera.width), _centers(camera.height)))
    else:
        x = (np.arange(camera.width) + 0.5) * (lens.width / camera.width)
        y = (np.arange(camera.height) + 0.5) * (lens.height / camera.height)
        places = np.stack(np.meshgrid(x, y), axis=-1)
    columns, rows = np.floor(places).astype(np.int64).transpose(2, 0, 1)
    return rows.clip(0, lens.height - 1), columns.clip(0, lens.width - 1)


def working_reduction(lens: Lens, camera: Camera) -> int:
    """By which whole factor a photograph is reduced before it is undistorted for a shrunk camera: so far that
    twice as many pixels a side are left, or more.
    """
    _, width, height = _pinhole(lens)
    return max(1, min(width // (2 * camera.width), height // (2 * camera.height)))


def undistort(pixels: Pixels, lens: Lens) -> Pixels:
    """Resamples an image [H, W] or [H, W, C] of the lens for the pinhole camera of undistorted_camera.

    Bilinear, as COLMAP's own undistorter does it, so that results on photographs undistorted here and there
    compare: a sharper filter keeps more of the noise, and training then measures half a decibel less against
    its own test views. Where the lens packs several pixels into one of the pinhole's, the image is sampled
    that much more finely and averaged.
    """
    K, width, height = _pinhole(lens)
    grid, finer = _sampling_grid(lens, _as_lens(K, width, height))
    result = _sampled(pixels, grid)
    return shrink(result, width, height) if finer > 1 else result


def _sampled(pixels: Pixels, grid: Tensor) -> Pixels:
    """An image [H, W] or [H, W, C] at the places of a grid."""
    planes = np.array(pixels).reshape(*pixels.shape[:2], -1)
    image = torch.from_numpy(planes).permute(2, 0, 1)[None].float()
    sampled = F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)
    rounded = sampled[0].permute(1, 2, 0).round_().clamp_(0, 255).to(torch.uint8).numpy()
    return rounded.reshape(*rounded.shape[:2], *pixels.shape[2:])


@lru_cache(maxsize=256)
def _pinhole(lens: Lens) -> tuple[Matrix, int, int]:
    """K and size of the largest pinhole image around the principal point of which every pixel is defined."""
    fx, fy = lens.focal
    rectangle = np.array(_inner_rectangle(lens))

    def at_scale(scale: float) -> tuple[Matrix, int, int]:
        left, top, right, bottom = scale * rectangle
        # The centres of the outermost pixels lie on the rectangle or inside.
        K = np.array([[fx, 0, 0.5 - fx * left], [0, fy, 0.5 - fy * top], [0, 0, 1.0]])
        return K, int(np.floor(fx * (right - left))) + 1, int(np.floor(fy * (bottom - top))) + 1

    if _all_defined(lens, *at_scale(1.0)):
        return at_scale(1.0)
    # Smaller rectangles lie inside larger ones, so the largest good one can be found by halving.
    good, bad = 0.0, 1.0
    for _ in range(14):
        middle = (good + bad) / 2
        good, bad = (middle, bad) if _all_defined(lens, *at_scale(middle)) else (good, middle)
    return at_scale(good)


def _inner_rectangle(lens: Lens) -> tuple[float, float, float, float]:
    """Ideal coordinates (left, top, right, bottom) between the undistorted borders of the image.

    As in COLMAP's undistorter without blank pixels: the innermost point of each border counts. Border points
    that no forward ray reaches lie at infinity and do not limit it.
    """
    width, height = lens.width, lens.height
    x = np.linspace(0.5, width - 0.5, min(width, 256))
    y = np.linspace(0.5, height - 0.5, min(height, 256))
    reach_x, reach_y = _WIDEST * width / lens.focal[0], _WIDEST * height / lens.focal[1]

    def innermost(x: Matrix, y: Matrix, axis: int, sign: int, reach: float) -> float:
        border = np.stack(np.broadcast_arrays(x, y), axis=-1)
        distance = sign * lens.undistort(border)[:, axis]
        defined = distance[np.isfinite(distance) & (distance > 0)]
        return sign * min(reach, float(defined.min())) if len(defined) else sign * reach

    return (
        innermost(np.array(0.5), y, 0, -1, reach_x),
        innermost(x, np.array(0.5), 1, -1, reach_y),
        innermost(np.array(width - 0.5), y, 0, 1, reach_x),
        innermost(x, np.array(height - 0.5), 1, 1, reach_y),
    )


def _all_defined(lens: Lens, K: Matrix, width: int, height: int) -> bool:
    """Whether all of a pinhole image falls inside the lens's image, without folds.

    Every pixel of the border is tested and a grid inside: where the map does not fold, the border bounds it.
    """
    x, y = _centers(width), _centers(height)
    inner_x, inner_y = np.meshgrid(np.linspace(0.5, width - 0.5, 65), np.linspace(0.5, height - 0.5, 65))
    columns = np.concatenate([x, x, np.full(height, x[0]), np.full(height, x[-1]), inner_x.ravel()])
    rows = np.concatenate([np.full(width, y[0]), np.full(width, y[-1]), y, y, inner_y.ravel()])
    ideal = (np.column_stack([columns, rows]) - K[:2, 2]) / np.diag(K)[:2]
    with np.errstate(all="ignore"):
        pixels = lens.distort(ideal)
        unfolded = lens.unfolded(ideal)
    slack = 1e-6  # rounding
    inside = (pixels >= 0.5 - slack) & (pixels <= np.array([lens.width, lens.height]) - 0.5 + slack)
    return bool(inside.all() and unfolded.all())


def _as_lens(K: Matrix, width: int, height: int) -> Lens:
    """A pinhole camera's intrinsics."""
    return Lens.from_params(_PINHOLE, width, height, [K[0, 0], K[1, 1], K[0, 2], K[1, 2]])


@lru_cache(maxsize=8)
def _sampling_grid(lens: Lens, pinhole: Lens) -> tuple[Tensor, int]:
    """Where each pinhole pixel looks in the lens's image, for grid_sample: [1, H, W, 2] in [-1, 1].

    Also how many samples a side each pixel needs not to alias. Kept for the other photographs of the lens.
    """
    K, width, height = pinhole.K, pinhole.width, pinhole.height
    coarse = _ideal(K, _centers(width)[:: max(1, width // 64)], _centers(height)[:: max(1, height // 64)])
    # Pixels of the lens per pixel of the pinhole, along the direction in which they are packed most.
    packed = np.linalg.norm(lens.jacobian(coarse), ord=2, axis=(-2, -1)).max()
    finer = max(1, round(float(packed)))
    x, y = _centers(width, finer), _centers(height, finer)
    grid = np.empty((len(y), len(x), 2), np.float32)
    rows = max(1, _BLOCK // len(x))
    for first in range(0, len(y), rows):
        pixels = lens.distort(_ideal(K, x, y[first : first + rows]))
        grid[first : first + rows] = 2 * pixels / (lens.width, lens.height) - 1
    return torch.from_numpy(grid)[None], finer


def _centers(pixels: int, finer: int = 1) -> Matrix:
    """[pixels * finer] where the middles of pixels, or of their equal parts, are along a side."""
    return (np.arange(pixels * finer) + 0.5) / finer


def _ideal(K: Matrix, x: Matrix, y: Matrix) -> Matrix:
    """[len(y), len(x), 2] ideal coordinates of columns and rows."""
    return (np.stack(np.meshgrid(x, y), axis=-1) - K[:2, 2]) / np.diag(K)[:2]
