"""Numbers read from text are those that Python reads; what it would read otherwise is left to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gsplat_core.ops.number_lines import read_number_lines


def read(token: str) -> float | None:
    """A number alone in its line; None if it is left."""
    found = read_number_lines(token.encode(), "", "d")
    return float(found.tail_numbers[0, 0]) if found.size else None


@settings(max_examples=300, deadline=None)
@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["%r", "%.17g", "%.6f", "%.12e", "%.3f"]),
)
def test_numbers_are_the_nearest_doubles(value: float, form: str) -> None:
    text = form % value
    assert read(text) in (None, float(text))


@given(st.floats(1e-6, 1e8), st.booleans())
def test_usual_numbers_are_never_left(value: float, negative: bool) -> None:
    value = -value if negative else value
    assert read(f"{value:.17g}") == value


@given(st.integers(0, 10**19 - 1), st.integers(0, 27))
def test_digits_and_places_of_any_number(digits: int, places: int) -> None:
    text = str(digits).rjust(places + 1, "0")
    text = f"{text[: len(text) - places]}.{text[len(text) - places :]}"
    assert read(text) == float(text)


@given(st.integers(2**52, 2**53 - 1))
def test_halves_go_to_the_even_double(whole: int) -> None:
    assert read(f"{whole}.5") == float(f"{whole}.5")


@pytest.mark.parametrize("text", ["-0", "-0.0e5"])
def test_zero_keeps_its_sign(text: str) -> None:
    assert np.signbit(read(text))


@pytest.mark.parametrize(
    "text", ["inf", "nan", "+1", "1_0", "1e300", "x", ".", "-", "1e", "1.5f", "--1", "1,5"]
)
def test_other_forms_are_left(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize("text", ["1.0", "256x", str(10**18), "", "-", "0x1"])
def test_what_is_no_whole_number_of_18_digits_is_left(text: str) -> None:
    assert read_number_lines(f"{text}\n".encode(), "i", "i").size == 0


def test_lines_are_read_until_one_that_has_not_the_pattern() -> None:
    text = b"1 2.5 255\n 2\t-3 0 7 8 \r\n3 1 256\n4 1 1\n"
    found = read_number_lines(text, "idb", "ii")
    assert text[found.size :].startswith(b"3 1 256")
    assert found.head_integers.tolist() == [[1, 255], [2, 0]]
    assert found.head_numbers.tolist() == [[2.5], [-3.0]]
    assert found.tail_integers.tolist() == [[7, 8]]
    assert found.repeats.tolist() == [0, 1]


@pytest.mark.parametrize("line", [b"1 2", b"1 2 3 4", b"1 2 3 4 5", b"", b"# 1 2 3"])
def test_nothing_of_a_broken_line_is_kept(line: bytes) -> None:
    found = read_number_lines(b"1 2 3\n" + line + b"\n5 6 7\n", "idd", "dii")
    assert found.size == 6
    assert [len(table) for table in found[:5]] == [1, 1, 0, 0, 1]


def test_empty_lines_repeat_nothing_where_there_is_no_head() -> None:
    assert read_number_lines(b"\n1 2 3\n\n", "", "ddi").repeats.tolist() == [0, 1, 0]
    assert read_number_lines(b"", "", "ddi").repeats.tolist() == []


@pytest.mark.parametrize(("head", "tail"), [("i", ""), ("x", "d"), ("", "f")])
def test_unknown_patterns_are_refused(head: str, tail: str) -> None:
    with pytest.raises(RuntimeError, match=r"argument '(head|tail)' must"):
        read_number_lines(b"1", head, tail)
