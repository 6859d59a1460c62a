"""`gsplat-core compress`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from gsplat_core.errors import DataError, UsageError
from trainers.options import OptionalCount, OptionalFolder, OptionalName, OptionalNumber, optional
from trainers.paths import must_be_scene

DEFAULT_CODEC = "scalar"
DEFAULT_STEPS = 300
DEFAULT_LOSS_DB = 0.3
MOST_MB = 1_000_000


def compress(
    run: Positional[Annotated[Path, arg(metavar="RUN|FILE")]],
    output: Annotated[Path, arg(aliases=["-o"], metavar="RUN2|FILE")],
    codec: OptionalName = None,
    max_loss_db: OptionalNumber = None,
    max_loss_ssim: OptionalNumber = None,
    target_mb: OptionalNumber = None,
    steps: OptionalCount = None,
    prune: Annotated[str | None, optional("RULE:RATE")] = None,
    data: OptionalFolder = None,
    images: OptionalFolder = None,
    overwrite: bool = False,
) -> None:
    """Make the scene of a run small: prune it, train it briefly for a codec, code it; again and again.

    Writes a run folder with point_cloud.gsz, the measurements of what that file decodes to, and
    compression.json with every setting that was tried. export turns it into other formats.

    With --prune Gaussians are only left out, of a run or of any splat file, and what is left is written as it
    is: as a file of the format that the ending of -o names, or as a run.

    Args:
        run: finished run folder; with --prune also a splat file.
        output: run folder to write; with --prune also a file.
        codec: scalar (default, smallest), vq (codebooks), grid (sorted pictures) or eagles (rows decoded from
            latents).
        max_loss_db: the smallest file whose test PSNR is at most so much lower (default: 0.3) ...
        max_loss_ssim: ... and whose SSIM is at most so much lower (default: a sixtieth of that, 0.005).
        target_mb: the best file of at most so many million bytes, instead.
        steps: training steps of each round (default: 300); with --prune those that train what is left
            (default: 0).
        prune: leave out this part of the Gaussians, as in spectral:0.5, by one of the rules spectral (by
            comparing neighbours, without photographs), opacity, or contribution (what photographs show
            least).
        data: where the photographs are now, if they were moved, or are at all.
        images: the folder of the photographs, if it is another now.
        overwrite: replace the run in the output folder.
    """
    must_be_scene(run)
    if steps is not None and steps < 1:
        raise UsageError(f"--steps must be at least 1, got {steps}.")
    if prune is not None:
        if not (codec is max_loss_db is max_loss_ssim is target_mb is None):
            raise UsageError(
                "--prune writes what is left as it is, without --codec and a goal for it; leave these out, "
                "and compress the run that was pruned."
            )
        from gsplat_core.compress.prune import Pruning
        from trainers.pruned import prune as pruned

        pruned(run, output, Pruning.of(prune), steps or 0, data, images, overwrite)
        return
    if run.is_file():
        raise UsageError(
            f"{run} is a file; compress needs a run, whose photographs it measures with. export writes a "
            "file in another format, and --prune leaves Gaussians out of any."
        )
    codec = codec or DEFAULT_CODEC
    from gsplat_core.compress.registry import check_name
    from trainers.derived_run import folder_for
    from trainers.rate_search import Goal

    check_name(codec)
    for name, value in {"db": max_loss_db, "ssim": max_loss_ssim}.items():
        if value is not None and target_mb is not None:
            raise UsageError(f"--max-loss-{name} and --target-mb exclude each other; use one of them.")
    if target_mb is not None and not 0 < target_mb < MOST_MB:
        raise UsageError(f"--target-mb must be positive and below {MOST_MB:,}, not {target_mb}.")
    folder = folder_for(output, run, overwrite)
    if target_mb is not None:
        goal = Goal(target_bytes=round(target_mb * 1e6))
    else:
        loss_db = DEFAULT_LOSS_DB if max_loss_db is None else max_loss_db
        goal = Goal(max_loss_db=loss_db, max_loss_ssim=max_loss_ssim)
    with folder.owned(), folder.crash_reports():
        _compress(run, folder, codec, goal, steps or DEFAULT_STEPS, data, images)


def _compress(
    run: Path, folder: Any, codec: str, goal: Any, steps: int, data: Path | None, images: Path | None
) -> None:
    import time
    from dataclasses import asdict

    from gsplat_core.compress.registry import CODECS
    from gsplat_core.io import load
    from gsplat_core.io.atomic import write_bytes
    from gsplat_core.scene.gaussians import PLAIN
    from gsplat_core.strict_json import write_json
    from trainers.coordinates import share_coordinates
    from trainers.messages import say, warn
    from trainers.next_steps import next_steps, quoted
    from trainers.parts.results import read_part_results, write_part_results
    from trainers.presets import with_primitive
    from trainers.primitives import refuse_codec
    from trainers.rate_search import Round, search
    from trainers.results import write_results
    from trainers.run_folder import RunFolder
    from trainers.sources import load_photographs, load_scene, run_config, training_costs, with_data

    config = with_data(run_config(run), data, images)
    gaussians, coded = load_scene(run, warn).detached(), CODECS[codec].primitive
    if not gaussians.num:
        raise DataError(run, "there are no Gaussians to compress")
    if gaussians.primitive != coded:
        gaussians = gaussians.baked()
        refuse_codec(gaussians.primitive, codec)
    if coded != PLAIN:
        config = with_primitive(config, coded)
    dataset = load_photographs(config)
    share_coordinates(dataset, gaussians)
    ply_bytes = gaussians.num * 4 * (17 + gaussians.shN.shape[1] * 3)  # the INRIA layout, without its header

    def report(entry: Round) -> None:
        say(
            f"{entry.num_gaussians:>9,} Gaussians, steps x {entry.coarseness:.2f}: {entry.size:>11,} bytes, "
            f"{ply_bytes / entry.size:5.1f} times smaller, {_quality(entry)}"
        )

    start = time.perf_counter()
    results = read_part_results(RunFolder(run).parts)
    found = search(gaussians, dataset, config, codec, goal, steps, report, results)
    folder.remove_results()
    write_part_results(folder.parts, results)
    write_json(folder.config, config.to_json())
    write_bytes(folder.compressed, found.chosen.data)
    outcome = {
        "codec": codec,
        "goal": asdict(goal),
        "reached": found.reached,
        "source": str(run.resolve()),
        "source_ply_bytes": ply_bytes,
        "source_psnr": found.reference_psnr,
        "source_ssim": found.reference_ssim,
        "ratio": ply_bytes / found.chosen.size,
        "chosen": found.chosen.summary(),
        "tried": [entry.summary() for entry in found.rounds],
        "seconds": time.perf_counter() - start,
    }
    write_json(folder.compression, outcome)
    costs = training_costs(RunFolder(run), warn)
    write_results(folder, config, dataset, load(folder.compressed), costs)
    chosen = found.chosen
    verdict = "chosen" if found.reached else "the goal was not reached; nearest"
    say(
        f"{verdict}: {chosen.kept:.0%} of the Gaussians, steps x {chosen.coarseness:.2f}, "
        f"{chosen.size:,} bytes, {outcome['ratio']:.1f} times smaller than the .ply, "
        f"{_quality(chosen)}",
        f"scene   {folder.compressed}",
        *next_steps(("view", quoted(folder.path), "look at it in the browser")),
    )


def _quality(entry: Any) -> str:
    """Both measures, and what became of them."""
    return f"{entry.psnr:.2f} dB ({-entry.loss_db:+.2f}), SSIM {entry.ssim:.4f} ({-entry.loss_ssim:+.4f})"
