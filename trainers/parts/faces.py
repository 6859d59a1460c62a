"""Gaussians on the faces of a mesh, which move with its vertices: the refinement of SuGaR (Guédon and Lepetit
2024) or the parametrisation of GaMeS (Waczyńska et al. 2024), see `gsplat_core.mesh.faces`.

Vertices, and what a Gaussian has that other scenes do not, are trained here. After each step the scene's
centres, rotations and scales are set to what follows from them, so that whoever looks at it, or saves it, has
Gaussians like any others, which hang on the mesh as it is then. Rows stay as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from gsplat_core import primitive
from gsplat_core.densify.edits import Edit, Reset
from gsplat_core.densify.strategy import SceneView
from gsplat_core.errors import DataError, UsageError
from gsplat_core.mesh.binding import require_bendable
from gsplat_core.mesh.faces import FaceModel, Layout, Placed, face_model, started
from gsplat_core.mesh.faces.consistency import neighbors, normal_consistency
from gsplat_core.mesh.faces.layout import rows_of
from gsplat_core.mesh.files import load_mesh, save_mesh
from gsplat_core.mesh.mesh import Mesh
from gsplat_core.ranges import BETWEEN_0_AND_1, COUNT, NOT_NEGATIVE, check_ranges
from gsplat_core.scene.dataset import View
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.scale import published_extent
from trainers.parts.part import Group, Part, Rendering
from trainers.schedules import exponential
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig
    from trainers.run_folder import RunFolder


Model: TypeAlias = Literal["sugar", "games"]


@dataclass(frozen=True)
class FacesConfig:
    """Args:
        mesh: the file, in the coordinates of the scene.
        sha256: of its content when the run began; "": whatever it is.
        model: `sugar` or `games`.
        per_face: how many Gaussians a face has; None: as its model says, 6 or 2.
        move_vertices: whether vertices are trained, with the learning rate of centres; None: as the model
            says, which of SuGaR is yes, of GaMeS no.
        normal_consistency: weight of 1 - n . n' over neighbouring faces, where vertices are trained.
        opacity: that Gaussians start with.

    Raises:
        ValueError: a number outside its range, or such a model has not so many Gaussians on a face.
    """

    mesh: str = ""
    sha256: str = ""
    model: Model = "sugar"
    per_face: Annotated[int, COUNT] | None = None
    move_vertices: bool | None = None
    normal_consistency: Annotated[float, NOT_NEGATIVE] = 0.1
    opacity: Annotated[float, BETWEEN_0_AND_1] = 0.1

    def __post_init__(self) -> None:
        check_ranges(self)
        face_model(self.model).check(self.count)

    @property
    def count(self) -> int:
        return face_model(self.model).per_face if self.per_face is None else self.per_face

    @property
    def moves(self) -> bool:
        return face_model(self.model).moves_vertices if self.move_vertices is None else self.move_vertices


@dataclass(frozen=True, eq=False)
class Surface:
    """A mesh that carries Gaussians, and how."""

    mesh: Mesh
    layout: Layout
    model: FaceModel

    @classmethod
    def open(cls, settings: FacesConfig) -> Surface:
        """
        Raises:
            UsageError: no mesh is named, or a package for meshes is missing.
            DataError: the mesh cannot be used, or is not the one that the run began with.
        """
        if not settings.mesh:
            raise UsageError("--parts faces wants a mesh whose faces carry the Gaussians: --mesh MESH.")
        path = Path(settings.mesh)
        mesh = load_mesh(path)
        if settings.sha256 not in ("", digest(path)):
            raise DataError(
                path, "is not the mesh that the run began with",
                remedy="Put that mesh back, or start a new run in another folder.",
            )  # fmt: skip
        try:
            return cls(mesh, Layout.of(mesh, settings.count), face_model(settings.model))
        except ValueError as error:
            raise DataError(path, str(error), remedy="Make another mesh.") from error

    def started(self, settings: FacesConfig, extent: float, sh_degree: int, seed: int) -> Gaussians:
        """The scene that a training starts with; `extent` is the scene's."""
        return started(self.mesh, self.layout, self.model, extent, settings.opacity, sh_degree, seed)


def digest(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(path, f"cannot be read: {error.strerror or error}") from error


class Faces(Part):
    """Part of runs with `--mesh`."""

    settings: ClassVar[type[Any] | None] = FacesConfig
    first_order: ClassVar[str | None] = "moves no faces; leave out --mesh"

    def __init__(self, settings: FacesConfig, config: TrainConfig, views: Sequence[View]) -> None:
        require_bendable(config.primitive, primitive.get(config.primitive).schema)
        if config.compression is not None:
            raise UsageError(
                "--compress trains a scene whose Gaussians may go and move as they like, which those of a "
                "mesh may not; compress the run when it is finished."
            )
        self._settings, self._config = settings, config
        self._centers = [view.camera.center for view in views]
        self._settled = False
        self._surface: Surface | None = None
        self._next: Placed | None = None

    def initialize(self, num: int, device: torch.device) -> None:
        if self._settled or not num:
            return
        self._surface = surface = Surface.open(self._settings)
        mesh, layout = surface.mesh, surface.layout
        if num != layout.num:
            raise ValueError(f"a scene of {num} Gaussians, of which the mesh carries {layout.num}")
        extent = published_extent(np.stack(self._centers)) if self._centers else 0.0
        self._extent = extent or mesh.extent
        self._edges = neighbors(mesh).to(device)
        self._corners = layout.vertices.to(device)
        self._vertices = torch.from_numpy(mesh.vertices).to(device, copy=True)
        self._vertices.requires_grad_(self._settings.moves)
        tensors = surface.model.tensors(layout.num, layout.per_face, self._config.seed)
        self._tensors = {name: t.to(device).requires_grad_() for name, t in tensors.items()}

    def parameters(self) -> Sequence[Group]:
        if self._surface is None:
            return ()
        rates = self._surface.model.rates
        groups = [Group(name, tensor, _constant(rates[name])) for name, tensor in self._tensors.items()]
        moving = [Group("vertices", self._vertices, self._rate)] if self._settings.moves else []
        return [*groups, *moving]

    def _rate(self, step: int) -> float:
        """Of the vertices: that of centres."""
        rates = self._config.learning_rates
        if not rates.means or not rates.means_final:
            return 0.0
        return self._extent * exponential(rates.means, rates.means_final, step, self._config.steps)

    def _placed(self, scales: Tensor) -> Placed:
        assert self._surface is not None
        return self._surface.model.placed(
            rows_of(self._vertices, self._corners), self._tensors, scales, self._surface.layout.per_face
        )

    def shown(self, step: int, params: Mapping[str, Tensor], target: Target) -> Mapping[str, Tensor]:
        if self._surface is None:
            return params
        placed = self._placed(params["scales"]) if self._next is None else self._next
        self._next = None
        return {**params, **placed._asdict()}

    def loss(self, step: int, rendering: Rendering, target: Target) -> Tensor | None:
        weight = self._settings.normal_consistency
        if self._surface is None or not self._settings.moves or not weight or not len(self._edges):
            return None
        return weight * normal_consistency(self._vertices, self._edges)

    def holds_rows(self, step: int) -> bool:
        return self._surface is not None

    def edits(self, step: int, scene: SceneView) -> list[Edit]:
        if self._surface is None:
            return []
        # What the next step shows: its graph is made here, so that this is computed once in a step.
        with torch.enable_grad():
            self._next = self._placed(scene.params["scales"])
        values = {name: value.detach() for name, value in self._next._asdict().items()}
        return [Reset(None, values, forget="none")]

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._next = None

    def keep(self, run: RunFolder) -> None:
        if self._surface is not None:
            save_mesh(run.rest_mesh, self.mesh)

    @property
    def mesh(self) -> Mesh:
        """As it is now."""
        assert self._surface is not None
        return replace(self._surface.mesh, vertices=self._vertices.detach().cpu().numpy().copy())

    def result(self) -> dict[str, Any] | None:
        if self._surface is None:
            return None
        start = torch.from_numpy(self._surface.mesh.vertices).to(self._vertices)
        moved = (self._vertices.detach() - start).norm(dim=1)
        return {
            "faces": len(self._corners),
            "per_face": self._surface.layout.per_face,
            "mean_motion": float(moved.mean()),
            "largest_motion": float(moved.max()),
        }

    def settle(self, result: Mapping[str, Any]) -> None:
        self._settled = True


def _constant(rate: float) -> Any:
    return lambda step: rate
