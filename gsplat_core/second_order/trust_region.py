"""How far the quadratic model is trusted: the damping of Levenberg-Marquardt, adapted by the gain ratio."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class TrustRegion:
    """The damping `lambda` in ``(A + lambda D) x = b``, D a diagonal of A's scale.

    The update is that of Nielsen (1999), which Ceres uses too: a gain ratio (actual by predicted decrease)
    near 1 divides the damping by up to 3, one near 0 raises it, and every failure in a row raises it
    faster.
    """

    damping: float = 1.0
    growth: float = 2.0
    lowest: float = 1e-4
    highest: float = 1e8

    def accepted(self, gain: float) -> TrustRegion:
        factor = max(1 / 3, 1 - (2 * min(gain, 1.0) - 1) ** 3)
        return replace(self, damping=self._limited(self.damping * factor), growth=2.0)

    def shortened(self, step_size: float) -> TrustRegion:
        """After a step that only helped when it was shortened, to `step_size` < 1 of itself."""
        return replace(self, damping=self._limited(self.damping / step_size), growth=2.0)

    def rejected(self) -> TrustRegion:
        return replace(self, damping=self._limited(self.damping * self.growth), growth=2 * self.growth)

    def _limited(self, damping: float) -> float:
        return min(max(damping, self.lowest), self.highest)
