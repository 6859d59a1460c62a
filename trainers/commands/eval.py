"""`gsplat-core eval`"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, UseAppendAction, arg

from gsplat_core.errors import UsageError
from trainers.options import (
    OptionalAlpha,
    OptionalBackground,
    OptionalCount,
    OptionalDevice,
    OptionalDistortion,
    OptionalFolder,
    OptionalName,
    OptionalNumber,
    OptionalRenderer,
    optional,
)
from trainers.paths import must_be_scene, must_exist

if TYPE_CHECKING:
    from trainers.config import TrainConfig

NEEDS_PHOTOGRAPHS = "A splat file is measured against photographs: add --data FOLDER."


def evaluate(
    source: Positional[Annotated[Path, arg(metavar="RUN|FILE")]],
    data: OptionalFolder = None,
    images: OptionalFolder = None,
    output: Annotated[Path | None, optional("FILE.json", "-o")] = None,
    downscale: OptionalNumber = None,
    test_every: OptionalCount = None,
    sparse_model: OptionalName = None,
    masks: OptionalFolder = None,
    alpha: OptionalAlpha = None,
    distortion: OptionalDistortion = None,
    exif_rotate: bool = False,
    background: OptionalBackground = None,
    renderer: OptionalRenderer = None,
    device: OptionalDevice = None,
    set: Annotated[tuple[str, ...], arg(metavar="NAME=VALUE ...", help_behavior_hint="")] = (),
    read: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=VALUE")] = (),
) -> None:
    """Measure a run or any splat file against photographs: PSNR, SSIM, PSNR with corrected colours.

    A run's test views are rendered again, and its test/, metrics.json and report.html are rewritten. With -o
    its folder stays as it is, and other settings may be tried. A splat file needs --data, and nothing is
    written without -o.

    Args:
        source: run folder or splat file of any format.
        data: photographs with poses (for a run: where they are now, if they were moved).
        images: the folder of the photographs, inside DATA or anywhere.
        output: write the measurements to this file instead.
        downscale: shrink the photographs by this factor (default: the run's, or 1).
        test_every: every so many-th image is measured, 0: all of them (default: the run's, or 8).
        sparse_model: which sparse model of the folder, for example 0.
        masks: the folder of the photographs' masks, or none.
        alpha: what transparent photographs are composited on; auto: on the background; mask: what is
            transparent does not count.
        distortion: undistort the photographs, or use them as they are (default: as the run did).
        exif_rotate: turn photographs as their EXIF data ask for, where they fit their camera that way.
        background: colour behind the scene (default: as the run was tested, or black).
        renderer: how the scene is drawn: as splats, or as a density that rays are cast through (default: as
            it was trained; docs/raygauss.md).
        device: where to compute; auto takes a GPU when there is one.
        set: other entries of config.json that say how photographs are read.
        read: an option of reading a file, such as axes=ply for .spz, or antialiased=true for one that does
            not say so (may be repeated).
    """
    must_be_scene(source)
    must_exist(data)
    if source.is_file() and data is None:
        raise UsageError(NEEDS_PHOTOGRAPHS)
    from trainers.config import TrainConfig
    from trainers.messages import say
    from trainers.paths import is_run, splat_file
    from trainers.sources import run_config, with_data

    given = {
        name: value
        for name, value in {
            "downscale": downscale, "test_every": test_every, "sparse_model": sparse_model,
            "background": background, "masks": masks, "alpha": alpha, "exif_rotate": exif_rotate or None,
            "distortion": distortion,
        }.items()
        if value is not None
    }  # fmt: skip
    run = is_run(source)
    if run and output is None and (given or set or renderer is not None):
        named = [*given, *(["set"] if set else []), "renderer"]
        name = "--" + named[0].replace("_", "-")
        raise UsageError(f"{name} would change what the run says about itself: add -o FILE.json.")
    file = splat_file(source)
    if not run and data is None and file is not None and file.exists():
        raise UsageError(NEEDS_PHOTOGRAPHS)
    known = with_data(run_config(source) if run else TrainConfig(), data, images)
    config = _config(known, given, device, set)
    if run and output is None:
        metrics = _rewritten(source, config)
    else:
        metrics = _measured(source, config, read, output, renderer)
    for entry in metrics["per_image"]:
        say(f"{_scores(entry)}  {entry['name']}")
    say(
        f"{_scores(metrics)}  mean of {len(metrics['per_image'])} {metrics['split']} views; "
        f"colours corrected {metrics['cc_psnr']:.2f} dB, worst SSIM {metrics['worst_ssim']:.4f}"
    )
    if "half_psnr" in metrics:
        say(
            f"{metrics['half_psnr']:6.2f} dB  {metrics['half_ssim']:.4f}  mean of their right halves, after "
            "what is a photograph's own was fitted to its left half"
        )


def _config(
    known: TrainConfig, given: dict[str, Any], device: str | None, settings: tuple[str, ...]
) -> TrainConfig:
    from gsplat_core.ranges import ranges_of
    from trainers.config import TrainConfig
    from trainers.fields import check_option
    from trainers.settings import with_settings
    from trainers.sources import folder_of

    for name in ("downscale", "test_every"):
        check_option(name, given.get(name), ranges_of(TrainConfig)[name])
    if "masks" in given:
        given = given | {"masks": folder_of(Path(known.data), given["masks"])}
    config = replace(known, **given)
    if device is not None:
        config = replace(config, device=device)  # type: ignore[arg-type]
    return with_settings(config, settings)


def _rewritten(run: Path, config: TrainConfig) -> dict[str, Any]:
    """The measurements of a run, put into its folder."""
    from trainers.messages import warn
    from trainers.results import write_results
    from trainers.run_folder import RunFolder
    from trainers.session import choose_device
    from trainers.sources import load_photographs, load_scene, training_costs

    folder = RunFolder(run)
    gaussians = load_scene(run, warn)
    with folder.owned(), folder.crash_reports():
        costs = training_costs(folder, warn)
        dataset = load_photographs(config)
        return write_results(folder, config, dataset, gaussians.to(choose_device(config.device)), costs)


def _measured(
    source: Path, config: TrainConfig, read: tuple[str, ...], output: Path | None, renderer: str | None
) -> dict[str, Any]:
    """The measurements of a scene wherever it comes from; the file is written where one is named."""
    from gsplat_core.io.links import make_folder
    from gsplat_core.strict_json import write_json
    from trainers.messages import warn
    from trainers.parts.results import read_part_results, settled
    from trainers.primitives import drawn_by
    from trainers.results import measure
    from trainers.run_folder import RunFolder
    from trainers.session import choose_device
    from trainers.sources import load_photographs, load_scene

    gaussians = drawn_by(load_scene(source, warn, list(read)), renderer).to(choose_device(config.device))
    dataset = load_photographs(config)
    for warning in dataset.warnings:
        warn(warning)
    results = read_part_results(RunFolder(source).parts)
    parts = settled(config, dataset.train, results, gaussians.device)
    metrics, _ = measure(config, dataset, gaussians, parts)
    metrics |= {"source": str(source.resolve()), "data": config.data, "downscale": config.downscale}
    if output is not None:
        make_folder(output.parent)
        write_json(output, metrics)
    return metrics


def _scores(entry: dict[str, Any]) -> str:
    return f"{entry['psnr']:6.2f} dB  {entry['ssim']:.4f}"
