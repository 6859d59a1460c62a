"""Volumes by filtered backprojection: of Feldkamp, Davis and Kress (1984) for a cone beam on a circle, of
Radon (1917) for a parallel one.

Each row of a projection, weighted with the cosine of the angle to the central ray, is convolved with the ramp
filter of Ramachandran and Lakshminarayanan, perhaps with a Hann window, and smeared back along the rays:

    f(x) = 1/2 sum_k w_k (DSO / z_k(x))^2 q_k(u_k(x), v_k(x)),

with z the depth in the camera, the row's samples as far apart as their images on the axis of rotation, and
w_k the angle that projection k stands for, 2 pi in all; a parallel beam has z = DSO. Angles may be uneven.

An arc shorter than a whole turn of a cone beam gets weights that add up to 2 pi without those of Parker
(1982): rays that were measured twice count twice. Of a parallel beam half a turn is everything.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from gsplat_core.tomography.scanner import Scanner

WIDEST_GAP = 2.0
"""The widest gap between angles counts at most so many times the next one: beyond that, an arc has ended."""


def fdk(scanner: Scanner, integrals: Tensor, *, hann: bool = False) -> Tensor:
    """The volume [nx, ny, nz] float32 of line integrals, without bounds: noise makes it negative in places.

    Args:
        scanner: on a circle around the z axis.
        integrals: [C, H, W].
        hann: whether high frequencies are lowered by a Hann window, against noise and streaks.

    Raises:
        ValueError: the shapes do not fit.
    """
    expected = [scanner.num, scanner.height, scanner.width]
    if list(integrals.shape) != expected or not scanner.num:
        raise ValueError(f"expected line integrals [C, H, W] = {expected}, got {list(integrals.shape)}")
    filtered = _filtered(scanner, integrals.double(), hann).float()
    weights = angular_weights(scanner)
    size = torch.tensor([scanner.width, scanner.height], dtype=torch.float32)
    points = scanner.grid.points().float()
    volume = torch.zeros(scanner.grid.shape)
    viewmats, Ks = scanner.viewmats.float(), scanner.Ks.float()
    for k in range(scanner.num):
        local = points @ viewmats[k, :3, :3].T + viewmats[k, :3, 3]
        depth = local[..., 2]
        pixels = local[..., :2] * Ks[k].diagonal()[:2]
        if scanner.beam == "cone":
            pixels = pixels / depth[..., None]
        places = 2 * (pixels + Ks[k, :2, 2]) / size - 1
        flat = places.reshape(1, 1, -1, 2)
        samples = grid_sample(filtered[k][None, None], flat, align_corners=False).reshape(depth.shape)
        nearness = (scanner.DSO / depth).square() if scanner.beam == "cone" else 1.0
        volume += 0.5 * float(weights[k]) * nearness * samples
    return volume


def angular_weights(scanner: Scanner) -> Tensor:
    """[C] float64 how much of a turn each projection stands for, in radians; 2 pi in all.

    That is half the way to its two neighbours, but for those beside a gap in the circle.
    """
    period = 2 * math.pi if scanner.beam == "cone" else math.pi
    towards = -scanner.viewmats[:, 2, :2]  # the horizontal part of the way to the source
    angles = torch.atan2(towards[:, 1], towards[:, 0]) % period
    angles = torch.where(angles > period - 1e-9, 0.0, angles)  # rounding
    order = angles.argsort(stable=True)
    gaps = torch.diff(angles[order], append=angles[order][:1] + period)
    if len(gaps) > 2:
        gaps = gaps.clamp(max=WIDEST_GAP * float(gaps.sort().values[-2]))
    weights = torch.empty_like(angles)
    weights[order] = (gaps + gaps.roll(1)) / 2
    return weights * (2 * math.pi / weights.sum())


def _filtered(scanner: Scanner, integrals: Tensor, hann: bool) -> Tensor:
    """Rows convolved with the ramp filter, per length on the axis of rotation."""
    width, spacing = scanner.width, scanner.lengths_per_pixel
    if scanner.beam == "cone":
        K = scanner.Ks[0]
        a = (torch.arange(width, dtype=torch.float64) + 0.5 - K[0, 2]) / K[0, 0]
        b = (torch.arange(scanner.height, dtype=torch.float64) + 0.5 - K[1, 2]) / K[1, 1]
        integrals = integrals / (1 + a.square() + b.square()[:, None]).sqrt()
    length = 2 ** math.ceil(math.log2(max(2 * width, 64)))
    n = torch.arange(length, dtype=torch.float64)
    n = torch.minimum(n, length - n)  # a circle of samples
    kernel = torch.where(n % 2 == 1, -1 / (math.pi * n.clamp(min=1) * spacing).square(), 0.0)
    kernel[0] = 1 / (4 * spacing**2)
    response = torch.fft.rfft(kernel).real * spacing
    if hann:
        response = response * (0.5 + 0.5 * torch.linspace(0, math.pi, len(response)).double().cos())
    return torch.fft.irfft(torch.fft.rfft(integrals, length) * response, length)[..., :width]
