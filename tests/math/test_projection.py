"""Which Gaussians an image shows, and the boxes of those: at each limit, just inside and just outside."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

WIDTH, HEIGHT = 96.0, 64.0
FX, FY, CX, CY = 80.0, 64.0, 50.0, 30.0
EPS, NEAR, FAR, LEAST_RADIUS = 0.3, 0.5, 100.0, 0.0
LEAST_OPACITY = 1 / 255


def splat(
    function: Callable,
    mean: tuple[float, float, float] = (0.0, 0.0, 4.0),
    scales: tuple[float, float, float] = (0.1, 0.2, 0.1),
    opacity: float = 0.6,
    eps: float = EPS,
    least_radius: float = LEAST_RADIUS,
    antialiased: bool = False,
    level: float = -1.0,
) -> tuple[bool, float, float, float, float]:
    """Visible, radii, depth and opacity of a Gaussian along the axes, seen by a camera at the origin."""
    camera = [*np.eye(3).ravel(), 0, 0, 0, FX, FY, CX, CY, WIDTH, HEIGHT]
    gaussian = [*mean, 1, 0, 0, 0, *scales, opacity]
    options = [eps, NEAR, FAR, least_radius, antialiased, level]
    visible, *others = function("projected_splat", [*camera, *gaussian, *options], 5)
    return bool(visible), *others


def is_visible(function: Callable, **given: object) -> bool:
    return splat(function, **given)[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("opacity", [0.9, 0.03, LEAST_OPACITY])
def test_radii_reach_to_where_it_is_1_of_255_opaque(function: Callable, opacity: float) -> None:
    """Rounded up to whole pixels, from the filtered variances along the axes of the image."""
    _, radius_x, radius_y, depth, _ = splat(function, opacity=opacity)
    level = 2 * np.log(255 * opacity)
    deviations = np.sqrt(np.array([FX * 0.1 / 4, FY * 0.2 / 4]) ** 2 + EPS)
    expected = np.ceil(np.sqrt(max(level, 0)) * deviations - 1e-6)
    assert [radius_x, radius_y] == expected.tolist()
    assert depth == 4.0


def test_the_level_of_another_response_takes_the_place_of_the_gaussians(function: Callable) -> None:
    for level in (0.0, 1.0, 30.0):
        deviations = np.sqrt(np.array([FX * 0.1 / 4, FY * 0.2 / 4]) ** 2 + EPS)
        expected = np.ceil(np.sqrt(level) * deviations).tolist()
        assert list(splat(function, level=level)[1:3]) == expected


def test_radii_are_numbers_of_32_bits(function: Callable) -> None:
    assert splat(function, scales=(1e10, 1e10, 0.1))[1:3] == (2.0**30, 2.0**30)
    below = splat(function, scales=(1.6e7, 1.6e7, 0.1), eps=0.0)
    assert max(below[1:3]) == np.ceil(np.sqrt(2 * np.log(255 * 0.6)) * FX * 1.6e7 / 4) > 2.0**30 * 0.9


@pytest.mark.parametrize(("z", "inside"), [(NEAR, True), (NEAR * 0.999, False), (FAR, True), (100.1, False)])
def test_depths_between_the_planes(function: Callable, z: float, inside: bool) -> None:
    assert is_visible(function, mean=(0.0, 0.0, z)) is inside


@pytest.mark.parametrize(
    ("opacity", "inside"),
    [
        (LEAST_OPACITY, True),
        (0.0039, False),
        (0.95e30, True),
        (1.05e30, False),
        (np.inf, False),
        (np.nan, False),
    ],
)
def test_opacities(function: Callable, opacity: float, inside: bool) -> None:
    assert is_visible(function, opacity=opacity, level=1.0) is inside


def test_a_speck_is_culled_when_its_compensation_makes_it_fainter_than_the_limit(function: Callable) -> None:
    small = {"scales": (0.001, 0.001, 0.001), "opacity": 0.1}
    assert is_visible(function, **small)
    visible, *_, opacity = splat(function, antialiased=True, **small)  # type: ignore[arg-type]
    assert opacity < LEAST_OPACITY
    assert not visible


@pytest.mark.parametrize(
    ("variances", "inside"),
    [
        ((0.95e30, 0.5), True),
        ((0.5, 0.95e30), True),
        ((1.05e30, 0.5), False),
        ((0.5, 1.05e30), False),
        ((0.9e15, 1.05e15), True),
        ((1.1e15, 0.95e15), False),
        ((0.0, 1.0), False),
    ],
)
def test_variances_and_their_determinant_are_positive_and_usable(
    function: Callable, variances: tuple[float, float], inside: bool
) -> None:
    scales = (np.sqrt(variances[0]) * 4 / FX, np.sqrt(variances[1]) * 4 / FY, 0.0)
    assert is_visible(function, scales=scales, eps=0.0) is inside


def test_radii_above_the_least_that_is_wanted(function: Callable) -> None:
    _, radius_x, radius_y, _, _ = splat(function)
    assert radius_x < radius_y
    for least, inside in ((radius_y, False), (radius_y - 1, True), (radius_x, True)):
        assert is_visible(function, least_radius=least) is inside
    wide = {"scales": (0.4, 0.1, 0.1)}
    _, radius_x, radius_y, _, _ = splat(function, **wide)  # type: ignore[arg-type]
    assert radius_x > radius_y
    for least, inside in ((radius_x, False), (radius_y, True)):
        assert is_visible(function, least_radius=least, **wide) is inside


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("far_side", [False, True])
def test_boxes_that_reach_into_the_image(function: Callable, axis: int, far_side: bool) -> None:
    """A box that ends exactly at the edge of the image has no pixel in it."""
    flat = {"scales": (0.1, 0.2, 0.0)}
    radius = splat(function, **flat)[1 + axis]  # type: ignore[arg-type]
    size, focal, centre = ((WIDTH, FX, CX), (HEIGHT, FY, CY))[axis]
    edge = size + radius if far_side else -radius
    inwards = -1.0 if far_side else 1.0
    for pixel, inside in ((edge, False), (edge + 0.25 * inwards, True), (edge - 0.25 * inwards, False)):
        mean = [0.0, 0.0, 4.0]
        mean[axis] = (pixel - centre) * 4 / focal
        shifted = splat(function, mean=tuple(mean), **flat)  # type: ignore[arg-type]
        assert shifted[1 + axis] == radius
        assert shifted[0] is inside
