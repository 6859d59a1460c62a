"""`gsplat-core bind`"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, UseAppendAction, arg

from gsplat_core.errors import DataError, UsageError
from trainers.options import OptionalFolder, OptionalNumber
from trainers.paths import must_be_scene

if TYPE_CHECKING:
    import numpy as np


FAR = 0.05
"""As a share of the mesh's extent."""


def bind(
    source: Positional[Annotated[Path, arg(metavar="RUN|FILE")]],
    mesh: Positional[Annotated[Path, arg(metavar="MESH")]],
    output: Annotated[Path, arg(aliases=["-o"], metavar="RUN2")],
    within: OptionalNumber = None,
    scene: OptionalFolder = None,
    images: OptionalFolder = None,
    device: Literal["cpu", "cuda", "auto"] = "auto",
    overwrite: bool = False,
    read: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=VALUE")] = (),
) -> None:
    """Hang the Gaussians of a scene on a mesh, so that they go where its faces go.

    Each hangs on the nearest face; where it is, and how it looks, does not change. The new run shows how the
    scene moves with the mesh: render RUN2 --mesh-sequence DIR. It has the mesh in it. Prints how far the
    Gaussians are from the mesh. Wants more packages: pip install 'gsplat-core[mesh]'.

    Args:
        source: run folder or splat file.
        mesh: .ply, .obj or .glb in the coordinates of the scene, such as mesh makes.
        output: run folder to write.
        within: Gaussians that are farther from the mesh, as a share of its extent, hang on nothing and stay
            where they are (default: all hang on it).
        scene: the photographs (default: those of the run; a file needs them named).
        images: the folder of these photographs, if it is not the usual one.
        device: where to compute; auto takes a GPU when there is one.
        overwrite: replace the run in the output folder.
        read: an option of reading a file, such as axes=ply for .spz, or antialiased=true for one that does
            not say so (may be repeated).
    """
    must_be_scene(source)
    if within is not None and not 0 <= within < math.inf:
        raise UsageError(f"--within must be 0 or a positive share of the mesh's extent, not {within}.")
    from gsplat_core.mesh.binding import bind as bound_to
    from gsplat_core.mesh.files import load_mesh, save_mesh
    from gsplat_core.mesh.packages import require_packages
    from trainers.derived_run import Origin, folder_for, write_derived
    from trainers.messages import say, warn
    from trainers.next_steps import next_steps, quoted
    from trainers.waiting import busy

    folder = folder_for(output, source, overwrite)
    require_packages()
    rest = load_mesh(mesh)
    origin = Origin.open(source, scene, images, device, read)
    with busy("looking for the nearest faces"):
        try:
            reach = math.inf if within is None else within * rest.extent
            bound, distances = bound_to(origin.gaussians, rest, reach)
        except ValueError as error:
            raise DataError(mesh, str(error), remedy="Make another mesh.") from error
    facts = _facts(distances, reach, rest.extent)
    if not facts["bound"]:
        raise UsageError(
            f"No Gaussian is so near to the mesh; the nearest is {distances.min() / rest.extent:.3g} of its "
            "extent away. Is it in the scene's coordinates? Otherwise raise --within."
        )
    if within is None and facts["median_distance"] > FAR * rest.extent:
        warn(
            "Most Gaussians are far from the mesh, and will be dragged along by the faces that happen to be "
            f"nearest. Is it in the scene's coordinates? --within {FAR} leaves in place what is far."
        )
    with folder.owned(), folder.crash_reports():
        done = {"command": "bind", "mesh": str(mesh.resolve()), "within": within, **facts}
        write_derived(folder, origin, bound, done)
        save_mesh(folder.rest_mesh, rest)
    say(
        f"{facts['bound']:,} of {bound.num:,} Gaussians hang on {len(rest.faces):,} faces",
        f"half of all are within {facts['median_distance']:.3g} of the mesh, 90% within "
        f"{facts['distance_of_90_percent']:.3g}, all within {facts['largest_distance']:.3g}; its extent is "
        f"{rest.extent:.3g}",
        f"scene   {folder.point_cloud}",
        f"mesh    {folder.rest_mesh}",
        *next_steps(
            (
                "render",
                f"{quoted(folder.path)} --mesh-sequence DIR",
                "move it: one mesh, or .npy of vertices, for each frame",
            )
        ),
    )


def _facts(distances: np.ndarray, reach: float, extent: float) -> dict[str, Any]:
    """Of all Gaussians, how far they are from the mesh."""
    import numpy as np

    median, most = np.quantile(distances, [0.5, 0.9])
    return {
        "bound": int((distances <= reach).sum()),
        "mesh_extent": extent,
        "median_distance": float(median),
        "distance_of_90_percent": float(most),
        "largest_distance": float(distances.max()),
    }
