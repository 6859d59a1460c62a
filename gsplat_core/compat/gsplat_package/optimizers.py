"""``gsplat.optimizers``"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from gsplat_core.optim import Adam


class SelectiveAdam(Adam):
    """Adam that only moves the Gaussians in view, without the correction of young moments (Mallick et al.,
    "Taming 3DGS", 2024).

    Args:
        params: float32 tensors or groups, rows of which are Gaussians.
        eps: added to the denominator.
        betas: decay of the running means of the gradient and of its square.
    """

    def __init__(
        self, params: Iterable[Tensor] | Iterable[dict[str, Any]], eps: float, betas: tuple[float, float]
    ) -> None:
        super().__init__(params, eps=eps, betas=betas, bias_correction=False)

    def step(self, visibility: Tensor) -> None:  # type: ignore[override]
        """One step of the rows [N] that are True (or not zero) in `visibility`."""
        super().step(visible=visibility.bool())


__all__ = ["SelectiveAdam"]
