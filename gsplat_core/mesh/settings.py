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

    resolution: Annotated[int, Range(8, 8192)] = 384
    """Voxels along the longest side of the box."""
    truncation: Annotated[float, Range(0, 64)] = 0.0
    """How far from a surface, in voxels, a view tells distances to it; 0: four, or a 64th of the box."""
    min_alpha: Annotated[float, Range(0, 1)] = 0.5
    """Pixels less opaque show no surface."""
    min_weight: Annotated[float, POSITIVE] = 0.1
    """A voxel counts if the views of it add up to this; one from straight before counts 1, others less."""
    depth_limit: Annotated[float, NOT_NEGATIVE] = 0.0
    """What is farther from a camera, in scene units, is left out; 0: nothing is."""
    max_memory: Annotated[float, POSITIVE] = 4.0
    """GiB for voxels."""
    octree_depth: Annotated[int, Range(4, 14)] = 10
    """Of poisson, which has no voxels: cells along the longest side of the box are 2 to this power."""
    unsupported: Annotated[float, Range(0, 1)] = 0.1
    """Of poisson: this share of vertices goes, those that the fewest points are near."""

    @property
    def reach(self) -> float:
        """The truncation in voxels. What views get wrong does not shrink with voxels, so neither does it."""
        return max(self.truncation, 1.5) if self.truncation else max(4.0, self.resolution / 64)

    def __post_init__(self) -> None:
        try:
            check_ranges(self)
        except ValueError as error:
            raise UsageError(f"{error}.") from error
