"""Single settings from the command line: `--set lambda_dssim=0.3 mcmc.refine_every=50`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gsplat_core.errors import UsageError
from gsplat_core.strict_json import parse_json
from trainers.config import TrainConfig
from trainers.fields import from_json


def with_settings(config: TrainConfig, settings: Sequence[str]) -> TrainConfig:
    """The configuration with some entries changed.

    Args:
        settings: NAME=VALUE each, NAME as in config.json with dots between levels. The parts of the density
            control may leave out "densify.", those of the training "parts.". VALUE is JSON; what is not
            counts as text.

    Raises:
        UsageError: a name that there is not, or a value of the wrong type or out of range.
    """
    values = config.to_json()
    for setting in settings:
        name, equals, text = setting.partition("=")
        path = name.strip().split(".")
        if not equals or not all(path):
            raise UsageError(f"--set {setting}: expected NAME=VALUE, for example mcmc.refine_every=50.")
        if path[0] not in values:
            path = ["parts" if path[0] in values["parts"] else "densify", *path]
        _put(values, path, _parsed(text), setting)
    try:
        return from_json(TrainConfig, values)
    except ValueError as error:
        raise UsageError(f"--set {' '.join(settings)}: {error}") from None


def _put(values: dict[str, Any], path: list[str], value: Any, setting: str) -> None:
    for depth, key in enumerate(path):
        if not isinstance(values, dict) or key not in values:
            known = ", ".join(values) if isinstance(values, dict) else "none"
            raise UsageError(
                f"--set {setting}: there is no {'.'.join(path[: depth + 1])}; known are {known}."
            )
        if depth == len(path) - 1:
            values[key] = value
        values = values[key]


def _parsed(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return text
