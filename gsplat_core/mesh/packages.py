"""The packages that meshes need besides those that are always there."""

from __future__ import annotations

import importlib
from typing import Any

from gsplat_core.errors import UsageError

NEEDED = ("trimesh", "fast_simplification", "scipy.sparse.csgraph")
NEEDED_BY = {
    "poisson": ("--method poisson", ("pymeshlab",)),
    "texture": ("--texture", ("xatlas",)),
}
"""What is needed besides, and not among the extra `mesh`: of each further extra, the option and packages."""


def package(name: str) -> Any:
    """A module of one of them.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        needed, extra = "meshes need", "mesh"
        for further, (option, names) in NEEDED_BY.items():
            if name in names:
                needed, extra = f"{option} needs", f"mesh,{further}"
        raise UsageError(f"{needed} {name.partition('.')[0]}: pip install 'gsplat-core[{extra}]'") from error


def require_packages(*extras: str) -> None:
    """Raises UsageError where one is not installed that all meshes or these extras need, before anything is
    computed. Names of methods that need nothing besides may be among them."""
    further = [name for extra in extras if extra in NEEDED_BY for name in NEEDED_BY[extra][1]]
    for name in (*NEEDED, *further):
        package(name)
