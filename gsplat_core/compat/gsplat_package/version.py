"""``gsplat.version``"""

from gsplat_core.compat.gsplat import __version__

__all__ = ["__version__"]
