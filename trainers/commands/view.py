"""`gsplat-core view`"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg

from gsplat_core.errors import DataError, UsageError
from trainers.paths import must_exist

if TYPE_CHECKING:
    from gsplat_core.scene.gaussians import Gaussians
    from trainers.camera_paths import Orbit, Vector

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
    must_exist(source)
    import numpy as np

    from trainers.commands.render import UP
    from trainers.messages import say, warn
    from trainers.sources import load_scene
    from trainers.viewer import serve

    if not 1 <= port <= 65535:
        raise UsageError(f"--port must be from 1 to 65,535, not {port:,}.")
    gaussians = load_scene(source, warn, list(read)).detached()
    if not gaussians.num:
        raise DataError(source, "there are no Gaussians to show")
    if gaussians.metadata.antialiased:
        warn("the scene is antialiased, which the browser's renderer is not: from afar it looks thicker.")
    orbit = _orbit(source, gaussians, None if up is None else np.array(UP[up], dtype=np.float64))
    viewer = serve(gaussians, host, port, orbit)
    say(f"{source}: {gaussians.num:,} Gaussians at {viewer.url} (Ctrl-C ends)")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        viewer.stop()


def _orbit(source: Path, gaussians: Gaussians, up: Vector | None) -> Orbit:
    """Around what the photographs of a run look at, or, where there are none, around its Gaussians."""
    import numpy as np

    from trainers import camera_paths
    from trainers.coordinates import share_coordinates
    from trainers.messages import warn
    from trainers.sources import photographs_of

    dataset = None
    try:
        dataset, _ = photographs_of(source, None)
    except DataError as error:
        warn(f"{error} The view turns around the Gaussians, and up is a guess (--up).")
    if dataset is None:
        return camera_paths.orbit_of_gaussians(gaussians, np.array([0.0, -1.0, 0.0]) if up is None else up)
    share_coordinates(dataset, gaussians)
    orbit = camera_paths.orbit_of_cameras([view.camera for view in dataset.train])
    return orbit if up is None else replace(orbit, up=up)
