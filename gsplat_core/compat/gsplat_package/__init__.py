"""What ``import gsplat`` gives once :func:`gsplat_core.compat.install_as` was called: gsplat's public names.

Each is ours, or it is missing and says so in a sentence. gsplat's private names are not here: what compares
them with public ones would compare us with ourselves.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HERE = "gsplat_core.compat.gsplat_package"
_RENDERING, _TILES, _CAMERAS = "gsplat_core.compat.gsplat", f"{_HERE}.tiles", f"{_HERE}.cameras"
_CHOICES = f"{_HERE}.choices"

PLACES: dict[str, str] = {
    "rasterization": _RENDERING,
    "rasterization_2dgs": _RENDERING,
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
    "accumulate": f"{_HERE}.pairs",
    "rasterize_to_indices_in_range": f"{_HERE}.pairs",
    "Strategy": f"{_HERE}.strategy",
    "DefaultStrategy": f"{_HERE}.strategy",
    "MCMCStrategy": f"{_HERE}.strategy",
    "SelectiveAdam": f"{_HERE}.optimizers",
    "compute_relocation": f"{_HERE}.relocation",
    "export_splats": f"{_HERE}.exporter",
    "PngCompression": f"{_HERE}.compression",
    "CameraModel": _CHOICES,
    "RenderMode": _CHOICES,
    "RasterizeMode": _CHOICES,
    "has_2dgs": _CHOICES,
    "has_3dgs": _CHOICES,
    "has_3dgut": _CHOICES,
    "has_adam": _CHOICES,
    "has_reloc": _CHOICES,
}
"""By name, the module that has it."""

_LIDAR = "rays of a lidar"
_WINDSHIELD = "its C++ side of a windshield; rasterization has external_distortion_coeffs"
_STAGE_2DGS = "a stage of 2D Gaussians on its own; rasterization_2dgs is there"
MISSING: dict[str, str] = {
    "adam": "the kernel of SelectiveAdam, which is there",
    "rasterization_2dgs_inria_wrapper": "Inria's package in gsplat's words; see rasterization_2dgs",
    "fully_fused_projection_2dgs": _STAGE_2DGS,
    "rasterize_to_pixels_2dgs": _STAGE_2DGS,
    "rasterize_to_indices_in_range_2dgs": _STAGE_2DGS,
    "accumulate_2dgs": _STAGE_2DGS,
    "rasterization_inria_wrapper": "Inria's package with gsplat's arguments; see gsplat_core.compat.inria",
    "fully_fused_projection_with_ut": "a stage on its own; rasterization has with_ut",
    "rasterize_to_pixels_eval3d": "a stage on its own; rasterization has with_eval3d",
    "rasterize_to_pixels_eval3d_extra": "a stage on its own; rasterization has with_eval3d",
    "color_correct_affine": "another fit than gsplat_core.color_correction.color_corrected",
    "color_correct_quadratic": "another fit than gsplat_core.color_correction.color_corrected",
    "isect_tiles_lidar": _LIDAR,
    "RowOffsetStructuredSpinningLidarModelParameters": _LIDAR,
    "RowOffsetStructuredSpinningLidarModelParametersExt": _LIDAR,
    "compute_lidar_angles_to_columns_map": _LIDAR,
    "compute_lidar_tiling": _LIDAR,
    "SpinningDirection": _LIDAR,
    "ExternalDistortionModelMeta": _WINDSHIELD,
    "ExternalDistortionModelParameters": _WINDSHIELD,
}
"""Names that gsplat has and this package has not, and what they stand for there."""

MISSING_MODULES: dict[str, str] = {
    "gsplat.losses": "its fused losses; gsplat_core.losses has l1_dssim",
    "gsplat.compression.sort": "a step of PngCompression, which is there",
    "gsplat.color_correct": "another fit than gsplat_core.color_correction.color_corrected",
    "gsplat.strategy.ops": "single edits of strategies; gsplat_core.densify has its own",
    "gsplat.cuda._torch_impl_2dgs": "2D Gaussians in PyTorch; gsplat_core.reference.surfels has them",
    "gsplat.cuda._backend": "its compiled kernels; ours are gsplat_core.ops",
    "gsplat.profile": "its timers; torch.profiler sees our operators",
    "gsplat.trace": "its timers; torch.profiler sees our operators",
    "gsplat.contrib": "its additions",
    "gsplat.experimental": "its experiments",
}
"""Modules that gsplat has and this package has not."""


def __getattr__(name: str) -> Any:
    if name in PLACES:
        found = getattr(import_module(PLACES[name]), name, None)
        if found is not None:
            return found
        raise ImportError(f"gsplat_core does not offer gsplat's {name!r} yet")
    if name in MISSING:
        raise ImportError(f"gsplat_core does not offer gsplat's {name!r}: {MISSING[name]}")
    raise AttributeError(f"module 'gsplat' of gsplat_core has no attribute {name!r}")
