"""`gsplat-core view`"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg

from gsplat_core.errors import DataError, UsageError
from trainers.options import OptionalFolder
from trainers.paths import must_be_scene, must_exist

Up = Literal["x", "y", "z", "-x", "-y", "-z"]


def view(
    source: Positional[Path],
    host: str = "127.0.0.1",
    port: int = 8080,
    scene: OptionalFolder = None,
    images: OptionalFolder = None,
    up: Annotated[Up | None, arg(metavar="{x,y,z,-x,-y,-z}", help_behavior_hint="")] = None,
    device: Literal["cpu", "cuda", "auto"] = "auto",
    read: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=VALUE")] = (),
) -> None:
    """Show a run or a splat file in the browser, until interrupted.

    The browser draws the splats; depth, normals, comparisons with the photographs and scenes that it cannot
    draw are rendered here. The page comes from this machine and needs no network. Its address has a secret in
    it, without which nobody gets the scene, no other website either.

    Args:
        source: run folder or splat file.
        host: address to listen on; 0.0.0.0 lets other machines connect.
        port: port to listen on; the next free one if it is taken.
        scene: photographs to compare with (default: those of the run; a bare file has none).
        images: the folder of these photographs, if it is not the usual one.
        up: direction that is up (default: that of the photographs; without any -y, as in COLMAP).
        device: where pictures are rendered; auto uses a GPU when there is one.
        read: an option of reading the source, such as axes=ply for .spz (may be repeated).
    """
    check_port(port)
    must_be_scene(source)
    must_exist(scene)
    import numpy as np

    from trainers.commands.render import UP
    from trainers.messages import say, warn
    from trainers.session import choose_device
    from trainers.sources import load_scene
    from trainers.viewer.finished import subject_of
    from trainers.viewer.server import Viewer

    gaussians = load_scene(source, warn, list(read)).detached().to(choose_device(device))
    if not gaussians.num:
        raise DataError(source, "there are no Gaussians to show")
    direction = None if up is None else np.array(UP[up], dtype=np.float64)
    subject = subject_of(source, gaussians, direction, scene, images)
    for note in subject.about()["notes"]:
        warn(note)
    viewer = Viewer(subject, host, port)
    say(f"{source}: {gaussians.num:,} Gaussians at {viewer.url} (Ctrl-C ends)")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        viewer.stop()


def check_port(port: int) -> None:
    """Raises UsageError for a port that there cannot be."""
    if not 1 <= port <= 65535:
        raise UsageError(f"--port must be from 1 to 65,535, not {port:,}.")
