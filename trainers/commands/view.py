"""`gsplat-core view`"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg

from gsplat_core.errors import DataError, UsageError
from trainers.paths import must_exist

Up = Literal["x", "y", "z", "-x", "-y", "-z"]


def view(
    source: Positional[Path],
    host: str = "127.0.0.1",
    port: int = 8080,
    up: Annotated[Up | None, arg(metavar="{x,y,z,-x,-y,-z}", help_behavior_hint="")] = None,
    read: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=VALUE")] = (),
) -> None:
    """Show a run or a splat file in the browser, until interrupted.

    The page comes from this machine and needs no network. Its address has a secret in it, without which
    nobody gets the scene, no other website either. Colours do not change with the direction in it.

    Args:
        source: run folder or splat file.
        host: address to listen on; 0.0.0.0 lets other machines connect.
        port: port to listen on; the next free one if it is taken.
        up: direction that is up (default: that of a run's photographs; of a file -y, as in COLMAP).
        read: an option of reading the source, such as axes=ply for .spz (may be repeated).
    """
    if not 1 <= port <= 65535:
        raise UsageError(f"--port must be from 1 to 65,535, not {port:,}.")
    must_exist(source)
    import numpy as np

    from trainers.commands.render import UP
    from trainers.messages import say, warn
    from trainers.outlook import outlook
    from trainers.sources import load_scene
    from trainers.viewer import serve

    gaussians = load_scene(source, warn, list(read)).detached()
    if not gaussians.num:
        raise DataError(source, "there are no Gaussians to show")
    if gaussians.metadata.antialiased:
        warn("the scene is antialiased, which the browser's renderer is not: from afar it looks thicker.")
    orbit = outlook(source, gaussians, None if up is None else np.array(UP[up], dtype=np.float64))
    viewer = serve(gaussians, host, port, orbit)
    say(f"{source}: {gaussians.num:,} Gaussians at {viewer.url} (Ctrl-C ends)")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        viewer.stop()
