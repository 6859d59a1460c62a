"""A scene that is written as one compressed file, and measured as it is read from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from gsplat_core.compress.registry import CODECS
from gsplat_core.io import gsz
from gsplat_core.io.usable import keep_usable
from gsplat_core.ranges import Range, check_ranges
from gsplat_core.scene.dataset import View
from gsplat_core.scene.gaussians import Gaussians
from trainers.parts.part import Part
from trainers.run_folder import RunFolder

if TYPE_CHECKING:
    from trainers.config import TrainConfig


@dataclass(frozen=True)
class KeyFrameConfig:
    """Args:
        coarseness: factor on the steps of the codec `scalar`. 0.25 is what `export` writes.

    Raises:
        ValueError: a number outside its range.
    """

    coarseness: Annotated[float, Range(0, 16, "least")] = 0.25

    def __post_init__(self) -> None:
        check_ranges(self)


class KeyFrame(Part):
    """`gsplat-core stream --residual` gives it to the first frame and to each that can be read without
    others."""

    settings: ClassVar[type[Any] | None] = KeyFrameConfig

    def __init__(self, settings: KeyFrameConfig, config: TrainConfig, views: Sequence[View]) -> None:
        self._settings = settings

    def coded(self, scene: Gaussians, run: RunFolder) -> Gaussians:
        usable = keep_usable(scene, run.compressed, strict=False)
        gsz.save(run.compressed, usable, CODECS["scalar"].create(self._settings.coarseness))
        return gsz.load(run.compressed).to(scene.device)
