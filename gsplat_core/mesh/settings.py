"""What is asked of a method that makes a mesh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from gsplat_core.errors import UsageError
from gsplat_core.ranges import NOT_NEGATIVE, POSITIVE, Range, check_ranges


@dataclass(frozen=True)
class MeshSettings:
    """
    Raises:
        UsageError: a number is outside its range.
    """

    resolution: Annotated[int, Range(8, 8192)] = 256
    """Voxels along the longest side of the box."""
    truncation: Annotated[float, Range(1.5, 64)] = 4.0
    """How far from a surface, in voxels, a view still tells distances to it."""
    min_alpha: Annotated[float, Range(0, 1)] = 0.5
    """Pixels less opaque show no surface."""
    min_weight: Annotated[float, POSITIVE] = 0.5
    """A voxel counts if the views of it add up to this; one from straight before counts 1, others less."""
    depth_limit: Annotated[float, NOT_NEGATIVE] = 0.0
    """What is farther from a camera, in scene units, is left out; 0: nothing is."""
    max_memory: Annotated[float, POSITIVE] = 4.0
    """GiB for voxels."""

    def __post_init__(self) -> None:
        try:
            check_ranges(self)
        except ValueError as error:
            raise UsageError(f"{error}.") from error
