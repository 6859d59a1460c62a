"""Ways to make a mesh, by name. To add one: write its file, and its line here."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from gsplat_core.errors import UsageError
from gsplat_core.mesh.mesh import Mesh

METHODS = {
    "tsdf": "gsplat_core.mesh.tsdf",
    "level": "gsplat_core.mesh.level",
    "poisson": "gsplat_core.mesh.poisson",
}
"""Modules with `run(views, box, settings)`, which are imported when they are used."""


def check_method(name: str) -> None:
    """Raises UsageError where there is no such method."""
    if name not in METHODS:
        raise UsageError(f"--method must be one of {', '.join(METHODS)}, not {name!r}.")


def method(name: str) -> Callable[..., Mesh]:
    """
    Raises:
        UsageError: there is none of this name.
    """
    check_method(name)
    run: Callable[..., Mesh] = importlib.import_module(METHODS[name]).run
    return run
