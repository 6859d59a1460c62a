"""Thresholds of density control by label, from a file: `--densify-scale labels.json`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gsplat_core.densify.classes import ClassesConfig
from gsplat_core.errors import DataError, UsageError
from gsplat_core.strict_json import parse_json
from trainers.config import TrainConfig
from trainers.fields import from_json
from trainers.presets import with_strategy

_PART = "classes"


def with_scales(config: TrainConfig, path: Path) -> TrainConfig:
    """The configuration with the thresholds that a file has.

    Args:
        path: JSON, the entries of `ClassesConfig`: `{"scales": {"1": 0.5}, "lambda_split": -9}`.

    Raises:
        DataError: the file cannot be read, or has something else in it.
        UsageError: thresholds shall follow gradients that the density control does not compare.
    """
    classes = _read(path)
    if classes.compares and config.densify_threshold is None:
        raise UsageError(
            f"--densify-scale {path}: lambda needs gradients, which the density control "
            f"{config.strategy!r} does not compare; leave it out, or add --strategy adc."
        )
    config = with_strategy(config, with_classes(config.strategy))
    return replace(config, densify={**config.densify, _PART: classes})


def with_classes(strategy: str) -> str:
    """The name of a density control with thresholds by class, which it may have already."""
    return strategy if _PART in strategy.split("+") else f"{strategy}+{_PART}"


def _read(path: Path) -> ClassesConfig:
    try:
        return from_json(ClassesConfig, parse_json(path.read_bytes()))
    except OSError as error:
        raise DataError(path, f"cannot be read: {error.strerror}", remedy="Name a JSON file.") from None
    except ValueError as error:
        remedy = 'Write it like {"scales": {"1": 0.5}}.'
        raise DataError(path, str(error), remedy=remedy) from error
