"""The ellipse of a splat contains what is at least 1/255 opaque, and little more."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import Generator

PADDING = 2e-3


def splat(rng: Generator) -> np.ndarray:
    """Root l11, l21, l22 and opacity of a splat some pixels long."""
    return np.array(
        [rng.uniform(0.1, 1), rng.uniform(-0.8, 0.8), rng.uniform(0.1, 1), rng.uniform(0.02, 0.99)]
    )


def edge(s: np.ndarray, count: int = 4001) -> np.ndarray:
    """Points [count, 2] at which the splat is 1/255 opaque."""
    angle = np.linspace(0, 2 * np.pi, count)
    u, v = np.sqrt(2 * np.log(255 * s[3])) * np.stack([np.cos(angle), np.sin(angle)])
    dy = v / s[2]
    return np.stack([(u - s[1] * dy) / s[0], dy], axis=1)


@pytest.mark.parametrize("seed", range(6))
def test_the_box_is_that_of_the_ellipse(function: Callable, seed: int) -> None:
    s = splat(np.random.default_rng(seed))
    half_x, half_y, rightmost_dy, level = function("ellipse_sizes", s, 4)
    points = edge(s)
    expected = points.max(axis=0)
    assert (np.array([half_x, half_y]) >= expected).all()
    np.testing.assert_allclose([half_x, half_y], expected + PADDING, rtol=2e-3)
    assert rightmost_dy == pytest.approx(points[points[:, 0].argmax(), 1], abs=0.02 * half_y)
    assert 2 * np.log(255 * s[3]) < level < 2 * np.log(255 * s[3]) * (1 + 2e-5) + 2e-4


@pytest.mark.parametrize("seed", range(6))
def test_scaled_roots_give_the_same_ellipse(function: Callable, seed: int) -> None:
    """They are in units in which alpha = opacity 2^-(u^2 + v^2)."""
    s = splat(np.random.default_rng(seed))
    scaled = [*(s[:3] * np.sqrt(np.log2(np.e) / 2)), np.log2(s[3])]
    sizes, of_shape = function("ellipse_sizes", s, 4), function("ellipse_sizes_of_shape", scaled, 4)
    np.testing.assert_allclose(of_shape[:3], sizes[:3], rtol=1e-4)
    assert of_shape[3] == pytest.approx(np.log2(255 * s[3]), abs=3e-4)


@pytest.mark.parametrize("opacity", [1 / 255, 0.003, 0.0])
def test_what_is_fainter_than_the_limit_has_hardly_any_ellipse(function: Callable, opacity: float) -> None:
    half_x, half_y, _, level = function("ellipse_sizes", [0.5, 0.1, 0.5, opacity], 4)
    assert 0 < level < 2e-4
    assert 0 < max(half_x, half_y) < 0.05
    scaled = function("ellipse_sizes_of_shape", [0.5, 0.1, 0.5, np.log2(max(opacity, 1e-9))], 4)
    assert 0 < scaled[3] < 2e-4


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "rows", [(-50.0, 50.0), (-1.0, 1.5), (0.5, 3.0), (-4.0, -2.0), (0.0, 0.0), (0.2, 0.21)]
)
def test_spans_of_rows(function: Callable, seed: int, rows: tuple[float, float]) -> None:
    s = splat(np.random.default_rng(seed))
    half_y = function("ellipse_sizes", s, 4)[1]
    low, high = np.clip(rows, -half_y, half_y)
    dy = np.linspace(low, high, 2001)
    width = np.sqrt(np.maximum(2 * np.log(255 * s[3]) - (s[2] * dy) ** 2, 0))
    left, right = ((-s[1] * dy - width) / s[0]).min(), ((-s[1] * dy + width) / s[0]).max()
    got = function("ellipse_span", [*s, *rows], 2)
    assert got[0] <= left
    assert got[1] >= right
    np.testing.assert_allclose(got, [left - PADDING, right + PADDING], atol=0.02 * (1 + right - left))


@pytest.mark.parametrize("seed", range(8))
def test_rectangles_that_it_touches(function: Callable, seed: int) -> None:
    """Against the least distance of a fine grid of points; within the padding either answer is right."""
    rng = np.random.default_rng(seed)
    s = splat(rng)
    reach = 2 * np.log(255 * s[3])
    half_x, half_y = function("ellipse_sizes", s, 4)[:2]
    answers = set()
    for _ in range(60):
        x, y = rng.uniform(-1.3, 1.3, 2) * (half_x, half_y)
        w, h = rng.uniform(0.05, 1.5, 2) * (half_x, half_y) * rng.choice([0.2, 1.0])

        def least(margin: float, x: float = x, y: float = y, w: float = w, h: float = h) -> float:
            dx, dy = np.meshgrid(
                np.linspace(x - margin, x + w + margin, 201), np.linspace(y - margin, y + h + margin, 201)
            )
            return float(((s[0] * dx + s[1] * dy) ** 2 + (s[2] * dy) ** 2).min())

        touches = bool(function("ellipse_touches", [*s, x, x + w, y, y + h], 1)[0])
        if least(0.0) <= reach:
            assert touches
        elif least(0.02 + 0.01 * max(w, h)) > reach * (1 + 1e-3):
            assert not touches
        answers.add(touches)
    assert answers == {True, False}


@pytest.mark.parametrize("seed", range(3))
def test_rectangles_that_end_a_little_outside_of_it_touch_it(function: Callable, seed: int) -> None:
    """By less than the padding, on each side: no rounding of a test may leave out what is blended."""
    s = splat(np.random.default_rng(seed))
    points = edge(s, 400)
    for axis in (0, 1):
        for sign, extreme in ((1, points[points[:, axis].argmax()]), (-1, points[points[:, axis].argmin()])):
            near = extreme[axis] + sign * (PADDING - 5e-4)
            sides = [[-1e-3, 1e-3] + extreme[0], [-1e-3, 1e-3] + extreme[1]]
            sides[axis] = np.sort([near, near + sign])
            assert function("ellipse_touches", [*s, *sides[0], *sides[1]], 1)[0]
            sides[axis] = sides[axis] + sign * 0.1
            assert not function("ellipse_touches", [*s, *sides[0], *sides[1]], 1)[0]


def test_pixels_between_two_places(function: Callable) -> None:
    centres = np.arange(8) + 0.5
    for low in np.arange(-3, 12, 0.25):
        for high in np.arange(low, 12, 0.25):
            inside = np.flatnonzero((low <= centres) & (centres <= high))
            first, last = function("pixel_range", [low, high, 8], 2)
            assert list(range(int(first), int(last) + 1)) == inside.tolist()
            assert 0 <= first <= 8
            assert -1 <= last <= 7
