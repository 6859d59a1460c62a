"""Optical flow of a video from files, in a folder with a file for each frame:

    NAME.flo                   from the frame to the one after it, as Sintel's and RAFT's files are called
    NAME.forward.npy           from the frame before to this one, as `gsplat-core stream` has it
    NAME.backward.npy          from this frame to the one before; may be missing

each as .flo (Middlebury) or .npy, [H, W, 2], in pixels to the right and down of an image of its own size,
which need not be that of the frames.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from gsplat_core.errors import DataError
from gsplat_core.scene.images import same_aspect
from gsplat_core.sequence.flow_files import ENDINGS, find_flow, read_any_flow


class FlowPair(NamedTuple):
    """Between a frame and the next: `forward` [H, W, 2], and the way back, of the next one's pixels, if
    known."""

    forward: Tensor
    backward: Tensor | None


def read_flow_pair(folder: Path, frame: str, after: str, size: tuple[int, int]) -> FlowPair:
    """The flow between a frame and the one after it, by the names of both.

    Args:
        size: width and height of the frames, for their shape.

    Raises:
        DataError: there is none, it is damaged, or of another shape than the frames.
    """
    forward = _named(folder, frame) or find_flow(folder, after, "forward")
    if forward is None:
        stem, next_stem = Path(frame).with_suffix(""), Path(after).with_suffix("")
        raise DataError(
            folder,
            f"there is no flow from {frame!r} to {after!r}: neither {stem}.flo nor {next_stem}.forward.npy",
            remedy="Each frame but the last needs one; without --flow it is found here.",
        )
    backward = find_flow(folder, after, "backward")
    found = FlowPair(_fitting(forward, size), None if backward is None else _fitting(backward, size))
    if found.backward is not None and found.backward.shape != found.forward.shape:
        raise DataError(
            backward or folder, f"has another size than {forward}", remedy="Both ways need the same."
        )
    return found


def _named(folder: Path, frame: str) -> Path | None:
    stem = Path(frame).with_suffix("")
    return next((file for ending in ENDINGS if (file := folder / f"{stem}{ending}").is_file()), None)


def _fitting(path: Path, size: tuple[int, int]) -> Tensor:
    flow = read_any_flow(path)
    height, width = flow.shape[:2]
    if not same_aspect(width, height, *size):
        raise DataError(
            path,
            f"is of {width} x {height} pixels, another shape than {size[0]} x {size[1]} of the frames",
            remedy="Find the flow between the same images, shrunk as a whole.",
        )
    return flow
