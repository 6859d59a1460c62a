"""From pixels back to rays, for every camera model: the inverse of ``csrc/math/camera/NAME.h``.

A lens has no formula for it. What it does to a ray is inverted by Newton's method, without a derivative; one
more step then has the right one, that of the implicit function theorem. Where no ray that the lens sees
arrives, the direction is zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

MOST_ANGLE = math.radians(170)  # what fisheyes see at most, from the axis
_SCANNED = 512  # places at which it is looked up where a lens bends back
_ROUNDS = 12
_NEAR_AXIS = 1e-12  # in focal lengths


def pinhole(u: Tensor, v: Tensor, lens: Tensor | None) -> Tensor:
    del lens
    return torch.stack(torch.broadcast_tensors(u, v, torch.ones_like(u)), dim=-1)


def ortho(u: Tensor, v: Tensor, lens: Tensor | None) -> Tensor:
    """With the origins behind the directions."""
    del lens
    zero, one = torch.zeros_like(u), torch.ones_like(u)
    return torch.stack(torch.broadcast_tensors(zero, zero, one, u, v, zero), dim=-1)


def equirectangular(u: Tensor, v: Tensor, lens: Tensor | None) -> Tensor:
    del lens
    longitude, latitude = torch.broadcast_tensors(u, v)
    aside = latitude.cos()
    rays = torch.stack([aside * longitude.sin(), latitude.sin(), aside * longitude.cos()], dim=-1)
    return torch.where((latitude.abs() <= math.pi / 2)[..., None], rays, 0.0)


def fisheye(u: Tensor, v: Tensor, lens: Tensor | None) -> Tensor:
    assert lens is not None
    odd = [lens.new_ones(lens.shape[:-1]), *lens.unbind(-1)]
    zero = torch.zeros_like(odd[0])
    terms = [zero, *[term for k in odd for term in (k, zero)]]
    distance = _length(u, v)
    angle, there = _inverse_of(distance, terms, torch.full_like(zero, MOST_ANGLE))
    return _at_angle(u, v, distance, angle, there)


def ftheta(u: Tensor, v: Tensor, lens: Tensor | None) -> Tensor:
    assert lens is not None
    way, k0, k2, k3, k4, k5, largest, c, d, e = (number[..., None, None] for number in lens.unbind(-1))
    determinant = 1 + c - d * e
    x, y = (u - d * v) / determinant, ((1 + c) * v - e * u) / determinant
    distance = _length(x, y)
    terms = [k[..., 0, 0] for k in (k0, torch.ones_like(k0), k2, k3, k4, k5)]
    most = torch.where(largest > 0, largest, MOST_ANGLE).clamp(max=MOST_ANGLE)
    inverted, there = _inverse_of(distance, terms, most[..., 0, 0])
    # Where the polynomial gives angles, it rises up to the distance.
    end = _where_it_falls(terms, torch.full_like(most[..., 0, 0], _MOST_DISTANCE))[..., None, None]
    given = _polynomial(distance, terms)
    of_distance = way <= 0.5
    angle = torch.where(of_distance, given, inverted)
    given_there = (distance <= end) & (given >= 0) & (given <= most)
    return _at_angle(x, y, distance, angle, torch.where(of_distance, given_there, there))


_MOST_DISTANCE = 1e3  # focal lengths


def _length(x: Tensor, y: Tensor) -> Tensor:
    """Of the vector (x, y), with the derivative zero where it is zero."""
    return (x.square() + y.square()).clamp(min=_NEAR_AXIS**2).sqrt()


def _at_angle(x: Tensor, y: Tensor, length: Tensor, angle: Tensor, there: Tensor) -> Tensor:
    """Rays at an angle from the axis, to the side of (x, y)."""
    aside = angle.sin() / length
    rays = torch.stack([aside * x, aside * y, angle.cos()], dim=-1)
    return torch.where(there[..., None], rays, 0.0)


def _polynomial(x: Tensor, terms: list[Tensor]) -> Tensor:
    """terms[0] + terms[1] x + ... with terms [B, C] and x [B, C, ...]."""
    total = torch.zeros_like(x)
    for term in reversed(terms):
        total = total * x + term.reshape(*term.shape, *[1] * (x.dim() - term.dim()))
    return total


def _slope(terms: list[Tensor]) -> list[Tensor]:
    return [i * term for i, term in enumerate(terms)][1:]


@torch.no_grad()
def _where_it_falls(terms: list[Tensor], end: Tensor) -> Tensor:
    """[B, C] from where on a polynomial no longer rises, at most `end`."""
    shares = torch.linspace(0, 1, _SCANNED + 1, dtype=end.dtype, device=end.device)
    x = end[..., None] * shares.square()  # most densely near zero
    falls = _polynomial(x, _slope(terms)) <= 0
    first = torch.where(falls.any(-1), falls.int().argmax(-1) - 1, _SCANNED).clamp(min=0)
    return x.gather(-1, first[..., None])[..., 0]


def _inverse_of(value: Tensor, terms: list[Tensor], end: Tensor) -> tuple[Tensor, Tensor]:
    """Where a polynomial that rises from zero on has a value [B, C, H, W], up to `end` [B, C] at most; and
    whether it has it there."""
    slope = _slope(terms)
    with torch.no_grad():
        end = _where_it_falls(terms, end)[..., None, None]
        known = [term.detach() for term in terms]
        x = torch.minimum(value, end)
        low, high = torch.zeros_like(x), end.expand_as(x).clone()
        for _ in range(_ROUNDS):  # Newton's steps, but where they leave what is known, halves
            miss = _polynomial(x, known) - value
            low, high = torch.where(miss <= 0, x, low), torch.where(miss >= 0, x, high)
            step = x - miss / _polynomial(x, slope)
            inside = (step >= low) & (step <= high)
            x = torch.where(inside, step, (low + high) / 2)
        there = (_polynomial(x, known) - value).abs() <= 1e-5 * (1 + value)
        steep = _polynomial(x, slope).clamp(min=1e-3)
    return x - (_polynomial(x, terms) - value) / steep, there


def opencv(u: Tensor, v: Tensor, lens: Tensor | None) -> Tensor:
    assert lens is not None
    u, v = torch.broadcast_tensors(u, v)
    with torch.no_grad():
        known = lens.detach()
        end = _where_radii_fall(known, u, v)[..., None, None]
        x, y = _radial_start(u, v, known, end)
        for _ in range(_ROUNDS):
            x, y = _step(x, y, u, v, known)
        there = _one_to_one(x, y, u, v, known, end)
        x, y = torch.where(there, x, 0.0), torch.where(there, y, 0.0)
    x, y = _step(x, y, u, v, lens)
    rays = torch.stack([x, y, torch.ones_like(x)], dim=-1)
    return torch.where(there[..., None], rays, 0.0)


def _radial(square: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
    """The factor of the radial distortion, and its derivative by the squared radius."""
    k1, k2, _, _, k3, k4, k5, k6 = (
        k.reshape(*k.shape, *[1] * (square.dim() - k.dim())) for k in lens.unbind(-1)[:8]
    )
    numerator = 1 + square * (k1 + square * (k2 + square * k3))
    denominator = 1 + square * (k4 + square * (k5 + square * k6))
    value = numerator / denominator
    rising = k1 + square * (2 * k2 + 3 * square * k3)
    return value, (rising - value * (k4 + square * (2 * k5 + 3 * square * k6))) / denominator


def _bent(x: Tensor, y: Tensor, lens: Tensor) -> tuple[Tensor, ...]:
    """Where slopes x and y appear, in focal lengths, and the derivatives of that: x by x, x by y, y by x, y
    by y."""
    _, _, p1, p2, _, _, _, _, s1, s2, s3, s4 = (k[..., None, None] for k in lens.unbind(-1))
    square = x.square() + y.square()
    factor, slope = _radial(square, lens)
    across, tilted_x, tilted_y = 2 * x * y, s1 + 2 * square * s2, s3 + 2 * square * s4
    return (
        x * factor + p1 * across + p2 * (square + 2 * x.square()) + square * (s1 + square * s2),
        y * factor + p2 * across + p1 * (square + 2 * y.square()) + square * (s3 + square * s4),
        factor + 2 * (slope * x.square() + p1 * y + 3 * p2 * x + tilted_x * x),
        2 * (slope * x * y + p1 * x + p2 * y + tilted_x * y),
        2 * (slope * x * y + p1 * x + p2 * y + tilted_y * x),
        factor + 2 * (slope * y.square() + p2 * x + 3 * p1 * y + tilted_y * y),
    )


def _step(x: Tensor, y: Tensor, u: Tensor, v: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
    """Newton's, of at most half of where it starts; differentiable with respect to u, v and the lens."""
    at_x, at_y, *derivatives = _bent(x, y, lens)
    xx, xy, yx, yy = (derivative.detach() for derivative in derivatives)
    determinant = xx * yy - xy * yx
    determinant = torch.where(determinant.abs() < 1e-6, 1e-6, determinant)
    miss_x, miss_y = at_x - u, at_y - v
    step_x, step_y = (yy * miss_x - xy * miss_y) / determinant, (xx * miss_y - yx * miss_x) / determinant
    size = _length(step_x, step_y).detach()
    shorter = ((0.5 * _length(x, y) + 0.1) / size).clamp(max=1.0)
    return x - shorter * step_x, y - shorter * step_y


_FARTHEST_SLOPE = 1e4


def _where_radii_fall(lens: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """[B, C] the slope at which the radial part no longer rises, or has a pole."""
    unit = _length(u, v).amax((-2, -1)).clamp(min=1e-3)
    shares = torch.linspace(0, 1, _SCANNED + 1, dtype=u.dtype, device=u.device)[:-1]
    radii = (unit[..., None] * shares / (1 - shares)).clamp(max=_FARTHEST_SLOPE)
    square = radii.square()
    factor, slope = _radial(square, lens)
    k4, k5, k6 = (k[..., None] for k in lens.unbind(-1)[5:8])
    denominator = 1 + square * (k4 + square * (k5 + square * k6))
    falls = (factor + 2 * square * slope <= 0) | (denominator <= 0)
    first = torch.where(falls.any(-1), falls.int().argmax(-1) - 1, radii.shape[-1] - 1).clamp(min=0)
    return radii.gather(-1, first[..., None])[..., 0]


def _radial_start(u: Tensor, v: Tensor, lens: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """Slopes that the radial part alone makes u and v, by a few steps."""
    distance = _length(u, v)
    low, high = torch.zeros_like(distance), end.expand_as(distance).clone()
    radius = torch.minimum(distance, end)
    for _ in range(_ROUNDS):
        factor, slope = _radial(radius.square(), lens)
        miss = radius * factor - distance
        low, high = torch.where(miss <= 0, radius, low), torch.where(miss >= 0, radius, high)
        step = radius - miss / (factor + 2 * radius.square() * slope)
        inside = (step >= low) & (step <= high)
        radius = torch.where(inside, step, (low + high) / 2)
    return radius * u / distance, radius * v / distance


def _one_to_one(x: Tensor, y: Tensor, u: Tensor, v: Tensor, lens: Tensor, end: Tensor) -> Tensor:
    at_x, at_y, xx, xy, yx, yy = _bent(x, y, lens)
    size = 1 + _length(u, v)
    arrives = ((at_x - u).abs() < 1e-4 * size) & ((at_y - v).abs() < 1e-4 * size)
    return arrives & (xx * yy - xy * yx > 0) & (_length(x, y) <= end)


UNPROJECTIONS: dict[str, Callable[[Tensor, Tensor, Tensor | None], Tensor]] = {
    "pinhole": pinhole,
    "ortho": ortho,
    "fisheye": fisheye,
    "opencv": opencv,
    "equirectangular": equirectangular,
    "ftheta": ftheta,
}
"""By camera model: from where a pixel is, from the principal point in focal lengths, u [B, C, H or 1, W] and
v [B, C, H, 1], and the lens [B, C, P], to its ray in the camera's axes [B, C, H, W, 3], or [B, C, H, W, 6]
with its origin behind it. It is as long as what the model calls the depth 1 is far away along it."""
