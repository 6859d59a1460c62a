"""Photographs without poses, and videos, in the place of a capture: `reconstruct`, and `train` by itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gsplat_core.sfm.settings import Settings

if TYPE_CHECKING:
    from gsplat_core.sfm.outcome import Outcome

_USUAL = Settings()


def lack_poses(data: Path) -> bool:
    """Whether it is a video, or a folder of photographs with nothing that says where they were taken."""
    from gsplat_core.sfm import photographs, video

    return photographs.lack_poses(data) if data.is_dir() else video.is_video(data)


def reconstructed(
    source: Path, output: Path, settings: Settings = _USUAL, overwrite: bool = False
) -> Outcome:
    """Reconstructs into a folder, or takes what an earlier call has left there, and tells how it went.

    Raises:
        As `Reconstruction` and its `run`.
    """
    from gsplat_core.sfm.outcome import advice, doubts, summary
    from gsplat_core.sfm.reconstruct import Reconstruction
    from trainers.messages import say, warn
    from trainers.run_folder import RunFolder
    from trainers.waiting import staged

    work, folder = Reconstruction(source, output, settings, overwrite), RunFolder(output)
    for text in work.warnings:
        warn(text)
    with folder.owned(), folder.crash_reports(), staged() as told:
        outcome = work.run(told)
    for text in (*doubts(outcome), *advice(outcome.left_out)):
        warn(text)
    say(summary(outcome))
    return outcome
