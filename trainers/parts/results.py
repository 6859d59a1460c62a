"""What the parts of a finished training leave in its folder, `parts/NAME.json`, and their use afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gsplat_core.errors import DataError
from gsplat_core.io.links import make_folder
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.dataset import Dataset, View
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.strict_json import parse_json, write_json
from trainers.evaluation import picture
from trainers.parts.part import Picture
from trainers.parts.parts import Parts
from trainers.parts.registry import create
from trainers.run_folder import RunFolder

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


class AtTest:
    """How these parts want a scene compared with photographs: what is drawn, from where, and what becomes of
    the image. For `trainers.evaluation.evaluate`.

    Args:
        trained: the training views.
    """

    def __init__(self, parts: Parts, trained: Sequence[View]) -> None:
        self._parts = parts
        self._numbers = {view.name: number for number, view in enumerate(trained)}

    @classmethod
    def of(cls, source: Path, config: TrainConfig, dataset: Dataset, device: torch.device) -> AtTest:
        """That of a finished run; of a splat file, which has no parts.

        Args:
            dataset: with the training views of the run.

        Raises:
            DataError: the run's folder has results that are none of its parts'.
        """
        results = read_part_results(RunFolder(source).parts)
        return cls(settled(config, dataset.train, results, device), dataset.train)

    def __call__(self, gaussians: Gaussians, view: View, background: str) -> Picture:
        camera = self.camera(view)
        drawn = picture(self.scene(gaussians, view), camera, background)
        return replace(drawn, image=self.image(drawn, view))

    def camera(self, view: View) -> Camera:
        """From where and with which lens."""
        return self._parts.camera_at_test(view.camera, self._numbers.get(view.name))

    def scene(self, gaussians: Gaussians, view: View) -> Gaussians:
        """The scene as that photograph shows it."""
        params = gaussians.params | gaussians.shared
        shown = self._parts.shown_at_test(params, self.camera(view), self._numbers.get(view.name))
        if shown is params:
            return gaussians
        return gaussians.with_fields(shown)

    def image(self, drawn: Picture, view: View) -> Tensor:
        """[1, H, W, 3] what becomes of its rendering."""
        return self._parts.at_test(drawn, self._numbers.get(view.name))
