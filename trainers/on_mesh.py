"""`train --mesh`: the configuration of a run whose Gaussians hang on the faces of a mesh."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gsplat_core.errors import UsageError
from trainers.config import TrainConfig
from trainers.parts.faces import FacesConfig, Model, digest
from trainers.parts.registry import with_parts


def with_mesh(config: TrainConfig, mesh: Path, model: Model | None) -> TrainConfig:
    """The run on the faces of this mesh, with the settings of a configuration that has some.

    Args:
        model: of `gsplat_core.mesh.faces.FACE_MODELS`; None: what the configuration says.

    Raises:
        DataError: the mesh cannot be read.
    """
    given = config.on_mesh or FacesConfig()
    settings = replace(given, mesh=str(mesh.resolve()), sha256=digest(mesh), model=model or given.model)
    config = with_parts(config, ["faces"])
    return replace(config, parts={**config.parts, "faces": settings})


def refuse_without_meaning(options: dict[str, object]) -> None:
    """Raises UsageError where options by name say what becomes of the number or the start of Gaussians, which
    the mesh decides."""
    for name, value in options.items():
        if value is not None:
            raise UsageError(
                f"--{name.replace('_', '-')}: on a mesh there are as many Gaussians as its faces carry, from "
                "the start to the end; leave it out. --set faces.per_face=N says how many a face has."
            )
