"""The operators of ``torch.ops.gsplat_core``: loading the library, fake kernels and derivatives.

One module per operator family registers its fake (meta) kernel and its autograd formula in Python; the
kernels themselves live in ``csrc``. Importing this package loads the library.
"""

from gsplat_core.ops import library as library
