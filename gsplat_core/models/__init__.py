"""Primitives beyond the plain Gaussian, one per module, each found by its name (`gsplat_core.primitive`)."""
