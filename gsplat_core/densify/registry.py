"""Density controls by name. To add one: write its file, and its line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gsplat_core.densify.adc import ADC, ADCConfig
from gsplat_core.densify.strategy import Strategy
from gsplat_core.errors import UsageError

STRATEGIES: dict[str, Callable[..., Strategy]] = {
    "adc": lambda **options: ADC(ADCConfig(**options)),
}


def create(name: str, **options: Any) -> Strategy:
    """A strategy by name; `options` are the fields of its configuration.

    Raises:
        UsageError: no strategy has this name.
        TypeError, ValueError: an option is unknown or out of range.
    """
    if name not in STRATEGIES:
        raise UsageError(f"Unknown density control {name!r}; known are: {', '.join(sorted(STRATEGIES))}.")
    return STRATEGIES[name](**options)
