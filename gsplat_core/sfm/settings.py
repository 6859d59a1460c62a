"""How a reconstruction is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from gsplat_core.ranges import Range, check_ranges

CameraModel = Literal[
    "SIMPLE_PINHOLE",
    "PINHOLE",
    "SIMPLE_RADIAL",
    "RADIAL",
    "OPENCV",
    "FULL_OPENCV",
    "SIMPLE_RADIAL_FISHEYE",
    "RADIAL_FISHEYE",
    "OPENCV_FISHEYE",
    "FOV",
    "THIN_PRISM_FISHEYE",
]
SingleCamera = Literal["auto", "yes", "folder", "no"]
Quality = Literal["low", "medium", "high", "extreme"]
Matcher = Literal["auto", "exhaustive", "sequential", "spatial", "similar"]
Mapper = Literal["auto", "incremental", "global"]


class Effort(NamedTuple):
    """What of a photograph is looked at: its longer side in pixels, and at most so many features."""

    image_size: int
    features: int


EFFORTS: dict[Quality, Effort] = {
    "low": Effort(1000, 2048),
    "medium": Effort(1600, 4096),
    "high": Effort(2400, 8192),
    "extreme": Effort(4800, 16384),
}
"""Those of COLMAP's automatic reconstruction, of which its own name for 4096 features is medium, too."""


@dataclass(frozen=True)
class Settings:
    """What decides the result.

    Attributes:
        camera_model: COLMAP's name of the lens.
        single_camera: which photographs share a camera: those of one size, maker, model and focal length
            (auto), all (yes), those of a folder, or none (no).
        quality: how large photographs are looked at, and how many features are kept.
        max_image_size: pixels of the longer side, in place of the quality's.
        matcher: which pairs of photographs are compared (`pairs.py`).
        mapper: places one photograph after the other (incremental), or all at once (global).
        frames: how many of a video are used; None: as many as its camera's way asks for.
        seed: of everything random.
    """

    camera_model: CameraModel = "OPENCV"
    single_camera: SingleCamera = "auto"
    quality: Quality = "medium"
    max_image_size: Annotated[int, Range(64, 100_000)] | None = None
    matcher: Matcher = "auto"
    mapper: Mapper = "auto"
    frames: Annotated[int, Range(2, 100_000)] | None = None
    seed: Annotated[int, Range(0, 2**31 - 1)] = 0

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def effort(self) -> Effort:
        """The quality's, with the size of images that was asked for."""
        usual = EFFORTS[self.quality]
        return usual if self.max_image_size is None else usual._replace(image_size=self.max_image_size)
