"""Serving our modules under the names of the packages that they replace."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Any

from gsplat_core.compat.gsplat_package import MISSING_MODULES
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
        "gsplat.optimizers.selective_adam": f"{_GSPLAT}.optimizers",
        "gsplat.relocation": f"{_GSPLAT}.relocation",
        "gsplat.exporter": f"{_GSPLAT}.exporter",
        "gsplat.compression": f"{_GSPLAT}.compression",
        "gsplat.compression.png_compression": f"{_GSPLAT}.compression",
        "gsplat.distributed": f"{_GSPLAT}.distributed",
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


class _Missing(MetaPathFinder):
    """Refuses what a replaced package has and its replacement has not, in a sentence."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        """
        Raises:
            ImportError: it is a module of a package that was replaced.
        """
        package = fullname.partition(".")[0]
        if package in REPLACEMENTS and sys.modules.get(package) is _replacement(package):
            reason = MISSING_MODULES.get(fullname, "there is no replacement for it")
            raise ModuleNotFoundError(
                f"gsplat_core does not offer the module {fullname!r}: {reason}", name=fullname
            )


_MISSING = _Missing()


def _replacement(package: str) -> ModuleType | None:
    return sys.modules.get(REPLACEMENTS[package][package])


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
    for module in modules.values():
        if not hasattr(module, "__path__"):
            module.__path__ = []  # as of a package, so that what is asked for inside of it comes to _Missing
    sys.modules.update(modules)
    for alias, module in modules.items():  # as `import a.b` leaves it
        parent, _, last = alias.rpartition(".")
        if parent:
            setattr(modules[parent], last, module)
    if _MISSING not in sys.meta_path:
        sys.meta_path.insert(0, _MISSING)
    return modules[name]
