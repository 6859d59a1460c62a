"""Frames in files that say what changed since the frame before (QUEEN, Girish et al. 2024).

The first frame and every so-manieth after it are whole, so that a frame is read with a few others. What a
frame starts with, and what is measured of it, is always what its file decodes to: no error adds up.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

from gsplat_core.compress.residual import MOST_IN_A_ROW
from gsplat_core.densify.adc import ADCConfig
from gsplat_core.errors import UsageError
from gsplat_core.io.links import remove
from gsplat_core.primitive import no_place_for
from gsplat_core.ranges import Range, check_ranges
from gsplat_core.scene.gaussians import PLAIN
from trainers.config import LearningRates, TrainConfig
from trainers.parts.key_frame import KeyFrameConfig
from trainers.parts.residual import ResidualConfig
from trainers.sequence.pieces import Frame, Piece


@dataclass(frozen=True)
class ResidualsConfig:
    """Args:
        key_every: every so-manieth frame is whole.

    Raises:
        ValueError: a number outside its range.
    """

    key_every: Annotated[int, Range(1, MOST_IN_A_ROW)] = 10

    def __post_init__(self) -> None:
        check_ranges(self)


class Residuals(Piece):
    """Trains all frames but the first as residuals, and leaves of each what its file needs.

    Raises:
        UsageError: the first frame is trained as something that cannot be coded so.
    """

    def __init__(self, settings: ResidualsConfig, first: TrainConfig) -> None:
        self._settings = settings
        if first.primitive != PLAIN:
            raise UsageError(
                f"--residual {no_place_for(first.primitive)}; leave out --residual, --model and "
                "--antialiasing mip."
            )
        if first.active_set is not None:
            raise UsageError("--residual trains scenes that are in memory; leave out --active-set.")

    def told(self) -> dict[str, Any]:
        return {"residual": asdict(self._settings)}

    def prepared(self, frame: Frame, config: TrainConfig) -> TrainConfig:
        parts = dict(config.parts)
        if frame.number % self._settings.key_every == 0:
            parts["key_frame"] = KeyFrameConfig()
        if frame.previous is None:
            return replace(config, parts=parts)
        parts["residual"] = ResidualConfig(before=str(frame.previous.path.resolve()))
        still = LearningRates(means=0, means_final=0, quats=0, scales=0, opacities=0, sh0=0, shN=0)
        return replace(
            config, parts=parts, learning_rates=still, strategy="adc",
            densify={"adc": ADCConfig(refine_stop=0, max_gaussians=config.max_gaussians)},
        )  # fmt: skip

    def finished(self, frame: Frame) -> None:
        remove(frame.run.point_cloud)  # it is what the file decodes to
