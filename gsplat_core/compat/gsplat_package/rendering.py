"""``gsplat.rendering``"""

from gsplat_core.compat.gsplat import rasterization

__all__ = ["rasterization"]
