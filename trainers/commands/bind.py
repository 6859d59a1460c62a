"""`gsplat-core bind`"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from tyro.conf import Positional, UseAppendAction, arg

from gsplat_core.errors import DataError, UsageError
from trainers.options import OptionalFolder, OptionalNumber
from trainers.paths import must_be_scene

if TYPE_CHECKING:
    import numpy as np

    from gsplat_core.mesh import Mesh
    from gsplat_core.mesh.binding import NormalMode
    from gsplat_core.scene.gaussians import Gaussians


FAR = 0.05
"""As a share of the mesh's extent."""


class _Made(NamedTuple):
    """A scene that hangs on a mesh, what derived.json says of it, and what is printed."""

    scene: Gaussians
    rest: Mesh
    facts: dict[str, Any]
    lines: list[str]


def bind(
    source: Positional[Annotated[Path, arg(metavar="RUN|FILE")]],
    mesh: Positional[Annotated[Path | None, arg(metavar="MESH", help_behavior_hint="")]] = None,
    *,
    output: Annotated[Path, arg(aliases=["-o"], metavar="RUN2")],
    within: OptionalNumber = None,
    pseudo_mesh: Annotated[Path | None, arg(metavar="MESH", help_behavior_hint="(default: none)")] = None,
    follow: bool = False,
    normal_mode: Literal["unit", "similar", "volume"] = "unit",
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
        pseudo_mesh: instead of MESH: write one with a triangle for each Gaussian, on which it hangs.
        follow: the scene hangs on a mesh already, and MESH is that mesh, moved: the new run is the scene that
            went there with it.
        normal_mode: with --follow, what becomes of thickness where faces grow: as of render --mesh-sequence.
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
    if (mesh is None) == (pseudo_mesh is None):
        raise UsageError("Name the mesh to hang the scene on, or --pseudo-mesh MESH to make one of it.")
    if (pseudo_mesh is not None or follow) and within is not None:
        raise UsageError("--within is about the nearest faces; leave it out.")
    if pseudo_mesh is not None and follow:
        raise UsageError("--follow wants the moved mesh, which --pseudo-mesh makes; use one of them.")
    from gsplat_core.mesh.files import check_ending, load_mesh, save_mesh
    from gsplat_core.mesh.packages import require_packages
    from trainers.derived_run import Origin, folder_for, write_derived
    from trainers.messages import say
    from trainers.next_steps import next_steps, quoted

    folder = folder_for(output, source, overwrite)
    require_packages()
    given = load_mesh(mesh) if mesh is not None and not follow else None
    if pseudo_mesh is not None:
        check_ending(pseudo_mesh)
    origin = Origin.open(source, scene, images, device, read)
    if mesh is None:
        made = _on_its_own(source, origin.gaussians)
        asked: dict[str, Any] = {"pseudo_mesh": str(pseudo_mesh)}
    elif given is None:
        made = _followed(source, mesh, origin.gaussians, normal_mode)
        asked = {"mesh": str(mesh.resolve()), "follow": True, "normal_mode": normal_mode}
    else:
        made = _on_nearest(mesh, given, origin.gaussians, within)
        asked = {"mesh": str(mesh.resolve()), "within": within}
    with folder.owned(), folder.crash_reports():
        write_derived(folder, origin, made.scene, {"command": "bind", **asked, **made.facts})
        save_mesh(folder.rest_mesh, made.rest)
        if pseudo_mesh is not None:
            save_mesh(pseudo_mesh, made.rest)
    say(
        *made.lines,
        f"scene   {folder.point_cloud}",
        f"mesh    {pseudo_mesh or folder.rest_mesh}",
        *next_steps(
            (
                "render",
                f"{quoted(folder.path)} --mesh-sequence DIR",
                "move it: one mesh, or .npy of vertices, for each frame",
            )
        ),
    )


def _on_nearest(path: Path, rest: Mesh, scene: Gaussians, within: float | None) -> _Made:
    from gsplat_core.mesh.binding import bind as bound_to
    from trainers.messages import warn
    from trainers.waiting import busy

    reach = math.inf if within is None else within * rest.extent
    with busy("looking for the nearest faces"):
        try:
            bound, distances = bound_to(scene, rest, reach)
        except ValueError as error:
            raise DataError(path, str(error), remedy="Make another mesh.") from error
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
    lines = [
        f"{facts['bound']:,} of {bound.num:,} Gaussians hang on {len(rest.faces):,} faces",
        f"half of all are within {facts['median_distance']:.3g} of the mesh, 90% within "
        f"{facts['distance_of_90_percent']:.3g}, all within {facts['largest_distance']:.3g}; its extent is "
        f"{rest.extent:.3g}",
    ]
    return _Made(bound, rest, facts, lines)


def _on_its_own(path: Path, scene: Gaussians) -> _Made:
    from gsplat_core.mesh.binding import FACE
    from gsplat_core.mesh.pseudo import pseudo_mesh

    try:
        bound, rest = pseudo_mesh(scene)
    except ValueError as error:
        raise DataError(path, str(error)) from error
    count = int((bound.extras[FACE] >= 0).sum())
    return _Made(bound, rest, {"bound": count}, [f"{count:,} of {bound.num:,} Gaussians have a triangle"])


def _followed(source: Path, moved: Path, scene: Gaussians, normal_mode: NormalMode) -> _Made:
    from dataclasses import replace

    import numpy as np

    from gsplat_core.mesh.binding import deformed, faces_of
    from gsplat_core.mesh.sequence import read_vertices
    from trainers.animation import rest_mesh

    rest = rest_mesh(source, scene)
    now = read_vertices(moved, rest, scene)
    faces = faces_of(scene)
    assert faces is not None
    count = int((faces >= 0).sum())
    vertices = now.numpy().astype(np.float32)
    followed = deformed(scene, rest, now, normal_mode)
    return _Made(
        followed,
        replace(rest, vertices=vertices),
        {"bound": count},
        [f"{count:,} of {scene.num:,} Gaussians went where {moved.name} is"],
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
