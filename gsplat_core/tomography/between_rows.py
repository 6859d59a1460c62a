"""Projections as detectors would measure them whose rows are somewhere else, by linear interpolation.

All views of a parallel beam on a circle have their rows at the same heights. Thin Gaussians can stand on
these and leave gaps in between that no projection shows. Targets between the rows close them; what is asked
for there is what backprojection, too, takes for granted. Rows of a cone are at other heights wherever the
depth is another, so its views look into each other's gaps.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from gsplat_core.tomography.scanner import Scanner


def between_rows(scanner: Scanner, integrals: Tensor, share: float) -> tuple[Scanner, Tensor]:
    """A scanner with its detector moved, and what it measures.

    Args:
        integrals: [C, H, W] what it measures where it is.
        share: of a row's height, by which it moves along y of the image, -1 to 1.

    Returns:
        The scanner, and [C, H, W]; the first row and the last one go on as they are beyond the detector.
    """
    if not -1 <= share <= 1:
        raise ValueError(f"argument 'share' must be between -1 and 1, got {share}")
    down = share > 0
    neighbours = integrals.roll(-1 if down else 1, dims=1)
    end = -1 if down else 0
    neighbours[:, end] = integrals[:, end]
    ox, oy = scanner.offset
    moved = replace(scanner, offset=(ox, oy + share * scanner.spacing[1]))
    return moved, integrals.lerp(neighbours, abs(share))
