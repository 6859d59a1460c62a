"""Cameras: from a point in front of the camera to a pixel. Axes as in OpenCV: x right, y down, z forward.

A camera states where a point appears. Its Jacobian there, by which a Gaussian becomes a splat (Zwicker et
al., "EWA Splatting", 2002), is taken by autograd.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

OUTSIDE = 0.15  # how far outside of the image, in image sizes, the pinhole camera is still linearized


class Intrinsics(NamedTuple):
    """What is known about a camera besides its pose; tensors [..., 1] and [..., 1, P] go with points
    [..., N, 3]."""

    fx: Tensor
    fy: Tensor
    cx: Tensor
    cy: Tensor
    lens: Tensor  # the coefficients that a camera has beyond the four
    width: int
    height: int


class Linearization(NamedTuple):
    """Points [..., N, 3], and [..., N] whether float32 may have found others."""

    points: Tensor
    doubtful: Tensor


def where_they_are(points: Tensor, intrinsics: Intrinsics, band: float) -> Linearization:
    """The projection is linearized at the points themselves."""
    del intrinsics, band
    return Linearization(points, torch.zeros_like(points[..., 0], dtype=torch.bool))


def along_the_axis(points: Tensor) -> Tensor:
    """The depth z."""
    return points[..., 2]


def distance(points: Tensor) -> Tensor:
    """From the camera."""
    return points.norm(dim=-1)


class Seen(NamedTuple):
    """[..., N] which points have a pixel, and whether float32 may have decided otherwise."""

    visible: Tensor
    doubtful: Tensor


def what_is_in_front(points: Tensor, intrinsics: Intrinsics, band: float) -> Seen:
    """Whatever lies between the near and the far plane."""
    del intrinsics
    z = points.detach()[..., 2]
    return Seen(z > 0, z.abs() < 1e-3 * band * points.detach().norm(dim=-1))


def all_around(points: Tensor, intrinsics: Intrinsics, band: float) -> Seen:
    """Whatever is not at the camera itself."""
    del intrinsics, band
    away = distance(points.detach()) > 0
    return Seen(away, torch.zeros_like(away))


@dataclass(frozen=True)
class Camera:
    """A camera sees what lies between the near and the far plane by its `depth`, and sorts by it."""

    pixel: Callable[[Tensor, Intrinsics], Tensor]  # points [..., N, 3] to pixels [..., N, 2]
    linearized_at: Callable[[Tensor, Intrinsics, float], Linearization] = where_they_are
    depth: Callable[[Tensor], Tensor] = along_the_axis
    sees: Callable[[Tensor, Intrinsics, float], Seen] = what_is_in_front
    turn: float = 0.0  # after how many fx to the right the image begins again; 0: nowhere
    coefficients: tuple[tuple[float, float], ...] = ()  # of `lens`: from where to where each is usual

    def jacobian(self, points: Tensor, intrinsics: Intrinsics) -> Tensor:
        """[..., N, 2, 3], differentiable by points and intrinsics."""
        with torch.enable_grad():
            if not points.requires_grad:
                points = points.detach().requires_grad_()
            rows = [
                torch.autograd.grad(coordinate.sum(), points, create_graph=True)[0]
                for coordinate in self.pixel(points, intrinsics).unbind(-1)
            ]
        return torch.stack(rows, dim=-2)


def pinhole(points: Tensor, intrinsics: Intrinsics) -> Tensor:
    """Kerbl et al., "3D Gaussian Splatting for Real-Time Radiance Field Rendering" (2023), section 4."""
    x, y, z = points.unbind(-1)
    return torch.stack([intrinsics.fx * x / z + intrinsics.cx, intrinsics.fy * y / z + intrinsics.cy], dim=-1)


class Limits(NamedTuple):
    """Of the ratios x / z and y / z at which a camera is linearized."""

    low: tuple[Tensor, Tensor]
    high: tuple[Tensor, Tensor]


def outside_the_image(intrinsics: Intrinsics) -> Limits:
    """0.15 image sizes outside the image of a pinhole camera."""
    fx, fy, cx, cy, _, width, height = intrinsics
    left, top = -(cx + OUTSIDE * width) / fx, -(cy + OUTSIDE * height) / fy
    right, bottom = (width - cx + OUTSIDE * width) / fx, (height - cy + OUTSIDE * height) / fy
    return Limits((left.detach(), top.detach()), (right.detach(), bottom.detach()))


def near_the_image(
    points: Tensor,
    intrinsics: Intrinsics,
    band: float,
    limits: Callable[[Intrinsics], Limits] = outside_the_image,
) -> Linearization:
    """The points moved sideways until they appear at most 0.15 image sizes outside the image: further out,
    the linearization would make splats that cover everything.

    These limits count as constants: no gradient reaches the intrinsics through them.
    """
    x, y, z = points.unbind(-1)
    low, high = limits(intrinsics)

    def limited(ratio: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        near_limit = ((ratio - lower).abs() < band * lower.abs()) | (
            (ratio - upper).abs() < band * upper.abs()
        )
        return torch.maximum(torch.minimum(ratio, upper), lower), near_limit

    ratio_x, doubtful_x = limited(x / z, low[0], high[0])
    ratio_y, doubtful_y = limited(y / z, low[1], high[1])
    return Linearization(torch.stack([ratio_x * z, ratio_y * z, z], dim=-1), doubtful_x | doubtful_y)


def ortho(points: Tensor, intrinsics: Intrinsics) -> Tensor:
    """Rays parallel to the axis: fx and fy are pixels per unit of length."""
    x, y, _ = points.unbind(-1)
    return torch.stack([intrinsics.fx * x + intrinsics.cx, intrinsics.fy * y + intrinsics.cy], dim=-1)


BEHIND = math.radians(170)  # what a fisheye lens sees at most, as an angle from its axis


def fisheye(points: Tensor, intrinsics: Intrinsics) -> Tensor:
    """Kannala and Brandt, "A Generic Camera Model and Calibration Method" (2006), equation 6: the distance
    from the principal point is a polynomial in the angle from the axis."""
    x, y, z = points.unbind(-1)
    square = x.square() + y.square()
    on_axis = square < 1e-8 * points.square().sum(-1)
    radius = torch.where(on_axis, 1.0, square).sqrt()
    q = square / torch.where(on_axis, z, 1.0).square()  # tan^2 of the angle
    per_radius = torch.where(
        on_axis, (1 - q / 3 + q.square() / 5) / torch.where(on_axis, z, 1.0), torch.atan2(radius, z) / radius
    )
    squared_angle = square * per_radius.square()
    stretch = per_radius * (1 + _polynomial(squared_angle, intrinsics.lens.unbind(-1)))
    return torch.stack(
        [intrinsics.fx * x * stretch + intrinsics.cx, intrinsics.fy * y * stretch + intrinsics.cy], dim=-1
    )


def _polynomial(square: Tensor, coefficients: Sequence[Tensor]) -> Tensor:
    """c[0] square + c[1] square^2 + ..."""
    total = torch.zeros_like(square)
    for c in reversed(coefficients):
        total = (total + c) * square
    return total


def where_the_fisheye_does_not_bend_back(points: Tensor, intrinsics: Intrinsics, band: float) -> Seen:
    """Rays up to the angle at which their distance from the principal point first falls, at most 170
    degrees."""
    x, y, z = points.unbind(-1)
    angles = torch.linspace(0, BEHIND, 4001, dtype=torch.float64)
    powers = angles.square().unsqueeze(-1) ** torch.arange(1, 5)
    slopes = 1 + ((2 * torch.arange(1, 5) + 1) * powers) @ intrinsics.lens.detach().mT.double()
    falls = (slopes <= 0).double()  # [..., angles, cameras of size 1]
    first = torch.where(falls.any(-2), falls.argmax(-2), len(angles) - 1)
    largest = angles[first]
    angle = torch.atan2(torch.hypot(x, y), z).detach()
    return Seen((angle < largest) & (distance(points) > 0), (angle / largest - 1).abs() < band)


def opencv(points: Tensor, intrinsics: Intrinsics) -> Tensor:
    """OpenCV's lens: radial (a fraction of two polynomials), tangential and thin prism terms, of the
    coefficients k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 (Brown 1966; Weng, Cohen and Herniou 1992)."""
    x, y, z = points.unbind(-1)
    return pinhole(
        torch.stack([*_bent(x / z, y / z, intrinsics.lens), torch.ones_like(z)], dim=-1), intrinsics
    )


def _bent(x: Tensor, y: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
    _, _, p1, p2, _, _, _, _, s1, s2, s3, s4 = lens.unbind(-1)
    square = x.square() + y.square()
    factor = _radial_factor(square, lens)
    return (
        x * factor + 2 * p1 * x * y + p2 * (3 * x.square() + y.square()) + _polynomial(square, (s1, s2)),
        y * factor + 2 * p2 * x * y + p1 * (x.square() + 3 * y.square()) + _polynomial(square, (s3, s4)),
    )


def _radial_factor(square: Tensor, lens: Tensor) -> Tensor:
    k1, k2, _, _, k3, k4, k5, k6, *_ = lens.unbind(-1)
    return (1 + _polynomial(square, (k1, k2, k3))) / (1 + _polynomial(square, (k4, k5, k6)))


def _radial_slope(radius: Tensor, lens: Tensor) -> Tensor:
    """The derivative of the distance from the axis by the undistorted one, by central differences."""
    step = 1e-6 * (radius + 1e-3)
    ends = [
        (radius + sign * step) * _radial_factor((radius + sign * step).square(), lens) for sign in (1, -1)
    ]
    return (ends[0] - ends[1]) / (2 * step)


def outside_the_image_of_opencv(intrinsics: Intrinsics) -> Limits:
    """Those of the pinhole camera, as much wider as the undistorted corner lies further out than the
    distorted one, at most four times."""
    low, high = outside_the_image(intrinsics)
    lens = intrinsics.lens.detach()
    corner = torch.hypot(torch.maximum(-low[0], high[0]), torch.maximum(-low[1], high[1]))
    radii = corner[..., None] * torch.linspace(1, 4, 3001, dtype=torch.float64)
    distorted = radii * _radial_factor(radii.square(), lens[..., None, :])
    reached = distorted >= corner[..., None]
    # From the last radius that appears further in than the corner, along the chord to the next one.
    last = (torch.where(reached.any(-1), reached.double().argmax(-1), 3000) - 1).clamp(min=0)[..., None]
    near, far = (distorted.gather(-1, index)[..., 0] for index in (last, last + 1))
    wider = 1 + 0.001 * (last[..., 0] + ((corner - near) / (far - near)).clamp(0, 1))
    wider = torch.where(reached.any(-1), wider, 4.0)
    return Limits((low[0] * wider, low[1] * wider), (high[0] * wider, high[1] * wider))


def near_the_image_of_opencv(points: Tensor, intrinsics: Intrinsics, band: float) -> Linearization:
    return near_the_image(points, intrinsics, band, outside_the_image_of_opencv)


def where_opencv_is_one_to_one(points: Tensor, intrinsics: Intrinsics, band: float) -> Seen:
    """Where the map to the image does not turn over, nor its radial part anywhere between the axis and the
    point."""
    lens = intrinsics.lens.detach()

    def good(x: Tensor, y: Tensor) -> Tensor:
        step = 1e-6 * (1 + torch.hypot(x, y))
        by_x = [a - b for a, b in zip(_bent(x + step, y, lens), _bent(x - step, y, lens), strict=True)]
        by_y = [a - b for a, b in zip(_bent(x, y + step, lens), _bent(x, y - step, lens), strict=True)]
        radii = torch.hypot(x, y)[..., None] * torch.linspace(1 / 500, 1, 500, dtype=torch.float64)
        far = lens[..., None, :]
        k4, k5, k6 = far[..., 5:8].unbind(-1)
        rises = (_radial_slope(radii, far) > 0) & (1 + _polynomial(radii.square(), (k4, k5, k6)) > 0)
        return (by_x[0] * by_y[1] - by_x[1] * by_y[0] > 0) & rises.all(-1)

    x, y, z = points.detach().unbind(-1)
    inside = [(z > 0) & good(size * x / z, size * y / z) for size in (1 - band, 1.0, 1 + band)]
    return Seen(inside[1], inside[0] != inside[2])


NEAR_A_POLE = 1e-3  # the angle up to which the equirectangular map is that at this angle


def equirectangular(points: Tensor, intrinsics: Intrinsics) -> Tensor:
    """Longitude to the right and latitude downward, as angles."""
    x, y, z = points.unbind(-1)
    longitude, latitude = torch.atan2(x, z), torch.atan2(y, (x.square() + z.square()).sqrt())
    return torch.stack(
        [intrinsics.fx * longitude + intrinsics.cx, intrinsics.fy * latitude + intrinsics.cy], dim=-1
    )


def not_at_a_pole(points: Tensor, intrinsics: Intrinsics, band: float) -> Linearization:
    """The points, moved away from the vertical axis where they are within the angle of a pole."""
    del intrinsics
    x, y, z = points.detach().unbind(-1)
    least, aside = NEAR_A_POLE * points.detach().norm(dim=-1), torch.hypot(x, z)
    near = aside < least
    stretch = torch.where(near, least / torch.where(aside > 0, aside, 1.0), 1.0)
    at_pole = (near & (aside == 0)).double() * least
    moved = torch.stack([(stretch - 1) * x, torch.zeros_like(y), (stretch - 1) * z + at_pole], dim=-1)
    # Pixels, too, have the derivative of the moved points here; those of the reference have their own.
    return Linearization(points + moved, aside < (1 + band) * least)


def ftheta(points: Tensor, intrinsics: Intrinsics) -> Tensor:
    """A polynomial between the angle from the axis and the distance from the principal point in focal
    lengths, either as a function of the other, and a linear map of the image. The coefficients: 1 if it is
    the distance that is a function of the angle, 0 if it is the other way round; k0, k2 to k5; the largest
    angle; c, d, e."""
    x, y, z = points.unbind(-1)
    square = x.square() + y.square()
    radius = square.clamp(min=1e-14 * points.detach().square().sum(-1)).sqrt()
    angle = torch.atan2(radius, z)
    distance = _distance_of_angle(angle, intrinsics.lens)
    c, d, e = intrinsics.lens[..., 7:].unbind(-1)
    right, down = distance * x / radius, distance * y / radius
    return torch.stack(
        [
            intrinsics.fx * ((1 + c) * right + d * down) + intrinsics.cx,
            intrinsics.fy * (e * right + down) + intrinsics.cy,
        ],
        dim=-1,
    )


def _ftheta_polynomial(x: Tensor, lens: Tensor) -> Tensor:
    _, k0, k2, k3, k4, k5, *_ = lens.unbind(-1)
    return x + k0 + x * _polynomial(x, (k2, k3, k4, k5))


def _distance_of_angle(angle: Tensor, lens: Tensor) -> Tensor:
    """Where the polynomial gives angles, by Newton's method, whose last steps are differentiable (each of
    them makes one more derivative right)."""
    _, _, k2, k3, k4, k5, *_ = lens.unbind(-1)

    def step(distance: Tensor) -> Tensor:
        slope = 1 + _polynomial(distance, (2 * k2, 3 * k3, 4 * k4, 5 * k5))
        return distance - (_ftheta_polynomial(distance, lens) - angle) / slope.clamp(min=0.1)

    distance = angle
    with torch.no_grad():
        for _ in range(50):
            distance = step(distance)
    for _ in range(3):
        distance = step(distance)
    return torch.where(lens[..., 0] > 0.5, _ftheta_polynomial(angle, lens), distance)


def where_the_polynomial_rises(points: Tensor, intrinsics: Intrinsics, band: float) -> Seen:
    """Rays up to the largest angle, at most 170 degrees, before which the polynomial does not fall."""
    x, y, z = points.detach().unbind(-1)
    lens = intrinsics.lens.detach()
    angle = torch.atan2(torch.hypot(x, y), z)
    most = torch.where(lens[..., 6] > 0, lens[..., 6], BEHIND).clamp(max=BEHIND)

    def good(angle: Tensor) -> Tensor:
        end = torch.where(lens[..., 0] > 0.5, angle, _distance_of_angle(angle, lens))
        reached = _ftheta_polynomial(end, lens)
        solved = (lens[..., 0] > 0.5) | ((reached - angle).abs() < 1e-6)
        _, _, k2, k3, k4, k5, *_ = (number[..., None] for number in lens.unbind(-1))
        between = end[..., None] * torch.linspace(0, 1, 500, dtype=torch.float64)
        rises = 1 + _polynomial(between, (2 * k2, 3 * k3, 4 * k4, 5 * k5)) > 0
        return (angle <= most) & solved & rises.all(-1)

    inside = [good(size * angle) for size in (1 - band, 1.0, 1 + band)]
    return Seen(inside[1] & (distance(points) > 0), inside[0] != inside[2])


CAMERAS = {
    "pinhole": Camera(pinhole, near_the_image),
    "ortho": Camera(ortho),
    "fisheye": Camera(
        fisheye,
        depth=distance,
        sees=where_the_fisheye_does_not_bend_back,
        coefficients=((-0.05, 0.05), (-0.01, 0.01), (-0.002, 0.002), (-0.0005, 0.0005)),
    ),
    "opencv": Camera(
        opencv,
        near_the_image_of_opencv,
        sees=where_opencv_is_one_to_one,
        coefficients=(
            *((-0.3, 0.1), (-0.05, 0.1), (-0.01, 0.01), (-0.01, 0.01), (-0.02, 0.02)),
            *((-0.05, 0.05), (-0.02, 0.02), (-0.01, 0.01)),
            *((-0.01, 0.01), (-0.01, 0.01), (-0.01, 0.01), (-0.01, 0.01)),
        ),
    ),
    "equirectangular": Camera(
        equirectangular, not_at_a_pole, depth=distance, sees=all_around, turn=2 * math.pi
    ),
    "ftheta": Camera(
        ftheta,
        depth=distance,
        sees=where_the_polynomial_rises,
        coefficients=(
            *((1.0, 1.0), (0.0, 0.0), (-0.05, 0.05), (-0.05, 0.05), (-0.02, 0.02), (-0.005, 0.005)),
            *((2.6, 2.7), (-0.05, 0.05), (-0.02, 0.02), (-0.02, 0.02)),
        ),
    ),
}
