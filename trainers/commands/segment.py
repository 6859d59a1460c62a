"""`gsplat-core segment`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, UseAppendAction, arg

from gsplat_core.errors import DataError, UsageError
from trainers.options import OptionalFolder
from trainers.paths import must_be_scene, must_exist

if TYPE_CHECKING:
    from gsplat_core.apps.segment import Config, Lifted
    from gsplat_core.scene.dataset import View
    from gsplat_core.scene.gaussians import Gaussians
    from trainers.derived_run import Origin

MOST_LISTED = 20
Labels = Annotated[tuple[int, ...], arg(metavar="K ...", help_behavior_hint="")]


def segment(
    source: Positional[Annotated[Path, arg(metavar="RUN|FILE")]],
    masks: Annotated[Path, arg(metavar="DIR")],
    output: Annotated[Path, arg(aliases=["-o"], metavar="RUN2")],
    rule: Literal["argmax", "overlap"] = "argmax",
    bias: float = 0.0,
    norm: Literal["l1", "l2"] = "l1",
    fill: bool = False,
    extract: Labels = (),
    remove: Labels = (),
    scene: OptionalFolder = None,
    images: OptionalFolder = None,
    device: Literal["cpu", "cuda", "auto"] = "auto",
    read: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=VALUE")] = (),
    overwrite: bool = False,
) -> None:
    """Give Gaussians the labels of masks: which object each belongs to, and take objects out.

    A mask is a PNG called as its photograph, with a whole number for each pixel: 0 for the background, others
    for objects. Nothing is trained: the labels that explain the masks best follow from how much each pixel
    shows of each Gaussian. Not all photographs need a mask; those of test views are only measured against.
    Writes a run folder whose scene has the field `label` (-1: no mask shows it).

    Args:
        source: run folder or splat file.
        masks: folder of the masks.
        output: run folder to write.
        rule: argmax takes the label under which a Gaussian is seen most; with overlap each object is told
            from all the rest, and objects may share Gaussians.
        bias: from -1 to 1; above 0 objects become smaller and their edges clean, below 0 larger.
        norm: what the bias is a share of: the sum of a Gaussian's weights, or their Euclidean norm.
        fill: give Gaussians that no mask shows the label of most of their neighbours.
        extract: keep only the Gaussians of these labels.
        remove: leave out the Gaussians of these labels.
        scene: where the photographs are (default: those of the run; a file needs them named).
        images: the folder of these photographs, if it is not the usual one.
        device: where to compute; auto takes a GPU when there is one.
        read: an option of reading a file, such as axes=ply for .spz (may be repeated).
        overwrite: replace the run in the output folder.
    """
    must_be_scene(source)
    must_exist(masks, scene)
    if extract and remove:
        raise UsageError("--extract and --remove exclude each other: what is not extracted is removed.")
    from gsplat_core.apps.segment import Config
    from trainers.derived_run import Origin, folder_for, write_derived
    from trainers.messages import say
    from trainers.next_steps import next_steps, quoted

    config = Config(rule, bias, norm, fill)
    folder = folder_for(output, source, overwrite)
    origin = Origin.open(source, scene, images, device, read)
    after, done = _segmented(origin, masks, config, extract, remove)
    with folder.owned(), folder.crash_reports():
        metrics = write_derived(folder, origin, after, done)
    say(
        f"{done['masks']} masks, Gaussians by label: {_listed(done['labels'])}",
        f"masks of {done['masks_measured']} {done['masks_split']} views: "
        f"mean intersection over union {done['miou']:.4f}",
        f"{after.num:,} of {origin.gaussians.num:,} Gaussians, {metrics['psnr']:.2f} dB",
        f"scene   {folder.point_cloud}",
        *next_steps(("view", quoted(folder.path), "look at it in the browser")),
    )


def _segmented(
    origin: Origin, folder: Path, config: Config, extract: tuple[int, ...], remove: tuple[int, ...]
) -> tuple[Gaussians, dict[str, Any]]:
    """What stays of the scene, with labels, and what was done.

    Args:
        folder: of the masks.
    """
    from dataclasses import asdict

    from gsplat_core.labels import counts, labelled
    from gsplat_core.scene.label_masks import label_masks

    dataset = origin.dataset
    files = label_masks(folder, [*dataset.train, *dataset.test])
    used = [view for view in dataset.train if view.name in files]
    if not used:
        raise DataError(
            folder,
            "the only masks are those of test views, which are for measuring",
            remedy="Add masks of training views.",
        )
    lifted = _lifted(origin, used, files, config)
    kept = _kept(lifted, extract, remove)
    scene = labelled(origin.gaussians, lifted.labels)
    done = {
        "command": "segment",
        "settings": asdict(config),
        "extract": list(extract),
        "remove": list(remove),
        "masks": len(used),
        "labels": {str(label): number for label, number in counts(lifted.labels).items()},
        **_agreement(scene, origin, files),
    }
    return scene.subset(kept), done


def _lifted(origin: Origin, views: list[View], files: dict[str, Path], config: Config) -> Lifted:
    from gsplat_core.apps.segment import lift
    from gsplat_core.scene.label_masks import read_label_mask
    from trainers.waiting import counted

    shown = counted(views, "looking through masks", len(views))
    masks = (read_label_mask(files[view.name], view) for view in shown)
    return lift(origin.gaussians, [origin.at_test.camera(view) for view in views], masks, config)


def _kept(lifted: Lifted, extract: tuple[int, ...], remove: tuple[int, ...]) -> Any:
    """[N] bool, the Gaussians that stay."""
    kept = lifted.of(extract) if extract else ~lifted.of(remove)
    if not bool(kept.any()):
        raise UsageError("No Gaussian would be left.")
    return kept


def _agreement(scene: Gaussians, origin: Origin, files: dict[str, Path]) -> dict[str, Any]:
    """How well the rendered labels agree with masks: those of test views, or, where these have none, those
    that the labels are from."""
    import torch

    from gsplat_core.labels import label_image, overlap
    from gsplat_core.scene.label_masks import read_label_mask
    from trainers.evaluation import mean
    from trainers.waiting import counted

    tested = [view for view in origin.dataset.test if view.name in files]
    views = tested or [view for view in origin.dataset.train if view.name in files]
    pixels: dict[int, torch.Tensor] = {}
    for view in counted(views, "measuring labels", len(views)):
        found, truth = (
            label_image(scene, origin.at_test.camera(view)).cpu(),
            read_label_mask(files[view.name], view),
        )
        values = torch.cat([found.flatten(), truth[truth >= 0]]).unique()
        for value, both in zip(values.tolist(), overlap(found, truth, values).T, strict=True):
            pixels[value] = pixels.get(value, 0) + both
    iou = {str(value): float(both / either) for value, (both, either) in sorted(pixels.items()) if either}
    if not iou:
        raise DataError(
            files[views[0].name].parent,
            "no pixel of these masks counts: their photographs are masked out there",
        )
    return {
        "masks_measured": len(views),
        "masks_split": "test" if tested else "training",
        "iou": iou,
        "miou": mean(iou.values()),
    }


def _listed(labels: dict[str, int]) -> str:
    shown = [f"{label}: {number:,}" for label, number in labels.items()]
    return ", ".join(shown[:MOST_LISTED]) + (" ..." if len(shown) > MOST_LISTED else "")
