"""`gsplat-core export`"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, UseAppendAction, arg

from gsplat_core.errors import UsageError
from trainers.options import OptionalCount, OptionalFolder, optional
from trainers.paths import must_be_scene

if TYPE_CHECKING:
    from gsplat_core.scene.gaussians import Gaussians

_UNMEASURED = "read back whole; what its images lose was not measured"
_EQUAL = "read back and compared: equal bit for bit"
_NO_LOSS = {"loss_db": 0.0, "loss_ssim": 0.0, "psnr_between": None}


def export(
    source: Positional[Path],
    output: Annotated[Path, arg(aliases=["-o"], metavar="FILE")],
    option: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=VALUE")] = (),
    read: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=VALUE")] = (),
    scene: OptionalFolder = None,
    images: OptionalFolder = None,
    measure: Literal["views", "orbit", "no"] = "views",
    coordinates: Literal["run", "original"] = "run",
    appearance: Annotated[str | None, optional("IMAGE")] = None,
    camera: Annotated[str | None, optional("IMAGE")] = None,
    bake: bool = False,
    frame: OptionalCount = None,
) -> None:
    """Write the scene of a run or splat file in the format that the new file's ending names.

    The file is read back before it takes its name, and rendered: the loss in dB and the bytes per Gaussian
    are printed and put into export.json beside it.

    Args:
        source: run folder or splat file; or, with --frame, the folder of a sequence.
        output: file to write; its ending chooses the format, and its folder is made.
        option: an option of the format, such as version=4 for .spz (may be repeated; a wrong one lists all).
        read: an option of reading the source, such as axes=ply for .spz, or antialiased=true for a file that
            does not say so (may be repeated).
        scene: photographs whose test views are rendered (default: those of the run).
        images: the folder of these photographs, if it is not the usual one.
        measure: views renders the test views, or an orbit where there are no photographs; orbit always
            renders that.
        coordinates: original adds the offset that was subtracted from a capture far from the origin, such as
            one in UTM coordinates.
        appearance: a training photograph of a run with --appearance, whose colours the scene is to have
            (default: those of the average photograph).
        camera: of a scene that is other Gaussians for each camera (--model scaffold, 6dgs), those that the
            camera of this photograph sees.
        bake: of such a scene, what all training cameras see on average, for any format; of one whose images
            a network finishes (--model sundae), its Gaussians without that.
        frame: of a sequence that stream wrote: which one, from 0 on, or from -1 at the end backward.
    """
    if frame is not None:
        from trainers.sequence.sequence import frame_of

        source = frame_of(source, frame)
    must_be_scene(source)
    if camera is not None and bake:
        raise UsageError("--camera writes what one camera sees, --bake what all see; leave one out.")
    from gsplat_core.io import export_verified, format_of
    from gsplat_core.io.export import takes_pieces
    from gsplat_core.io.links import make_folder
    from gsplat_core.io.options import options_of, parse_options
    from gsplat_core.scene.original_coordinates import with_origin_at
    from trainers.coordinates import in_coordinates
    from trainers.fidelity import compare_on_orbit
    from trainers.messages import warn
    from trainers.outlook import as_text, outlook
    from trainers.sources import load_scene
    from trainers.waiting import busy

    known = format_of(output)
    options = parse_options(known.save, list(option), f"writing {known.ending}") if known.save else {}
    changed = appearance is not None or camera is not None or bake or coordinates == "original"
    if not changed and (known.lossless or measure == "no") and takes_pieces(known, options):
        _export_pieces(source, output, options, list(read))
        return
    gaussians = load_scene(source, warn, list(read)).detached()
    if appearance is not None:
        from trainers.appearance import in_appearance

        gaussians = in_appearance(source, gaussians, appearance, scene, images)
    whole, baked = gaussians, None
    if camera is not None or bake:
        from trainers.baking import plain

        baked = plain(source, gaussians, camera, scene, images)
        gaussians = baked.scene
    if known.save and "view" in options_of(known.save) and "view" not in options and gaussians.num:
        options["view"] = as_text(outlook(source, gaussians))
    make_folder(output.parent)
    written, options = in_coordinates(coordinates, output, gaussians, options, warn)
    with busy(f"writing {known.ending} and reading it back"):
        result = export_verified(output, written, **options)
    facts = _facts(output, options, gaussians.num, result.sh_degree)
    facts |= {} if appearance is None else {"appearance": appearance}
    facts |= {} if baked is None else {"baked": baked.told}
    if coordinates == "original":
        facts["original_offset"] = list(gaussians.metadata.offset)
        result = with_origin_at(result, gaussians.metadata.offset)
    text = _UNMEASURED
    if baked is None and known.lossless and coordinates == "run":
        text = _EQUAL
        if gaussians.extras and not result.extras:
            text += ", but for the fields that were left out"
        facts |= _NO_LOSS
    elif measure != "no" and gaussians.num:
        facts |= _measured(source, scene, images, whole, result, orbit=measure == "orbit")
        text = _described(facts)
    texts = [text]
    if baked is not None and baked.camera is not None and measure != "no":
        between = compare_on_orbit(whole, result, [baked.camera])["psnr_between"]
        facts["psnr_at_camera"] = between
        same = "are the same" if between is None else f"differ by {between:.2f} dB"
        texts.append(f"at the camera itself its images {same}")
    about = [] if baked is None else [f"{baked.told}; beside the model's own pictures:"]
    _tell(output, facts, about, texts)


def _export_pieces(source: Path, output: Path, options: dict[str, Any], read: list[str]) -> None:
    """The same where neither is the scene changed nor are images compared: then it need not be in memory."""
    from gsplat_core.io import export_pieces, format_of
    from gsplat_core.io.links import make_folder
    from trainers.messages import warn
    from trainers.sources import load_scene_pieces, options_of_reading
    from trainers.waiting import busy

    known = format_of(output)
    pieces = load_scene_pieces(source, warn, options_of_reading(source, read))
    rows = 0

    def counted() -> Iterator[Gaussians]:
        nonlocal rows
        for piece in pieces.open():
            rows += piece.num
            yield piece

    make_folder(output.parent)
    with busy(f"writing {known.ending} and reading it back"):
        export_pieces(output, replace(pieces, open=counted), **options)
    degree = min(known.of_what(pieces.template).sh_degree, known.max_sh_degree)
    facts = _facts(output, options, rows, degree)
    text = _UNMEASURED
    if known.lossless:
        text = _EQUAL
        facts |= _NO_LOSS
    _tell(output, facts, [], [text])


def _facts(output: Path, options: dict[str, Any], num: int, degree: int) -> dict[str, Any]:
    """What is recorded of every export."""
    from gsplat_core.io import format_of

    known = format_of(output)
    size = sum(path.stat().st_size for path in known.files(output))
    return {
        "format": known.title,
        "options": options,
        "num_gaussians": num,
        "sh_degree": degree,
        "bytes": size,
        "bytes_per_gaussian": size / max(1, num),
    }


def _tell(output: Path, facts: dict[str, Any], about: list[str], texts: list[str]) -> None:
    """Prints what was written, and records it beside the file."""
    from trainers.fidelity import record
    from trainers.messages import say
    from trainers.next_steps import next_steps, quoted

    hints = next_steps(("view", quoted(output), "look at it in the browser"))
    if output.name.lower().endswith(".html"):
        hints = [f"next    open {output} in a browser"]
    say(
        f"wrote {output}: {facts['num_gaussians']:,} Gaussians, SH degree {facts['sh_degree']}, "
        f"{facts['bytes'] / 2**20:.2f} MiB, {facts['bytes_per_gaussian']:.2f} bytes per Gaussian",
        *about, *texts, *hints,
    )  # fmt: skip
    record(output, facts)


def _measured(
    source: Path,
    scene: Path | None,
    images: Path | None,
    before: Gaussians,
    after: Gaussians,
    orbit: bool,
) -> dict[str, Any]:
    """The comparison of images from the test views of the photographs, or from an orbit."""
    from gsplat_core.errors import DataError
    from trainers.camera_paths import views_around
    from trainers.coordinates import share_coordinates
    from trainers.fidelity import ORBIT_SIZE, ORBIT_VIEWS, compare_on_orbit, compare_on_views
    from trainers.messages import warn
    from trainers.parts.results import AtTest
    from trainers.results import test_background
    from trainers.sources import photographs_of

    dataset, config = None, None
    if not orbit:
        try:
            dataset, config = photographs_of(source, scene, images)
        except DataError as error:
            if scene is not None:
                raise
            warn(f"the photographs of the run cannot be read, so an orbit is rendered instead: {error}")
    if dataset is not None:
        share_coordinates(dataset, before)
    views = (dataset.test or dataset.train) if dataset else []
    if views and config and dataset:
        background = test_background(config)
        return {"cameras": "test" if dataset.test else "train"} | compare_on_views(
            before, after, views, background, AtTest.of(source, config, dataset, before.device).camera
        )
    cameras = views_around(before, ORBIT_VIEWS, ORBIT_SIZE)
    return {"cameras": "orbit"} | compare_on_orbit(before, after, cameras)


def _described(facts: dict[str, Any]) -> str:
    between = facts["psnr_between"]
    same = "its images are the same" if between is None else f"its images differ by {between:.2f} dB"
    if "loss_db" not in facts:
        return f"read back: on {facts['views']} views of an orbit {same}"
    return (
        f"read back: on {facts['views']} {facts['cameras']} views {facts['psnr_before']:.2f} -> "
        f"{facts['psnr_after']:.2f} dB, a loss of {facts['loss_db']:.3f} dB and "
        f"{facts['loss_ssim']:.4f} of SSIM {facts['ssim_before']:.4f} ({same})"
    )
