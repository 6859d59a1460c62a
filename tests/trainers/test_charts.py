from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.charts import HEIGHT, WIDTH, Series, line_chart, smoothed

numbers = st.floats(allow_nan=True, allow_infinity=True, width=32)


def coordinates(svg: str) -> list[tuple[float, float]]:
    figure = ElementTree.fromstring(svg)
    lines = [line.get("points", "") for line in figure.iter("polyline")]
    return [tuple(map(float, point.split(","))) for line in lines for point in line.split()]


@given(st.lists(st.tuples(st.integers(0, 10**6), numbers), max_size=20), st.booleans())
def test_whatever_the_numbers_the_chart_is_well_formed_and_inside_its_frame(points, log):
    points.sort()
    for x, y in coordinates(line_chart("a < b & c", [Series("curve", points)], log)):
        assert -0.1 <= x <= WIDTH + 0.1
        assert -0.1 <= y <= HEIGHT + 0.1


def test_larger_values_are_higher_and_later_steps_further_right():
    placed = coordinates(line_chart("t", [Series("s", [(0, 1.0), (10, 2.0), (20, 5.0)])]))
    xs, ys = zip(*placed, strict=True)
    assert list(xs) == sorted(xs)
    assert list(ys) == sorted(ys, reverse=True)


def test_equal_ratios_are_equal_distances_on_a_logarithmic_axis():
    (_, a), (_, b), (_, c) = coordinates(
        line_chart("t", [Series("s", [(0, 0.1), (1, 1), (2, 10)])], log=True)
    )
    assert a - b == pytest.approx(b - c, abs=0.2)


def test_no_data_is_said():
    assert "no data" in line_chart("t", [Series("s", [(1, math.nan)])])


def test_smoothing_keeps_a_straight_line_and_flattens_noise():
    line = [(i, 3.0 * i) for i in range(30)]
    assert [y for _, y in smoothed(line, 7)] == pytest.approx([y for _, y in line])
    noise = [(i, (-1.0) ** i) for i in range(30)]
    assert max(abs(y) for _, y in smoothed(noise, 9)[5:25]) < 0.2
