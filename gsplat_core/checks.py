"""An optional check that all parameters are finite, off by default because it reads every value.

Without it a Gaussian with a non-finite mean, shape or opacity is culled, so it costs its place but no crash.
"""

from __future__ import annotations

import os

import torch
from torch import Tensor

from gsplat_core.errors import NumericalError

_enabled = os.environ.get("GSPLAT_CHECKS", "") not in ("", "0")


def set_checks(enabled: bool) -> None:
    """Turns the check of all parameters in every call on or off. Initially the environment variable
    ``GSPLAT_CHECKS=1`` decides."""
    global _enabled
    _enabled = enabled


def checks_enabled() -> bool:
    """Whether every call checks its parameters."""
    return _enabled


def require_finite(**tensors: Tensor | None) -> None:
    """Raises :class:`gsplat_core.errors.NumericalError` naming how many values of which tensor are not
    finite, and where the first ones are."""
    complaints = []
    for name, tensor in tensors.items():
        if tensor is None:
            continue
        places = (~torch.isfinite(tensor.detach())).nonzero()
        if len(places) == 0:
            continue
        shown = ", ".join(f"{name}{list(place)} = {tensor[tuple(place)]:g}" for place in places[:3].tolist())
        rest = ", ..." if len(places) > 3 else ""
        complaints.append(f"{len(places)} of {tensor.numel()} values of '{name}' ({shown}{rest})")
    if complaints:
        raise NumericalError(
            f"not finite: {'; '.join(complaints)}. Lower the learning rate of these parameters or remove the "
            "Gaussians concerned."
        )
