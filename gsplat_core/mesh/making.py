"""From a scene and its cameras to a mesh that can be used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from torch import Tensor

from gsplat_core.mesh.bounds import Box
from gsplat_core.mesh.mesh import Mesh
from gsplat_core.mesh.registry import method
from gsplat_core.mesh.settings import MeshSettings
from gsplat_core.mesh.surface import Depths, SurfaceView, Views, densest_depths, surface_view
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians

T = TypeVar("T")


class Seen(NamedTuple):
    """A camera, and how to get the mask [H, W] bool of its pixels that count; it may return None."""

    camera: Camera
    kept: Callable[[], Tensor | None] = lambda: None


def _quietly(items: Iterable[T], what: str, total: int) -> Iterable[T]:
    return items


def mesh_of(
    scene: Gaussians,
    seen: Sequence[Seen],
    box: Box,
    settings: MeshSettings = MeshSettings(),  # noqa: B008  (frozen)
    by: str = "tsdf",
    counted: Callable[[Iterable[Seen], str, int], Iterable[Seen]] = _quietly,
) -> Mesh:
    """The surface of a scene, as these cameras see it.

    Args:
        box: [2, 3] where a mesh is wanted, see `gsplat_core.mesh.bounds`.
        by: a method of `gsplat_core.mesh.registry`.
        counted: shows progress: it gives back the items, and is told what is done and how many there are.

    Raises:
        UsageError: no such method, or no surface.
        ResourceError: it needs more memory than there is.
    """

    return method(by)(views_of(scene, seen, settings, counted), box, settings)


def views_of(
    scene: Gaussians,
    seen: Sequence[Seen],
    settings: MeshSettings,
    counted: Callable[[Iterable[Seen], str, int], Iterable[Seen]] = _quietly,
) -> Views:
    """What `mesh_of` makes a mesh of, and a texture is painted by (`gsplat_core.mesh.texture`)."""

    def views(what: str, colors: bool, depths: Depths = densest_depths) -> Iterator[SurfaceView]:
        for camera, kept in counted(seen, what, len(seen)):
            view = surface_view(scene, camera, settings.min_alpha, kept(), colors, depths)
            if settings.depth_limit:
                view.weights[view.depths > settings.depth_limit] = 0
            yield view

    return views
