"""`gsplat-core edit`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from gsplat_core.errors import UsageError
from trainers.options import OptionalFolder
from trainers.paths import must_be_scene, must_exist

MOST_STEPS = 1_000_000


def edit(
    run: Positional[Annotated[Path, arg(metavar="RUN")]],
    output: Annotated[Path, arg(aliases=["-o"], metavar="RUN2")],
    roi: Annotated[int, arg(metavar="LABEL")],
    targets: Annotated[Path, arg(metavar="DIR")],
    steps: int = 1000,
    anchors: Literal["on", "off"] = "on",
    colours_only: bool = False,
    seed: int = 0,
    data: OptionalFolder = None,
    images: OptionalFolder = None,
    device: Literal["cpu", "cuda", "auto"] = "auto",
    overwrite: bool = False,
) -> None:
    """Change a region of a scene until it looks like edited pictures of it; nothing else changes.

    The region is what has a label (segment gives labels to Gaussians). All other Gaussians stay as they are,
    to the bit. Pictures are named as the training photographs and have their size in the run, as render
    --path train writes them; photographs without one are not used. They need not agree with each other.

    Writes a run folder; tells how near the scene came to the pictures, inside of the region and outside.

    Args:
        run: finished run folder whose Gaussians have labels.
        output: run folder to write.
        roi: label of the Gaussians to change.
        targets: folder of the edited pictures.
        steps: training steps, one picture each.
        anchors: whether what the pictures disagree about is held in its place; off follows them more freely.
        colours_only: change colours and leave shapes as they are.
        seed: of the order of pictures and of new Gaussians.
        data: where the photographs are now, if they were moved.
        images: the folder of the photographs, if it is another now.
        device: where to compute; auto takes a GPU when there is one.
        overwrite: replace the run in the output folder.
    """
    must_be_scene(run)
    must_exist(targets)
    if run.is_file():
        raise UsageError(f"{run} is a file; edit needs a run, whose cameras the pictures are seen from.")
    if not 1 <= steps <= MOST_STEPS:
        raise UsageError(f"--steps must be from 1 to {MOST_STEPS:,}, got {steps}.")
    if seed < 0:
        raise UsageError(f"--seed must not be negative, got {seed}.")
    from trainers.derived_run import folder_for

    folder = folder_for(output, run, overwrite)
    _edit(run, folder, roi, targets, steps, anchors == "on", colours_only, seed, data, images, device)


def _edit(
    run: Path,
    folder: Any,
    roi: int,
    targets: Path,
    steps: int,
    anchored: bool,
    colours_only: bool,
    seed: int,
    data: Path | None,
    images: Path | None,
    device: str,
) -> None:
    from gsplat_core.anchors import AnchorConfig
    from gsplat_core.apps.edit import EditConfig, EditTrainer, region_of
    from trainers.derived_run import Origin, write_derived
    from trainers.edit_report import measure
    from trainers.evaluation import backdrop
    from trainers.messages import say
    from trainers.next_steps import next_steps, quoted
    from trainers.results import test_background
    from trainers.targets import find_targets, read_target
    from trainers.waiting import counted

    origin = Origin.open(run, data, images, device)
    scene, background = origin.gaussians, test_background(origin.config)
    region = region_of(scene, roi)
    pictures = find_targets(targets, origin.dataset.train)
    views = [origin.dataset.train[number] for number in pictures]
    alpha: Literal["black", "white"] = "white" if background == "white" else "black"
    wanted = [read_target(path, view, alpha) for path, view in zip(pictures.values(), views, strict=True)]
    masks = [view.mask() for view in views]

    shapes = [known for known in scene.schema.trained if known.role != "colour"]
    config = EditConfig(
        steps=steps,
        refresh_every=0,
        rates={known.name: 0.0 for known in shapes if colours_only},
        seed=seed,
    )
    trainer = EditTrainer(
        scene,
        region,
        [origin.at_test.camera(view) for view in views],
        lambda view, image: wanted[view],
        AnchorConfig() if anchored else None,
        config=config,
        masks=masks,
        background=backdrop(background, scene.device),
        scale=origin.dataset.scale,
    )
    with folder.owned(), folder.crash_reports():
        for _ in counted(range(steps), "editing", steps):
            trainer.advance()
        edited = trainer.scene
        facts = measure(scene, edited, region, views, wanted, background, origin.at_test.camera)
        done = {
            "command": "edit", "roi": roi, "targets": str(targets.resolve()), "pictures": len(views),
            "steps": steps, "anchors": anchored, "colours_only": colours_only, "seed": seed, **facts,
        }  # fmt: skip
        write_derived(folder, origin, edited, done)
    say(
        f"{int(region.sum()):,} of {scene.num:,} Gaussians were edited towards {len(views)} pictures; there "
        f"are {edited.num:,} now",
        f"inside the region:  {_change(facts, 'inside')}",
        f"outside of it:      {_change(facts, 'outside')}",
        f"scene   {folder.point_cloud}",
        *next_steps(("view", quoted(folder.path), "look at it in the browser")),
    )


def _change(facts: dict[str, Any], where: str) -> str:
    """PSNR against the pictures before and after."""
    before, after = facts[f"{where}_before"], facts[f"{where}_after"]
    return "no pixel" if before is None else f"{before:.2f} -> {after:.2f} dB"
