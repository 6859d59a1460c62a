"""Models of Gaussians on faces, by name. To add one: write its file, and its line here."""

from __future__ import annotations

from collections.abc import Mapping

from gsplat_core.errors import UsageError
from gsplat_core.mesh.faces.games import GamesFaces
from gsplat_core.mesh.faces.model import FaceModel
from gsplat_core.mesh.faces.sugar import SugarFaces

FACE_MODELS: Mapping[str, FaceModel] = {"sugar": SugarFaces(), "games": GamesFaces()}


def face_model(name: str) -> FaceModel:
    """
    Raises:
        UsageError: there is none of this name.
    """
    if name not in FACE_MODELS:
        raise UsageError(f"no Gaussians on faces are called {name!r}; there are: {', '.join(FACE_MODELS)}")
    return FACE_MODELS[name]
