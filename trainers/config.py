"""Everything that decides the outcome of a training run, as plain data.

A `TrainConfig` goes to `config.json` of the run folder and comes back from it; the run can be repeated from
that file alone. Unknown keys and values of the wrong type are errors, so a typing mistake never trains with a
default in its place.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from gsplat_core.densify.adc import ADCConfig
from gsplat_core.errors import DataError

T = TypeVar("T")


@dataclass(frozen=True)
class LearningRates:
    """Adam's learning rate per parameter (3DGS, Kerbl et al. 2023).

    The rate of the means is multiplied by the scene extent and falls exponentially from `means` to
    `means_final` over the run; the others are constant.
    """

    means: float = 1.6e-4
    means_final: float = 1.6e-6
    sh0: float = 2.5e-3
    shN: float = 1.25e-4
    opacities: float = 0.05
    scales: float = 5e-3
    quats: float = 1e-3


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Steps count from 1: step t renders one view and updates all parameters once. `schedules.scaled_to` changes
    `steps` and everything that is measured in steps with it.
    """

    data: str = ""
    """The COLMAP folder."""
    model: str | None = None
    """Which sparse model inside it; None takes the one with most images."""
    downscale: int = 1
    """Images are shrunk by this factor."""
    test_every: int = 8
    """Every so-manieth image in name order is for testing; 0 trains on all."""
    seed: int = 0
    device: Literal["cpu", "cuda", "auto"] = "auto"

    preset: str = "default"
    """Where the values came from; for people, nothing depends on it."""
    steps: int = 30_000
    strategy: Literal["adc"] = "adc"
    optimizer: Literal["adam"] = "adam"

    sh_degree: int = 3
    sh_degree_every: int = 1000
    """The degree in use starts at 0 and rises by one after every so many steps, up to `sh_degree`."""
    background: Literal["black", "white", "random"] = "black"
    """Colour behind the scene in training; `random` draws one per step, and tests use black."""
    antialiased: bool = False
    """Compensate opacity for the screen-space blur (Mip-Splatting's 2D filter)."""
    lambda_dssim: float = 0.2
    learning_rates: LearningRates = field(default_factory=LearningRates)
    densify: ADCConfig = field(default_factory=ADCConfig)

    log_every: int = 50
    """Steps between two lines of history.jsonl; losses are also checked to be finite then."""
    evaluations: int = 10
    """How often test views are measured for the curve of the report; the last time is at the end."""
    checkpoint_seconds: float = 60.0
    """Time between two checkpoints."""

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def read_config(path: Path) -> TrainConfig:
    """Reads a `config.json`.

    Raises:
        DataError: the file is missing, is not JSON, or has an unknown key or a value of the wrong type.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return from_json(TrainConfig, values)
    except FileNotFoundError:
        raise DataError(path, "there is no such file", remedy="Is this a run folder?") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(path, str(error), remedy="Correct the entry or take the file from a run.") from error


def from_json(cls: type[T], values: Any, where: str = "") -> T:
    """Builds the dataclass `cls` from plain JSON values, checking every key and type.

    Raises:
        ValueError: names the offending entry by its path, for example `densify.refine_every`.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{where or 'the top level'} must be an object, got {type(values).__name__}")
    hints = typing.get_type_hints(cls)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise ValueError(f"unknown entry {where}{unknown[0]!r}; known are {', '.join(hints)}")
    return cls(**{key: _checked(hints[key], value, where + key) for key, value in values.items()})


def _checked(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_json(typing.cast(type, hint), value, where + ".")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value not in arguments:
            raise ValueError(f"{where} must be one of {', '.join(map(repr, arguments))}, got {value!r}")
        return value
    options = arguments if origin in (typing.Union, types.UnionType) else (hint,)
    # JSON has one number type and Python's bool is an int: 3 is a float too, true is not a number.
    if float in options and type(value) is int:
        return float(value)
    if type(value) not in options:
        names = " or ".join("null" if o is type(None) else o.__name__ for o in options)
        raise ValueError(f"{where} must be {names}, got {value!r}")
    return value
