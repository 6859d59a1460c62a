"""A video, or a folder of its frames, becomes a folder with `images/` and `sparse/0/` by FlowMap."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gsplat_core.errors import DataError, UsageError
from gsplat_core.io.links import make_folder, remove
from gsplat_core.scene.colmap import read_model
from gsplat_core.scene.colmap.write import write_model
from gsplat_core.scene.images import decode, read_header
from gsplat_core.sfm.flow.chain import strongest_links
from gsplat_core.sfm.flow.files import FlowPair, read_flow_pair
from gsplat_core.sfm.flow.finding import find_flow_between, has_opencv
from gsplat_core.sfm.flow.flowmap import FlowMapConfig, find_flowmap
from gsplat_core.sfm.flow.followed import PLACES, REACH, consistent, matches_of
from gsplat_core.sfm.flow.matches import Matches
from gsplat_core.sfm.flow.parallax import LEAST, parallax
from gsplat_core.sfm.flow.points import model_of
from gsplat_core.sfm.flow.tracks import matches_of_tracks
from gsplat_core.sfm.frames import choose, survey, write_frames
from gsplat_core.sfm.photographs import find_photographs, lay_out
from gsplat_core.strict_json import write_json

Told = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and of how much (0: nobody knows)."""

SUMMARY = "sfm.json"
FEWEST_FRAMES = 3
MOST_PIXELS = 320 * 240
"""Of the images that flow is found between, and whose shares depths are."""
MOST_MATCHES = 150_000
MOST_TRACKS = 240
"""Of two neighbours that are used."""
LEAST_CONSISTENT = 0.1
DOUBTFUL = 0.4
"""Of a frame, whose flow leads there and back: with less it has hardly enough in common with the next one."""


@dataclass(frozen=True)
class Sources:
    """What is known besides the frames.

    Attributes:
        flow: folder of flow files; None: flow is found.
        tracks: a COLMAP model of the frames, whose tracks take the place of flow.
        focal: in pixels of the frames; None: it is found.
        frames: how many of a video are used; None: by how far its camera went.
    """

    flow: Path | None = None
    tracks: Path | None = None
    focal: float | None = None
    frames: int | None = None


class Summary(NamedTuple):
    """
    Attributes:
        frames: how many.
        width, height: of them.
        focal: in pixels.
        error: pixels by which matches are missed, the median.
        points: how many.
        matches_from: what told them.
        consistent: the share of the flow that leads there and back; None without both ways.
        parallax: pixels by which turning alone would miss matches, the median of pairs.
        doubtful: neighbouring frames that have little in common.
    """

    frames: int
    width: int
    height: int
    focal: float
    error: float
    points: int
    matches_from: str
    consistent: float | None
    parallax: float
    doubtful: list[tuple[str, str]]


def check_output(source: Path, output: Path, overwrite: bool) -> None:
    """
    Raises:
        UsageError: nothing may be written there.
    """
    place, inputs = output.resolve(), source.resolve()
    if place == inputs or inputs in place.parents:
        raise UsageError(f"{output} is in the folder of the frames. Choose a folder beside it.")
    if not output.exists() or (output.is_dir() and all(path.name == ".lock" for path in output.iterdir())):
        return
    if not (output / SUMMARY).is_file():
        raise UsageError(f"{output} has something else in it than what `sfm` writes. Choose another folder.")
    if not overwrite:
        raise UsageError(f"{output} has poses in it. Add --overwrite, or choose another folder.")


def find_capture(source: Path, output: Path, sources: Sources, config: FlowMapConfig, told: Told) -> Summary:
    """Finds poses and writes them, replacing what an earlier call has written.

    Args:
        source: a video, or a folder with its frames in the order of their names.

    Raises:
        DataError: something cannot be read, frames have too little in common, or the camera only turns.
        NumericalError: the descent failed.
        ResourceError: a file cannot be written.
    """
    for name in ("images", "masks", "sparse", SUMMARY):
        remove(output / name)
    names = _laid_out(source, output, sources, told)
    size = _size(output / "images", names)
    small = _small(size)
    images = [torch.from_numpy(np.array(decode(output / "images" / name, size=small))) for name in names]
    consistent_share, doubtful = None, []
    if sources.tracks is not None:
        matches = matches_of_tracks(read_model(sources.tracks), names, REACH, MOST_TRACKS)
        matches_from = "tracks"
    else:
        flows = _flows(names, size, images, sources.flow, told)
        shares = [float(consistent(flow).float().mean()) for flow in flows]
        doubtful = _doubtful(source, names, shares)
        both_ways = all(flow.backward is not None for flow in flows)
        consistent_share = sum(shares) / len(shares) if both_ways else None
        matches = matches_of(flows)
        matches_from = "files" if sources.flow else "DIS" if has_opencv() else "blocks"
    matches = matches.at_most(MOST_MATCHES)
    unit = math.sqrt(size[0] * size[1])
    turned = _checked_parallax(source, matches, size)
    cells = min(max(small) // 4, round(math.sqrt(PLACES * max(small) / min(small))))
    found = find_flowmap(
        _joined(source, matches, names), len(names), *size, cells, config, sources.focal,
        lambda step, steps: told("finding poses", step, steps),
    )  # fmt: skip
    model = model_of(found, matches, names, size, images, output / "sparse" / "0")
    make_folder(output / "sparse", output)
    write_model(model.folder, model.lenses, model.images, model.points)
    summary = Summary(
        len(names), *size, unit * found.focal, unit * float(found.errors.median()), len(model.points),
        matches_from, consistent_share, unit * turned, doubtful,
    )  # fmt: skip
    write_json(output / SUMMARY, {"source": os.fspath(source.resolve()), **summary._asdict()})
    return summary


def _laid_out(source: Path, output: Path, sources: Sources, told: Told) -> list[str]:
    """The names of the frames in `images/`, in order."""
    make_folder(output)
    if source.is_file():
        chosen = choose(survey(source, lambda *far: told("looking at the video", *far)), sources.frames)
        make_folder(output / "images", output)
        names = write_frames(source, chosen, output / "images", lambda *far: told("writing frames", *far))
    else:
        photographs = find_photographs(source, [])
        lay_out(photographs, output / "images", output / "masks")
        names = [photograph.name for photograph in photographs]
    if len(names) < FEWEST_FRAMES:
        raise DataError(
            source, f"{len(names)} frames are too few", remedy=f"At least {FEWEST_FRAMES} are needed."
        )
    return names


def _size(folder: Path, names: Sequence[str]) -> tuple[int, int]:
    """Width and height of all frames."""
    headers = [read_header(folder / name) for name in names]
    for name, header in zip(names, headers, strict=True):
        if (header.width, header.height) != (headers[0].width, headers[0].height):
            raise DataError(
                folder / name,
                f"is of {header.width} x {header.height} pixels, {names[0]!r} of "
                f"{headers[0].width} x {headers[0].height}",
                remedy="Frames of one video have one size; `reconstruct` takes photographs of several.",
            )
    return headers[0].width, headers[0].height


def _small(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, math.sqrt(MOST_PIXELS / (size[0] * size[1])))
    return max(1, round(scale * size[0])), max(1, round(scale * size[1]))


def _flows(
    names: Sequence[str], size: tuple[int, int], images: Sequence[Tensor], folder: Path | None, told: Told
) -> list[FlowPair]:
    flows = []
    for number in range(len(names) - 1):
        if folder is not None:
            flows.append(read_flow_pair(folder, names[number], names[number + 1], size))
        else:
            first, second = images[number : number + 2]
            flows.append(FlowPair(find_flow_between(first, second), find_flow_between(second, first)))
        told("reading flow" if folder else "finding flow", number + 1, len(names) - 1)
    return flows


def _doubtful(source: Path, names: Sequence[str], shares: Sequence[float]) -> list[tuple[str, str]]:
    """Neighbours with little in common.

    Raises:
        DataError: there are some with nothing.
    """
    pairs = list(pairwise(names))
    for (first, second), share in zip(pairs, shares, strict=True):
        if share < LEAST_CONSISTENT:
            raise DataError(
                source,
                f"only {100 * share:.0f} % of what {first!r} shows was found again in {second!r}",
                remedy="Neighbouring frames must show the same but for small steps: take more frames, leave "
                "out cuts and blurred ones, give better flow (--flow), or try `gsplat-core reconstruct`.",
            )
    return [pair for pair, share in zip(pairs, shares, strict=True) if share < DOUBTFUL]


def _checked_parallax(source: Path, matches: Matches, size: tuple[int, int]) -> float:
    """`parallax`, of a sample of the matches.

    Raises:
        DataError: there is none.
    """
    turned = parallax(matches.at_most(20_000), *size)
    if turned < LEAST:
        raise DataError(
            source,
            "its frames show no parallax: the camera stands still or only turns, which tells no depths",
            remedy="Move the camera sideways while filming.",
        )
    return turned


def _joined(source: Path, matches: Matches, names: Sequence[str]) -> Matches:
    """The matches.

    Raises:
        DataError: there are frames that none leads to from the first one.
    """
    pairs, _, counts = matches.pairs()
    reached = {0, *(link.found for link in strongest_links(pairs.tolist(), counts.tolist()))}
    alone = sorted(set(range(len(names))) - reached)
    if alone:
        raise DataError(
            source,
            f"{len(alone)} frames have nothing in common with those before them, such as {names[alone[0]]!r}",
            remedy="Leave them out.",
        )
    return matches
