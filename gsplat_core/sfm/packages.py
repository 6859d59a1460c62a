"""The package that finds poses, which need not be installed."""

from __future__ import annotations

import importlib.util

from gsplat_core.errors import UsageError


def require_pycolmap() -> None:
    """Raises UsageError where pycolmap is not installed, before anything is read. Does not import it."""
    if importlib.util.find_spec("pycolmap") is None:
        raise UsageError(
            "where photographs were taken from is found by pycolmap, which is not installed: "
            "pip install 'gsplat-core[sfm]'. Or run COLMAP yourself, and name the folder with images/ and "
            "sparse/0/."
        )
