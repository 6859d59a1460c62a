"""The packages that meshes need besides those that are always there."""

from __future__ import annotations

import importlib
from typing import Any

from gsplat_core.errors import UsageError

NEEDED = ("trimesh", "fast_simplification", "scipy.sparse.csgraph")
NEEDED_BY = {"poisson": ("pymeshlab",)}
"""What methods need besides, which is not among the extra `mesh`: an extra has the method's name."""


def package(name: str) -> Any:
    """A module of one of them.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        by = next((method for method, names in NEEDED_BY.items() if name in names), None)
        what, extra = ("meshes need", "mesh") if by is None else (f"--method {by} needs", f"mesh,{by}")
        raise UsageError(f"{what} {name.partition('.')[0]}: pip install 'gsplat-core[{extra}]'") from error


def require_packages(method: str = "") -> None:
    """Raises UsageError where one is not installed that all meshes or those of a method need, before anything
    is computed."""
    for name in (*NEEDED, *NEEDED_BY.get(method, ())):
        package(name)
