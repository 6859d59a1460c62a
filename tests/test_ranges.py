"""Every number that can be set has a range, and nothing outside of it gets in."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Iterator
from typing import Annotated, Any

import pytest

from gsplat_core.densify.registry import PLUGINS, STRATEGIES
from gsplat_core.ranges import Range, check_ranges, ranges_of
from trainers.config import TrainConfig
from trainers.parts.registry import PARTS


def classes(root: type) -> Iterator[type]:
    """A dataclass and all that its fields hold."""
    yield root
    for hint in typing.get_type_hints(root).values():
        for option in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(option):
                yield from classes(typing.cast(type, option))


def settings() -> list[type]:
    """All classes of numbers that the settings of a run can consist of."""
    roots: list[type] = [TrainConfig, *(config for config, _ in (STRATEGIES | PLUGINS).values())]
    roots += [part.settings for part in PARTS.values() if part.settings is not None]
    found = {cls for root in roots for cls in classes(root)}
    return sorted(found, key=lambda cls: cls.__name__)


SETTINGS = settings()


@pytest.mark.parametrize("cls", SETTINGS, ids=lambda cls: cls.__name__)
def test_every_number_of_the_settings_has_a_range(cls: type) -> None:
    def is_number(hint: Any) -> bool:
        return hint in (int, float) or any(option in (int, float) for option in typing.get_args(hint))

    numbers = {
        name
        for name, hint in typing.get_type_hints(cls).items()
        if typing.get_origin(hint) is not dict and is_number(hint)
    }
    assert numbers == set(ranges_of(cls))


@pytest.mark.parametrize("cls", SETTINGS, ids=lambda cls: cls.__name__)
def test_what_is_outside_of_a_range_is_refused_by_name(cls: type) -> None:
    usual = cls()
    for name, allowed in ranges_of(cls).items():
        for value in (allowed.least - 1, allowed.most * 2 + 1, math.nan, math.inf, -math.inf):
            with pytest.raises(ValueError, match=name):
                dataclasses.replace(usual, **{name: value})


@pytest.mark.parametrize(
    ("allowed", "inside", "outside", "text"),
    [
        (Range(1), [1, 10**9], [0, math.nan], "at least 1"),
        (Range(0, open="least"), [1e-9, math.inf], [0], "more than 0"),
        (Range(0, 10_000), [0, 10_000], [-1, 10_001], "from 0 to 10,000"),
        (Range(0, 1, "least"), [0.1, 1], [0, 1.1], "more than 0 and at most 1"),
        (Range(0, 1, "most"), [0, 0.9], [1], "at least 0 and less than 1"),
        (Range(0, 1, "both"), [0.1, 0.9], [0, 1], "more than 0 and less than 1"),
    ],
)
def test_the_ends_of_a_range(allowed: Range, inside: list[float], outside: list[float], text: str) -> None:
    assert [value for value in inside if value not in allowed] == []
    assert [value for value in outside if value in allowed] == []
    assert str(allowed) == text


@dataclasses.dataclass
class Example:
    number: Annotated[int, Range(1, 5)] | None = None
    name: str = ""


def test_none_is_in_every_range_and_what_has_none_is_not_looked_at() -> None:
    check_ranges(Example())
    check_ranges(Example(5, "anything"))
    with pytest.raises(ValueError, match=r"number = 6: expected a number from 1 to 5"):
        check_ranges(Example(6))
    with pytest.raises(ValueError, match=r"number = a number of many digits: expected"):
        check_ranges(Example(10**400))
