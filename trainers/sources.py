"""What a command gets when the user names a run folder or a splat file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gsplat_core.io
from gsplat_core.errors import DataError, UsageError
from gsplat_core.io.options import options_of, parse_options
from gsplat_core.io.pieces import Pieces
from gsplat_core.io.usable import keep_usable
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.masks import NO_MASKS
from trainers.checkpoint import Checkpoint, Totals, newest_checkpoint
from trainers.config import TrainConfig, read_config
from trainers.fields import from_json
from trainers.paths import is_run, must_exist, splat_file
from trainers.run_folder import RunFolder, TrainingCosts
from trainers.waiting import busy


def load_scene(path: Path, warn: Callable[[str], None], options: Sequence[str] = ()) -> Gaussians:
    """The Gaussians of a run (its result, or its newest checkpoint while it is not finished) or of a file.

    Args:
        path: run folder, splat file, or folder with the meta.json of a SOG scene.
        options: of reading the file, NAME=VALUE.

    Raises:
        DataError: neither a run nor a readable splat file, or not there.
        UsageError: options that the format does not have.
    """
    run = RunFolder(path)
    must_exist(path)
    file = splat_file(path)
    if file is not None:
        given = options_of_reading(path, options)
        with busy(f"reading {file.name}"):
            return gsplat_core.io.load(file, **given)
    options_of_reading(path, options)
    if not run.exists:
        raise DataError(
            path, "this folder is not a run: it has no config.json", remedy="Name a run or a splat file."
        )
    drawn = _drawn(run_config(path))
    if run.result is not None:
        with busy(f"reading {run.result.name}"):
            return gsplat_core.io.load(run.result).with_metadata(**drawn)
    scenes: list[Gaussians] = []

    def use(checkpoint: Checkpoint) -> None:
        scenes.append(Gaussians.from_state_dict(checkpoint.state["trainer"]["gaussians"]))

    checkpoint = newest_checkpoint(run.checkpoints, warn, use)
    if checkpoint is None:
        raise DataError(
            path, "this run has no result and no checkpoint yet", remedy="Wait for it or resume it."
        )
    warn(f"{path} is not finished: using the state after step {checkpoint.step}.")
    return keep_usable(scenes[-1], checkpoint.path, strict=False).with_metadata(**drawn)


def options_of_reading(path: Path, texts: Sequence[str]) -> dict[str, Any]:
    """Options of reading a splat file, from texts of the form NAME=VALUE.

    Raises:
        UsageError: the format does not have one of them, or `path` is a run.
    """
    file = splat_file(path)
    if file is None:
        if texts:
            raise UsageError("A run is no file: it has no options of reading.")
        return {}
    known = gsplat_core.io.format_of_file(file)
    what, common = f"reading {known.ending}", options_of(gsplat_core.io.load)
    own = [text for text in texts if text.partition("=")[0] not in common]
    given = parse_options(known.load, own, what) if known.load else {}
    return given | parse_options(gsplat_core.io.load, [text for text in texts if text not in own], what)


def load_scene_pieces(path: Path, warn: Callable[[str], None], options: dict[str, Any]) -> Pieces:
    """The same piece by piece, where the file allows it.

    Args:
        options: of reading the file, as its format takes them; how a run's scene is drawn, of those.
    """
    run, file = RunFolder(path), splat_file(path)
    if file is not None:
        with busy(f"reading {file.name}"):
            return gsplat_core.io.load_pieces(file, **options)
    if run.exists and run.result is not None:
        drawn = _drawn(run_config(path)) | options
        return gsplat_core.io.load_pieces(run.result).mapped(lambda piece: piece.with_metadata(**drawn))
    return Pieces.of(load_scene(path, warn).detached().with_metadata(**options))


def _drawn(config: TrainConfig) -> dict[str, Any]:
    """How a run's scene is to be drawn: results of older versions do not say so, their configuration does."""
    return {
        "antialiased": config.antialiased, "eps2d": config.eps2d, "pixel_order": config.order == "pixel",
        "unscented": config.footprint == "unscented",
    }  # fmt: skip


def training_costs(run: RunFolder, warn: Callable[[str], None]) -> dict[str, Any]:
    """What the run has used: from its metrics.json or, while it is not finished, its newest checkpoint."""
    metrics = run.read_metrics()
    if not metrics:
        costs: dict[str, Any] = {}

        def use(checkpoint: Checkpoint) -> None:
            totals = from_json(Totals, checkpoint.state["totals"])
            costs.update(
                steps=checkpoint.step,
                train_seconds=totals.train_seconds,
                train_cpu_seconds=totals.cpu_seconds,
                rollbacks=totals.rollbacks,
            )

        newest_checkpoint(run.checkpoints, warn, use)
        return costs
    return {name: metrics[name] for name in TrainingCosts.names() if name in metrics}


def load_photographs(config: TrainConfig, decode: bool = True) -> Dataset:
    """The dataset that a configuration names; without `decode`, images are read when they are asked for."""
    return Dataset.load(
        config.data,
        downscale=config.downscale,
        test_every=config.test_every,
        model=config.sparse_model,
        images=config.images,
        masks=config.masks,
        alpha=config.alpha_rule,
        exif_rotate=config.exif_rotate,
        strict=config.strict,
        prefetch=decode,
        distortion=config.distortion,
    )


def with_data(config: TrainConfig, data: Path | None, images: Path | None = None) -> TrainConfig:
    """The configuration with its photographs elsewhere; None leaves what it has."""
    if data is not None:
        config = replace(config, data=str(data.resolve()))
    if images is not None:
        config = replace(config, images=folder_of(Path(config.data), images))
    return config


def folder_of(data: Path, folder: str | Path) -> str:
    """How a configuration names a folder: relative to `data` where it is inside, so that both can be moved.

    Args:
        folder: relative to `data`, or else to the working directory; or "none", which stays.
    """
    if str(folder) == NO_MASKS:
        return NO_MASKS
    base = (data if data.is_dir() else data.parent).resolve()
    place = (base / folder if (base / folder).is_dir() else Path(folder)).resolve()
    return str(place.relative_to(base) if place.is_relative_to(base) else place)


def photographs_of(
    source: Path, scene: Path | None, images: Path | None = None
) -> tuple[Dataset | None, TrainConfig]:
    """The photographs of a run, or those in the folder `scene`, if there are any; not decoded in advance. And
    the configuration of the run, or the default one of a file.

    Raises:
        DataError: they cannot be read.
    """
    config = run_config(source) if is_run(source) else TrainConfig()
    config = with_data(config, scene, images)
    return (load_photographs(config, decode=False) if config.data else None), config


def run_config(path: Path) -> TrainConfig:
    return read_config(RunFolder(path).config)
