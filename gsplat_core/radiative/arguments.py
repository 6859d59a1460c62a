"""Checks of what describes a radiative field."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from gsplat_core.arguments import check_same_device, check_tensor
from gsplat_core.checks import checks_enabled, require_finite


def check_field(means: Any, quats: Any, scales: Any, densities: Any, **others: Tensor) -> None:
    """Raises ValueError unless these are float32 tensors [N, 3], [N, 4], [N, 3] and [N] on one device, which
    is that of `others`, too."""
    if not isinstance(means, Tensor) or means.dim() != 2:
        got = list(means.shape) if isinstance(means, Tensor) else type(means).__name__
        raise ValueError(f"argument 'means' must have shape [N, 3], got {got}")
    tensors = {"means": means, "quats": quats, "scales": scales, "densities": densities}
    for (name, tensor), layout in zip(tensors.items(), ("N 3", "N 4", "N 3", "N"), strict=True):
        check_tensor(name, tensor, layout, {"N": len(means)}, ())
    check_same_device(tensors | others)
    if checks_enabled():
        require_finite(**tensors, **others)


def check_threshold(threshold: float) -> None:
    """Raises ValueError unless contributions can be compared with it."""
    if not 0 < threshold < 1e20:
        raise ValueError(f"argument 'threshold' must be between 0 and 1e20, got {threshold}")
