"""COLMAP's sparse models: finding, reading (binary and text) and checking them."""

from __future__ import annotations

from gsplat_core.scene.colmap.folder import find_models, read_model
from gsplat_core.scene.colmap.model import RegisteredImage, SparseModel, SparsePoints

__all__ = ["RegisteredImage", "SparseModel", "SparsePoints", "find_models", "read_model"]
