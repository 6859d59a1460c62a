"""Gaussians that are trained on the faces of a mesh: how each of them follows from its face and a few numbers
of its own.

A layout (`layout.py`) says which faces carry Gaussians, each the same number of them. A model (`model.py`;
`sugar.py`, `games.py`) has the numbers that are trained besides opacities and colours, and makes centres,
rotations and scales of these and of the corners of the faces, differentiably, so that vertices can be
trained, too. What it makes are Gaussians like any others, and with the field `face` they hang on the mesh
(`gsplat_core.mesh.binding`), which from then on moves them.
"""

from gsplat_core.mesh.faces.layout import Layout
from gsplat_core.mesh.faces.model import FaceModel, Placed
from gsplat_core.mesh.faces.registry import FACE_MODELS, face_model
from gsplat_core.mesh.faces.start import started

__all__ = ["FACE_MODELS", "FaceModel", "Layout", "Placed", "face_model", "started"]
