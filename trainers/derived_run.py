"""Runs that commands derive from others: a scene with its photographs becomes another run.

Such a command looks at its arguments (`folder_for`), opens what it starts from (`Origin.open`), changes the
Gaussians, and writes a folder that has what every run has (`write_derived`): configuration, scene, test views
measured anew, report. The folder says in `derived.json`, and in an entry of `metrics.json`, what was done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from gsplat_core.errors import DataError, UsageError
from gsplat_core.io import export_verified
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.strict_json import write_json
from trainers.config import TrainConfig
from trainers.coordinates import share_coordinates
from trainers.messages import warn
from trainers.parts.results import AtTest, read_part_results, settled, write_part_results
from trainers.paths import is_run
from trainers.results import write_results
from trainers.run_folder import RunFolder
from trainers.session import choose_device
from trainers.sources import load_scene, photographs_of, training_costs


def folder_for(output: Path, source: Path, overwrite: bool) -> RunFolder:
    """The folder of a run that is to be written. Nothing is written yet.

    Args:
        source: the run or file that it will be made from.
        overwrite: whether it may replace another run.

    Raises:
        UsageError: it is the source's own, is a file, or holds a run already.
    """
    if output.resolve() in (source.resolve(), source.resolve().parent):
        raise UsageError(f"{output}: the new run needs a folder of its own.")
    if output.is_file():
        raise UsageError(f"{output} is a file; a run is a folder. Choose another name.")
    folder = RunFolder(output)
    if folder.exists and not overwrite:
        raise UsageError(f"{output} already holds a run. Use --overwrite to replace it, or choose another.")
    return folder


@dataclass(eq=False)
class Origin:
    """What a run is derived from.

    Attributes:
        path: the run folder or splat file.
        config: of the run; of a file, what is known of it.
        gaussians: the scene, detached, on the device asked for.
        dataset: its photographs in its coordinates; decoded when they are asked for.
        part_results: what the parts of the training found (`trainers.parts.results`).
        costs: of the training, for metrics.json.
    """

    path: Path
    config: TrainConfig
    gaussians: Gaussians
    dataset: Dataset
    part_results: dict[str, Any] = field(default_factory=dict)
    costs: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def at_test(self) -> AtTest:
        """How the parts of the training want the scene compared with photographs."""
        parts = settled(self.config, self.dataset.train, self.part_results, self.gaussians.device)
        return AtTest(parts, self.dataset.train)

    @classmethod
    def open(
        cls,
        path: Path,
        scene: Path | None = None,
        images: Path | None = None,
        device: str = "auto",
        read: Sequence[str] = (),
    ) -> Origin:
        """
        Args:
            path: run folder or splat file.
            scene: where the photographs are; None: where the run says.
            images: their folder, if it is another now.
            read: options of reading a file.

        Raises:
            DataError: the scene or its photographs cannot be read, or the scene is empty.
            UsageError: a file without photographs.
        """
        gaussians = load_scene(path, warn, list(read)).detached().baked().to(choose_device(device))
        if not gaussians.num:
            raise DataError(path, "there are no Gaussians in it")
        dataset, config = photographs_of(path, scene, images)
        if dataset is None:
            raise UsageError("A splat file alone does not tell from where it is seen: add --scene DATA.")
        for warning in dataset.warnings:
            warn(warning)
        share_coordinates(dataset, gaussians)
        if not is_run(path):
            return cls(path, _config_of(gaussians, config), gaussians, dataset)
        run = RunFolder(path)
        return cls(path, config, gaussians, dataset, read_part_results(run.parts), training_costs(run, warn))


def _config_of(gaussians: Gaussians, config: TrainConfig) -> TrainConfig:
    """The configuration with what a file says about its scene."""
    drawn = gaussians.metadata
    return replace(
        config,
        preset="file",
        primitive=gaussians.primitive,
        sh_degree=gaussians.sh_degree,
        antialiased=drawn.antialiased,
        eps2d=drawn.eps2d,
        order="pixel" if drawn.pixel_order else "global",
        footprint="unscented" if drawn.unscented else "ewa",
    )


def write_derived(
    folder: RunFolder, origin: Origin, gaussians: Gaussians, done: dict[str, Any]
) -> dict[str, Any]:
    """Writes a run with these Gaussians in place of the origin's, whose test views it measures anew.

    Args:
        folder: owned by the caller; what an earlier run left in it is removed.
        done: what was done: JSON values, among them `command`, the name of the command.

    Returns:
        the content of metrics.json, where `derived` is what was done.

    Raises:
        ResourceError, NumericalError: the scene cannot be written.
    """
    folder.remove_results()
    write_part_results(folder.parts, origin.part_results)
    write_json(folder.config, origin.config.to_json())
    write_json(folder.derived, {**done, "source": str(origin.path.resolve())})
    export_verified(folder.point_cloud, gaussians)
    return write_results(folder, origin.config, origin.dataset, gaussians, origin.costs)
