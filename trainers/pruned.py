"""`compress --prune`: a scene without some of its Gaussians, as a file or as a run of its own."""

from __future__ import annotations

from pathlib import Path

from gsplat_core.compress.prune import Pruning
from gsplat_core.errors import DataError, UsageError
from gsplat_core.io import FORMATS, export_verified, format_of
from gsplat_core.io.links import make_folder
from gsplat_core.scene.gaussians import Gaussians
from trainers.derived_run import Origin, folder_for, write_derived
from trainers.fidelity import in_words
from trainers.fine_tuning import polish
from trainers.messages import say, warn
from trainers.next_steps import next_steps, quoted
from trainers.outputs import must_not_be_source
from trainers.paths import is_run
from trainers.primitives import refuse_pruning
from trainers.results import test_background
from trainers.sources import load_scene
from trainers.waiting import busy


def prune(
    source: Path,
    output: Path,
    pruning: Pruning,
    steps: int = 0,
    data: Path | None = None,
    images: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Prunes a scene, perhaps trains what is left, writes that, and tells what became of its images.

    Args:
        source: run folder or splat file.
        output: a splat file, if its name has the ending of one, else the folder of a run.
        steps: of training after the pruning.
        data, images: as those of `Origin.open`.
        overwrite: whether another run may be replaced.

    Raises:
        UsageError: what needs photographs has none, or the output is in the way of something.
        DataError: the scene or its photographs cannot be read.
    """
    as_file = any(known.matches(output) for known in FORMATS)
    if as_file:
        format_of(output)
        must_not_be_source(output, [source])
    folder = None if as_file else folder_for(output, source, overwrite)
    origin = _origin(source, data, images, _need(pruning, steps, as_file))
    before = load_scene(source, warn).detached() if origin is None else origin.gaussians
    if not before.num:
        raise DataError(source, "there are no Gaussians to prune")
    refuse_pruning(before.primitive)
    cameras = [] if origin is None else [origin.at_test.camera(view) for view in origin.dataset.train]
    with busy("choosing"):
        after = pruning.applied(before, cameras)
    if origin is not None and steps:
        after = polish(after, origin.dataset, origin.config, steps, origin.part_results)
    left = f"{after.num:,} of {before.num:,} Gaussians are left"
    if folder is None:
        make_folder(output.parent)
        with busy("writing and reading back"):
            after = export_verified(output, after)
        size = sum(path.stat().st_size for path in format_of(output).files(output))
        shown = next_steps(("view", quoted(output), "look at it in the browser"))
        say(left, _images(before, after, origin), f"wrote {output}: {size:,} bytes", *shown)
        return
    assert origin is not None
    done = {"command": "compress", "prune": pruning.rule, "rate": pruning.rate, "steps": steps}
    with folder.owned(), folder.crash_reports():
        write_derived(folder, origin, after, done)
        images_then = _images(before, after, origin)
        shown = next_steps(("view", quoted(folder.path), "look at it in the browser"))
        say(left, images_then, f"scene   {folder.point_cloud}", *shown)


def _need(pruning: Pruning, steps: int, as_file: bool) -> str | None:
    """For what there must be photographs, in words."""
    if pruning.needs_photographs:
        return f"to prune by {pruning.rule}"
    if steps:
        return "to train what is left"
    return None if as_file else "to write a run (a file has the ending of its format, such as .ply)"


def _origin(source: Path, data: Path | None, images: Path | None, need: str | None) -> Origin | None:
    """The scene with its photographs, or None if there are none and none are needed."""
    if not is_run(source) and data is None:
        if need is not None:
            raise UsageError(f"{source} is a file without photographs, which are needed {need}: add --data.")
        return None
    try:
        return Origin.open(source, data, images)
    except DataError as error:
        if need is not None or data is not None:
            raise
        warn(f"the photographs of the run cannot be read, so an orbit is rendered instead: {error}")
        return None


def _images(before: Gaussians, after: Gaussians, origin: Origin | None) -> str:
    if origin is None:
        return in_words(before, after, None, "black")
    return in_words(before, after, origin.dataset, test_background(origin.config), origin.at_test.camera)
