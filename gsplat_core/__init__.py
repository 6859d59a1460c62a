"""A differentiable 3D Gaussian splatting engine that is fast without a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gsplat_core.checks import set_checks as set_checks
    from gsplat_core.render.rasterizer import rasterization as rasterization
    from gsplat_core.render.surfaces import rasterization_2dgs as rasterization_2dgs


def __getattr__(name: str) -> Any:
    """Imports the public functions on first use, so that reading a file or printing help loads no PyTorch."""
    if name == "rasterization":
        from gsplat_core.render.rasterizer import rasterization

        return rasterization
    if name == "rasterization_2dgs":
        from gsplat_core.render.surfaces import rasterization_2dgs

        return rasterization_2dgs
    if name == "set_checks":
        from gsplat_core.checks import set_checks

        return set_checks
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
