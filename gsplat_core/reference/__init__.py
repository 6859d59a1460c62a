"""The renderer that the fast ones are checked against: plain PyTorch, float64, dense, autograd only.

Every Gaussian meets every pixel, nothing is tiled or approximated, and no derivative is written by hand. It
shares no code with the operators. Memory grows with Gaussians times pixels: some 300 Gaussians on 100 x 80
pixels are comfortable.

Each part that has variants is a file with a registry, under the names that :func:`gsplat_core.rasterization`
knows; the tests compare every variant of the operators with the one of the same name here.
"""

from gsplat_core.reference.cameras import CAMERAS, Intrinsics
from gsplat_core.reference.compositors import COMPOSITORS
from gsplat_core.reference.harmonics import sh_basis
from gsplat_core.reference.payloads import PAYLOADS
from gsplat_core.reference.rasterizer import rasterization
from gsplat_core.reference.responses import RESPONSES

__all__ = ["CAMERAS", "COMPOSITORS", "PAYLOADS", "RESPONSES", "Intrinsics", "rasterization", "sh_basis"]
