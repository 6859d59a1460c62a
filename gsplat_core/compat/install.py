"""Serving our modules under the names of the packages that they replace."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

from gsplat_core.errors import UsageError

# The names that `import` looks for, and the module that answers.
_GSPLAT = "gsplat_core.compat.gsplat_package"
REPLACEMENTS = {
    # Modules of gsplat that only repeat what it has at the top are the package itself.
    "gsplat": {
        "gsplat": _GSPLAT,
        "gsplat.rendering": _GSPLAT,
        "gsplat.strategy": f"{_GSPLAT}.strategy",
        "gsplat.strategy.base": f"{_GSPLAT}.strategy",
        "gsplat.strategy.default": f"{_GSPLAT}.strategy",
        "gsplat.strategy.mcmc": f"{_GSPLAT}.strategy",
        "gsplat.optimizers": f"{_GSPLAT}.optimizers",
        "gsplat.relocation": f"{_GSPLAT}.relocation",
        "gsplat.exporter": f"{_GSPLAT}.exporter",
        "gsplat.compression": _GSPLAT,
        "gsplat.utils": f"{_GSPLAT}.utils",
        "gsplat.version": _GSPLAT,
        "gsplat.cuda": _GSPLAT,
        "gsplat.cuda._wrapper": _GSPLAT,
        "gsplat.cuda._torch_impl": _GSPLAT,
    },
    "diff_gaussian_rasterization": {"diff_gaussian_rasterization": "gsplat_core.compat.inria"},
    "simple_knn": {
        "simple_knn": "gsplat_core.compat.simple_knn",
        "simple_knn._C": "gsplat_core.compat.simple_knn",
    },
    "fused_ssim": {"fused_ssim": "gsplat_core.compat.fused_ssim"},
}


def install_as(name: str) -> ModuleType:
    """Makes ``import name`` give our replacement from now on, in this process, so that code written for the
    original package runs unchanged. Calling it again does nothing.

    Args:
        name: one of `REPLACEMENTS`.

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
    for alias, module in modules.items():  # as `import a.b` leaves it
        parent, _, last = alias.rpartition(".")
        if parent:
            setattr(modules[parent], last, module)
    return modules[name]
