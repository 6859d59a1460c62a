"""Drop-in replacements for the rasterizers that other projects import.

``gsplat_core.compat.gsplat`` has gsplat's names, ``gsplat_core.compat.inria`` those of
``diff_gaussian_rasterization``. :func:`install_as` serves them under the original module names.
"""

from gsplat_core.compat.install import install_as as install_as
