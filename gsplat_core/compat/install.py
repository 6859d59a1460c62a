"""Serving our modules under the names of the packages that they replace."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

from gsplat_core.errors import UsageError

# The names that `import` looks for, and the module that answers.
REPLACEMENTS = {
    "gsplat": {"gsplat": "gsplat_core.compat.gsplat", "gsplat.rendering": "gsplat_core.compat.gsplat"},
    "diff_gaussian_rasterization": {"diff_gaussian_rasterization": "gsplat_core.compat.inria"},
}


def install_as(name: str) -> ModuleType:
    """Makes ``import name`` give our replacement from now on, in this process, so that code written for the
    original package runs unchanged. Calling it again does nothing.

    Args:
        name: "gsplat" or "diff_gaussian_rasterization".

    Raises:
        gsplat_core.errors.UsageError: the name is another one, or the original has been imported already.
    """
    if name not in REPLACEMENTS:
        raise UsageError(f"there is no replacement for {name!r}, only for {', '.join(REPLACEMENTS)}")
    modules = {alias: import_module(target) for alias, target in REPLACEMENTS[name].items()}
    for alias, module in modules.items():
        if sys.modules.get(alias, module) is not module:
            raise UsageError(
                f"{alias!r} is imported already; call install_as({name!r}) before anything imports it"
            )
    sys.modules.update(modules)
    return modules[name]
