"""`gsplat-core sfm`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from gsplat_core.errors import UsageError
from gsplat_core.ranges import COUNT, POSITIVE
from trainers.fields import check_option
from trainers.options import OptionalCount, OptionalFolder, OptionalNumber
from trainers.paths import must_exist


def sfm(
    source: Positional[Annotated[Path, arg(metavar="VIDEO|FRAMES")]],
    output: Annotated[Path, arg(aliases=["-o"], metavar="DATA")],
    flow: OptionalFolder = None,
    tracks: OptionalFolder = None,
    focal: OptionalNumber = None,
    frames: OptionalCount = None,
    steps: OptionalCount = None,
    overwrite: bool = False,
) -> None:
    """Find where the frames of a video were taken from, by optical flow instead of features (FlowMap).

    For videos in which COLMAP finds too few features, of a camera that moves sideways and a scene that stands
    still; neighbouring frames share more than half of what they show. Writes images/ and sparse/0/ (one
    pinhole camera), which `train` takes. `reconstruct` is more exact where there are features
    (docs/reconstructing.md).

    Args:
        source: video, or a folder with its frames in the order of their names. It is not changed.
        output: folder to write.
        flow: folder of optical flow as .flo or .npy (default: it is found, by OpenCV's DIS if installed, or
            else by comparing blocks).
        tracks: folder of a COLMAP model, whose tracks take the place of flow; its poses are not used.
        focal: focal length in pixels, where it is known (default: it is found).
        frames: how many of a video are used (default: by how far its camera went, from 40 to 300).
        steps: of the descent (default: 400).
        overwrite: replace what such a command has written into the output folder.
    """
    must_exist(source, flow, tracks)
    if flow is not None and tracks is not None:
        raise UsageError("--flow and --tracks exclude each other: both say which places show the same.")
    for name, value, allowed in (
        ("focal", focal, POSITIVE),
        ("frames", frames, COUNT),
        ("steps", steps, COUNT),
    ):
        check_option(name, value, allowed)
    from gsplat_core.sfm.flow.capture import Sources, check_output, find_capture
    from gsplat_core.sfm.flow.flowmap import FlowMapConfig
    from trainers.messages import say, warn
    from trainers.next_steps import next_steps, quoted
    from trainers.run_folder import RunFolder
    from trainers.waiting import staged

    check_output(source, output, overwrite)
    config = FlowMapConfig() if steps is None else FlowMapConfig(steps=steps)
    folder = RunFolder(output)
    with folder.owned(), folder.crash_reports(), staged() as told:
        found = find_capture(source, output, Sources(flow, tracks, focal, frames), config, told)
    for first, second in found.doubtful[:3]:
        warn(f"{first!r} and {second!r} have little in common; what lies beyond may be out of place.")
    if len(found.doubtful) > 3:
        warn(f"So it is with {len(found.doubtful) - 3} more neighbours.")
    if found.matches_from == "blocks":
        warn(
            "Flow was found by comparing blocks, which needs texture; elsewhere install "
            "opencv-python-headless, or give --flow."
        )
    agreeing = "" if found.consistent is None else f", {100 * found.consistent:.0f} % of it there and back"
    say(
        f"{found.frames} frames of {found.width} x {found.height}, focal length {found.focal:.1f} pixels",
        f"flow by {found.matches_from}{agreeing}; places are missed by {found.error:.2f} pixels, by turning "
        f"alone {found.parallax:.2f}",
        f"{found.points:,} points",
        f"capture  {output}",
        *next_steps(("train", f"{quoted(output)} --optimize-poses", "make a scene, and the poses right")),
    )
