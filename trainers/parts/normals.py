"""Maps of normals train the scene: what it shows of them, N, is held against those of the map, n.

The loss is the mean of A - N . n over the pixels that have one, with the normals as they are blended, which
are as long as A, the part of the background that is covered, where all agree (Huang et al. 2024 hold them
against those of depths so).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from torch import Tensor

from gsplat_core.densify.strategy import Wants
from gsplat_core.errors import UsageError
from gsplat_core.ranges import NOT_NEGATIVE, POSITIVE, SHARE, check_ranges
from gsplat_core.render.surfaces import normals_of_depths
from gsplat_core.scene.dataset import Dataset, View
from gsplat_core.scene.map_pixels import shrunk
from gsplat_core.scene.normal_maps import Frame, find_normal_maps, read_normal_maps
from trainers.parts.part import Part, Rendering
from trainers.schedules import weight_at
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig


@dataclass(frozen=True)
class NormalsConfig:
    """Args:
        folder: of the maps, inside the capture's folder or absolute.
        frame: of their vectors: the camera's with y down and z forward (opencv), with y up and z backward
            (opengl), or the capture's (world).
        weight, weight_final: of the loss, at the start and at the end of the run.
        depths: a factor to it for the normals of the surface that the rendered depths describe.
        start, end: shares of the run between which it counts.

    Raises:
        ValueError: a number outside its range.
    """

    folder: str = ""
    frame: Frame = "opencv"
    weight: Annotated[float, POSITIVE] = 0.05
    weight_final: Annotated[float, POSITIVE] = 0.05
    depths: Annotated[float, NOT_NEGATIVE] = 0.0
    start: Annotated[float, SHARE] = 0.0
    end: Annotated[float, SHARE] = 1.0

    def __post_init__(self) -> None:
        check_ranges(self)


class Normals(Part):
    """`--normals FOLDER`."""

    settings: ClassVar[type[Any] | None] = NormalsConfig
    first_order: ClassVar[str | None] = "knows no normals; leave out --normals"
    neighbours: ClassVar[str | None] = "compares normals with maps of whole photographs"

    def __init__(self, settings: NormalsConfig, config: TrainConfig, views: Sequence[View]) -> None:
        if not settings.folder:
            raise UsageError("The part normals needs the folder of its maps: --normals FOLDER.")
        self._settings = settings
        self._steps = config.steps
        self._root = config.data_folder
        self._known: dict[int, Tensor] = {}

    def prepare(self, dataset: Dataset, note: Callable[[str], None]) -> None:
        folder, views = self._root / self._settings.folder, dataset.train
        files = find_normal_maps(folder, views)
        self._known = read_normal_maps(files, views, self._settings.frame)
        without = [view.name for number, view in enumerate(views) if number not in files]
        rest = f"; {len(without)}, such as {without[0]!r}, have none" if without else ""
        note(f"normals: {len(files)} of {len(views)} training photographs have a map in {folder}{rest}.")

    def _weight(self, step: int) -> float:
        return weight_at(step, self._steps, self._settings) if self._known else 0.0

    def wants(self, step: int) -> Wants:
        return Wants(surfaces=self._weight(step) > 0)

    def loss(self, step: int, rendering: Rendering, target: Target) -> Tensor | None:
        weight, known = self._weight(step), self._known.get(target.view)
        if not weight or known is None or rendering.hits is None:
            return None
        alphas = rendering.alphas[0, ..., 0].detach()
        expected = shrunk(known, target.width, target.height).to(alphas.device)
        there = (expected != 0).any(-1)
        if target.mask is not None:
            there = there & target.mask

        def apart(normals: Tensor, where: Tensor) -> Tensor:
            left = (alphas - (normals * expected).sum(-1)).where(where, 0.0)
            return left.sum() / where.sum().clamp(min=1)

        total = apart(rendering.meta["normals"][0], there)
        # What a surface looks like through another lens is not known.
        if self._settings.depths and target.model == "pinhole":
            depths = rendering.hits[..., 0] / rendering.alphas[..., 0].clamp(min=1e-10)
            found = normals_of_depths(depths, target.viewmat, target.K)[0]
            seen = there & (found.detach() != 0).any(-1)
            total = total + self._settings.depths * apart(alphas[..., None] * found, seen)
        return weight * total
