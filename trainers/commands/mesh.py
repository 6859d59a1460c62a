"""`gsplat-core mesh`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg

from gsplat_core.errors import DataError, UsageError
from gsplat_core.mesh.settings import MeshSettings
from trainers.options import OptionalFolder, optional
from trainers.paths import must_be_scene

if TYPE_CHECKING:
    import numpy as np

    from gsplat_core.mesh.mesh import Mesh

NEAR = 0.01
"""Sparse points nearer to the mesh than this share of its extent are called near."""
Box = tuple[float, float, float, float, float, float]
USUAL = MeshSettings()


def mesh(
    source: Positional[Annotated[Path, arg(metavar="RUN|FILE")]],
    output: Annotated[Path, arg(aliases=["-o"], metavar="FILE")],
    settings: Annotated[MeshSettings, arg(name="")] = USUAL,
    method: str = "tsdf",
    box: Annotated[Box | None, optional("X Y Z X Y Z")] = None,
    triangles: int = 1_000_000,
    specks: float = 0.02,
    texture: int = 0,
    scene: OptionalFolder = None,
    images: OptionalFolder = None,
    device: Literal["cpu", "cuda", "auto"] = "auto",
    read: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=VALUE")] = (),
) -> None:
    """Make a triangle mesh with colours of what the photographs show of a run or splat file.

    Prints how many triangles it has, whether it is watertight, and how far the photographs' sparse points are
    from it. Wants more packages: pip install 'gsplat-core[mesh]'.

    Args:
        source: run folder or splat file.
        output: file to write: .ply, .obj or .glb.
        settings: how the surface is found.
        method: how the mesh is made: tsdf fuses the depths of all photographs; level fuses where the density
            of the Gaussians crosses a level, as SuGaR, without its bias; poisson closes what nobody saw, and
            wants pip install 'gsplat-core[mesh,poisson]'.
        box: lower and upper corner of where the mesh is made (default: around the sparse points).
        triangles: the mesh is simplified to so many; 0 keeps all.
        specks: pieces with less than this share of the largest one's area are removed.
        texture: the colours are in an image of so many texels a side, such as 2048, instead of at vertices;
            for .glb and .obj, and best with fewer --triangles; 0: no image. Wants pip install
            'gsplat-core[mesh,texture]'.
        scene: the photographs (default: those of the run; a file needs them named).
        images: the folder of these photographs, if it is not the usual one.
        device: where views are rendered; auto takes a GPU when there is one.
        read: an option of reading a file, such as axes=ply for .spz, or antialiased=true for one that does
            not say so (may be repeated).
    """
    must_be_scene(source)
    if triangles < 0:
        raise UsageError(f"--triangles must not be negative, got {triangles:,}.")
    if not 0 <= specks <= 1:
        raise UsageError(f"--specks must be from 0 to 1, not {specks}.")
    import numpy as np

    from gsplat_core.io.links import make_folder
    from gsplat_core.mesh.bounds import box_of
    from gsplat_core.mesh.files import check_ending, check_textured, save_mesh
    from gsplat_core.mesh.making import Seen, mesh_of, views_of
    from gsplat_core.mesh.packages import require_packages
    from gsplat_core.mesh.registry import check_method
    from gsplat_core.mesh.texture import check_size, painted, unwrapped
    from gsplat_core.mesh.tidy import simplified, without_specks
    from trainers.coordinates import share_coordinates
    from trainers.messages import say, warn
    from trainers.parts.results import AtTest
    from trainers.session import choose_device
    from trainers.sources import load_scene, photographs_of
    from trainers.waiting import busy, counted

    check_ending(output)
    if texture:
        check_size(texture)
        check_textured(output)
    if output.resolve() in (source.resolve(), *(path.resolve() for path in source.glob("point_cloud.*"))):
        raise UsageError(f"{output} is the source; write another file.")
    check_method(method)
    require_packages(method, *(["texture"] if texture else []))
    gaussians = load_scene(source, warn, list(read)).detached().to(choose_device(device))
    if not gaussians.num:
        raise DataError(source, "there are no Gaussians to make a mesh of")
    dataset, config = photographs_of(source, scene, images)
    if dataset is None:
        raise UsageError("A splat file alone does not tell from where it is seen: add --scene DATA.")
    share_coordinates(dataset, gaussians)
    points = dataset.points.xyz.double().numpy()
    bounds = box_of(gaussians, points, dataset.scale) if box is None else np.array(box).reshape(2, 3)
    if not (np.isfinite(bounds).all() and (bounds[0] < bounds[1]).all()):
        raise UsageError(
            "--box must be a lower corner and an upper one: X Y Z X Y Z, each less than its match."
        )
    cells = 2**settings.octree_depth if method == "poisson" else settings.resolution
    side = float(np.ptp(bounds, axis=0).max()) / cells
    say(f"box {_corner(bounds[0])} to {_corner(bounds[1])}, voxels of {side:.3g}")
    at_test = AtTest.of(source, config, dataset, gaussians.device)
    seen = [Seen(at_test.camera(view), view.mask) for view in dataset.train]
    made = mesh_of(gaussians, seen, bounds, settings, method, counted)
    with busy("removing specks and simplifying"):
        tidy = without_specks(made, specks)
        final = simplified(tidy, triangles) if triangles else tidy
    written, image = final, None
    if texture:
        with busy("unwrapping"):
            written, uv = unwrapped(final, texture)
        # What the views got wrong where the mesh was made, they may get wrong here.
        tolerance = settings.reach * float(np.ptp(bounds, axis=0).max()) / settings.resolution
        views = views_of(gaussians, seen, settings, counted)
        image = painted(written, uv, texture, views("painting", True), tolerance)
    make_folder(output.parent)
    with busy(f"writing {output.name}"):
        save_mesh(output, written, image)
    say(f"{len(made.faces):,} triangles, {len(tidy.faces):,} without specks")
    inside = ((points >= bounds[0]) & (points <= bounds[1])).all(axis=1)
    say(*_described(final, points[inside]))
    if any(gaussians.metadata.offset):
        say(f"its origin lies at {_corner(gaussians.metadata.offset)} in the capture's coordinates")
    say(f"wrote {output}")


def _described(mesh: Mesh, points: np.ndarray) -> list[str]:
    """What is known of a mesh by measuring it."""
    import numpy as np

    from gsplat_core.mesh.distances import distances_to_mesh

    edges = mesh.open_edges()
    closed = "watertight" if not edges else f"not watertight: {edges:,} open edges"
    lines = [f"mesh: {len(mesh.faces):,} triangles, {len(mesh.vertices):,} vertices, {closed}"]
    if len(points):
        distances = distances_to_mesh(points, mesh)
        near = np.mean(distances <= NEAR * mesh.extent)
        lines.append(
            f"{len(points):,} sparse points in the box: half are within {np.median(distances):.3g} of it, "
            f"{near:.1%} within {NEAR:.0%} of its extent, which is {mesh.extent:.3g}"
        )
    return lines


def _corner(place: np.ndarray | tuple[float, ...]) -> str:
    return f"({', '.join(f'{value:.4g}' for value in place)})"
