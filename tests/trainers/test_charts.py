from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainers.charts import Series, line_chart, smoothed

SVG = "{http://www.w3.org/2000/svg}"
numbers = st.floats(allow_nan=True, allow_infinity=True, width=32)


@pytest.fixture(scope="module", autouse=True)
def blank_charts() -> None:
    """They are drawn here."""


def curve(svg: str) -> list[tuple[float, float]]:
    """The corners of the first curve: the first line that is as thick as a curve."""
    for path in ElementTree.fromstring(svg).iter(f"{SVG}path"):
        if "stroke-width: 1.5" in path.get("style", ""):
            return [(float(x), float(y)) for x, y in re.findall(r"[ML] (\S+) (\S+)", path.get("d", ""))]
    raise AssertionError("no curve")


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), numbers), max_size=20), st.booleans())
def test_whatever_the_numbers_a_chart_is_well_formed(points, log):
    figure = ElementTree.fromstring(line_chart("a < b & c", [Series("curve", sorted(points))], log=log))
    assert "a < b & c" in [text.text for text in figure.iter(f"{SVG}text")]


def test_larger_values_are_higher_and_later_steps_further_right():
    xs, ys = zip(*curve(line_chart("t", [Series("s", [(0, 1.0), (10, 2.0), (20, 5.0)])])), strict=True)
    assert list(xs) == sorted(xs)
    assert list(ys) == sorted(ys, reverse=True)


def test_equal_ratios_are_equal_distances_on_a_logarithmic_axis():
    (_, a), (_, b), (_, c) = curve(line_chart("t", [Series("s", [(0, 0.1), (1, 1), (2, 10)])], log=True))
    assert a - b == pytest.approx(b - c, abs=0.2)


def test_the_same_chart_is_the_same_bytes():
    series = [Series("s", [(0, 1.0), (1, 2.0)], dots=True), Series("t", [(0, 2.0), (1, 1.0)])]
    assert line_chart("t", series) == line_chart("t", series)


def test_no_data_is_said():
    assert "no data" in line_chart("t", [Series("s", [(1, math.nan)])])


def test_smoothing_keeps_a_straight_line_and_flattens_noise():
    line = [(i, 3.0 * i) for i in range(30)]
    assert [y for _, y in smoothed(line, 7)] == pytest.approx([y for _, y in line])
    noise = [(i, (-1.0) ** i) for i in range(30)]
    assert max(abs(y) for _, y in smoothed(noise, 9)[5:25]) < 0.2
