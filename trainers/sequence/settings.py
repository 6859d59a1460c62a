"""What happens between one frame and the next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated

from gsplat_core.errors import UsageError
from gsplat_core.ranges import POSITIVE, STEP, check_ranges
from gsplat_core.sequence.motion_field import MotionFieldConfig
from trainers.config import TrainConfig
from trainers.parts.crisp import CrispConfig
from trainers.presets import with_strategy

REFINE_EVERY, RESET_EVERY = 30, 205
"""Published, for 800 steps. Fewer steps are not enough to know where Gaussians are missing, or to be opaque
again."""


@dataclass(frozen=True)
class FrameConfig:
    """The budget of each frame but the first (AT-GS; Chen et al. 2024).

    Args:
        motion_steps: steps of the motion field, with which Gaussians move as they are; 0 leaves it out.
        motion_rate: its learning rate.
        steps: of all that a Gaussian has, which follow; 0 leaves them out.
        strategy: density control of these; that of `unified` has its published schedule in proportion, but
            does not refine more often in shorter ones.
        field: the motion field.

    Raises:
        ValueError: a value outside its range.
    """

    motion_steps: Annotated[int, STEP] = 200
    motion_rate: Annotated[float, POSITIVE] = 0.002
    steps: Annotated[int, STEP] = 800
    strategy: str = "unified"
    field: MotionFieldConfig = field(default_factory=MotionFieldConfig)

    def __post_init__(self) -> None:
        check_ranges(self)

    def of_frame(self, first: TrainConfig) -> TrainConfig:
        """The training of a later frame, from that of the first one.

        Raises:
            UsageError: that uses something that a later frame cannot have.
        """
        if first.optimizer == "lm":
            raise UsageError("--optimizer lm finishes one frame; a sequence is trained with adam.")
        if first.compress is not None:
            raise UsageError("--compress trains one scene for a codec; leave it out of a sequence.")
        steps = max(self.steps, 1)
        later = with_strategy(replace(first, steps=steps), self.strategy).with_shared(seed=first.seed)
        if first.max_gaussians is not None:
            later = later.with_shared(max_gaussians=first.max_gaussians)
        if self.strategy == "unified":
            unified = later.densify["unified"]
            unified = replace(
                unified,
                refine_start=max(unified.refine_start, REFINE_EVERY),
                refine_every=REFINE_EVERY,
                reset_every=max(unified.reset_every, RESET_EVERY),
            )
            later = replace(later, densify={**later.densify, "unified": unified})
        if later.primitive == "flat":  # as published
            parts = {**later.parts, "crisp": CrispConfig()}
            if "surfaces" in parts:
                parts["surfaces"] = replace(parts["surfaces"], normal_from=0.0)
            later = replace(later, parts=parts)
        return replace(
            later,
            sh_degree_every=0,
            resolution=None,
            log_every=min(first.log_every, max(steps // 20, 1)),
            evaluations=min(first.evaluations, 2),
        )
