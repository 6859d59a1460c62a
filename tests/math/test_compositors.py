"""When a pixel is finished."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.mark.parametrize(("behind", "done"), [(1e-4, True), (1.001e-4, False), (0.0, True), (1.0, False)])
def test_a_pixel_is_finished_where_a_ten_thousandth_would_shine_through(
    function: Callable, behind: float, done: bool
) -> None:
    assert bool(function("finished", [behind], 1)[0]) is done
