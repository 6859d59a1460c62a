"""The packages that meshes need besides those that are always there."""

from __future__ import annotations

import importlib
from typing import Any

from gsplat_core.errors import UsageError

NEEDED = ("trimesh", "fast_simplification", "scipy.sparse.csgraph")


def package(name: str) -> Any:
    """A module of one of them.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UsageError(f"meshes need {name.partition('.')[0]}: pip install 'gsplat-core[mesh]'") from error


def require_packages() -> None:
    """Raises UsageError where one is not installed, before anything is computed."""
    for name in NEEDED:
        package(name)
