"""What the parts of a finished training leave in its folder, `parts/NAME.json`, and their use afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gsplat_core.errors import DataError
from gsplat_core.io.links import make_folder
from gsplat_core.scene.dataset import View
from gsplat_core.strict_json import parse_json, write_json
from trainers.parts.part import Picture
from trainers.parts.parts import Parts
from trainers.parts.registry import create

if TYPE_CHECKING:
    from trainers.config import TrainConfig

_REMEDY = "Remove it to measure without it, or train the run again."


def write_part_results(folder: Path, results: Mapping[str, Any]) -> None:
    """Writes one file for each part that has a result."""
    for name, result in results.items():
        make_folder(folder, folder.parent)
        write_json(folder / f"{name}.json", result)


def read_part_results(folder: Path) -> dict[str, Any]:
    """The results by the parts' names; none where the folder is missing.

    Raises:
        DataError: a file that is not JSON.
    """
    results = {}
    for path in sorted(folder.glob("*.json")):
        try:
            results[path.stem] = parse_json(path.read_bytes())
            if not isinstance(results[path.stem], dict):
                raise ValueError("not an object")
        except ValueError as error:
            raise DataError(path, f"not valid JSON: {error}", remedy=_REMEDY) from error
    return results


def settled(
    config: TrainConfig, views: Sequence[View], results: Mapping[str, Any], device: torch.device
) -> Parts:
    """The parts of a finished run, which train nothing any more.

    Args:
        views: the training views.
        results: `read_part_results` of its folder.

    Raises:
        DataError: results that are none of these parts'.
    """
    parts = create(config, views)
    try:
        parts.settle(results)
    except ValueError as error:
        raise DataError("parts/", str(error), remedy=_REMEDY) from error
    parts.initialize(0, device)
    return parts


def at_test(parts: Parts, trained: Sequence[View]) -> Callable[[Picture, View], Tensor]:
    """How these parts want renderings compared with photographs, for `trainers.evaluation.evaluate`.

    Args:
        trained: the training views.
    """
    numbers = {view.name: number for number, view in enumerate(trained)}
    return lambda picture, view: parts.at_test(picture, numbers.get(view.name))
