"""What ``import gsplat`` gives once :func:`gsplat_core.compat.install_as` was called: gsplat's public names.

Each is ours, or it is missing and says so in a sentence. gsplat's private names are not here: what compares
them with public ones would compare us with ourselves.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HERE = "gsplat_core.compat.gsplat_package"
_RENDERING, _TILES, _CAMERAS = "gsplat_core.compat.gsplat", f"{_HERE}.tiles", f"{_HERE}.cameras"

PLACES: dict[str, str] = {
    "rasterization": _RENDERING,
    "fully_fused_projection": _RENDERING,
    "spherical_harmonics": _RENDERING,
    "quat_scale_to_covar_preci": _RENDERING,
    "RollingShutterType": _RENDERING,
    "UnscentedTransformParameters": _RENDERING,
    "FThetaCameraDistortionParameters": _RENDERING,
    "FThetaPolynomialType": _RENDERING,
    "BivariateWindshieldModelParameters": _RENDERING,
    "ExternalDistortionReferencePolynomial": _RENDERING,
    "__version__": _RENDERING,
    "world_to_cam": _CAMERAS,
    "proj": _CAMERAS,
    "persp_proj": _CAMERAS,
    "isect_tiles": _TILES,
    "isect_offset_encode": _TILES,
    "rasterize_to_pixels": _TILES,
    "accumulate": _TILES,
    "Strategy": f"{_HERE}.strategy",
    "DefaultStrategy": f"{_HERE}.strategy",
    "MCMCStrategy": f"{_HERE}.strategy",
    "SelectiveAdam": f"{_HERE}.optimizers",
    "compute_relocation": f"{_HERE}.relocation",
    "export_splats": f"{_HERE}.exporter",
}
"""By name, the module that has it."""

MISSING: dict[str, str] = {
    "PngCompression": "its folder of PNG images; gsplat_core.io.save writes .sog, .spz and .gsz",
    "rasterize_to_indices_in_range": "its pairs of pixels and Gaussians; rasterization(top=K) tells them",
    "adam": "the kernel of SelectiveAdam, which is there",
    "rasterization_2dgs": "2D Gaussians",
    "rasterization_2dgs_inria_wrapper": "2D Gaussians",
    "fully_fused_projection_2dgs": "2D Gaussians",
    "rasterize_to_pixels_2dgs": "2D Gaussians",
    "rasterize_to_indices_in_range_2dgs": "2D Gaussians",
    "accumulate_2dgs": "2D Gaussians",
    "rasterization_inria_wrapper": "Inria's package with gsplat's arguments; see gsplat_core.compat.inria",
    "fully_fused_projection_with_ut": "a stage on its own; rasterization has with_ut",
    "rasterize_to_pixels_eval3d": "a stage on its own; rasterization has with_eval3d",
}
"""Names that gsplat has and this package has not, and what they stand for there."""


def __getattr__(name: str) -> Any:
    if name in PLACES:
        found = getattr(import_module(PLACES[name]), name, None)
        if found is not None:
            return found
        raise ImportError(f"gsplat_core does not offer gsplat's {name!r} yet")
    if name in MISSING:
        raise ImportError(f"gsplat_core does not offer gsplat's {name!r}: {MISSING[name]}")
    raise AttributeError(f"module 'gsplat' of gsplat_core has no attribute {name!r}")
