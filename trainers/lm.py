"""Levenberg-Marquardt at the end of a run: after Adam and density control, a few steps on many photographs.

Every iteration counts as one step of the run: it is logged, measured, checkpointed and resumed like one of
Adam.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch

from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.second_order.levenberg_marquardt import Iteration, Options, Photograph, iterate
from gsplat_core.second_order.linearization import Settings
from gsplat_core.second_order.objective import L1DSSIM, HuberSSIM, Objective
from gsplat_core.second_order.trust_region import TrustRegion


@dataclass(frozen=True)
class LMConfig:
    """What `--optimizer lm` does after Adam.

    Args:
        start: share of the run's steps after which Adam stops; later if density control goes on longer. The
            learning rates of Adam follow the schedule of the whole run.
        iterations: how many follow.
        views: photographs per iteration; all where there are fewer. Random ones, each before any comes again.
        objective: "l1_dssim" is the loss of Adam; "huber_ssim" that of 3DGS-LM.
        damping: of the first iteration.
        options: of each iteration.
    """

    start: float = 2 / 3
    iterations: int = 10
    views: int = 48
    objective: Literal["l1_dssim", "huber_ssim"] = "l1_dssim"
    damping: float = 1.0
    options: Options = field(default_factory=Options)

    def __post_init__(self) -> None:
        if not 0 <= self.start <= 1:
            raise ValueError(f"lm.start must lie in [0, 1], got {self.start}")
        for name in ("iterations", "views"):
            if getattr(self, name) < 1:
                raise ValueError(f"lm.{name} must be positive, got {getattr(self, name)}")
        if self.damping <= 0:
            raise ValueError(f"lm.damping must be positive, got {self.damping}")


class LevenbergMarquardt:
    """The iterations of one run.

    The trust region is all of their state: what is random depends on seed and iteration only.
    """

    def __init__(self, config: LMConfig, lambda_dssim: float, seed: int) -> None:
        self.config = config
        self.seed = seed
        self.region = TrustRegion(damping=config.damping)
        self.objective: Objective = L1DSSIM(lambda_dssim) if config.objective == "l1_dssim" else HuberSSIM()

    def choose(self, iteration: int, count: int) -> list[int]:
        """Which of `count` photographs the iteration (from 0) takes, in order."""
        turns = -(-count // self.config.views)
        epoch, turn = divmod(iteration, turns)
        numbers = list(range(count))
        random.Random(self.seed * 1_000_003 + epoch).shuffle(numbers)
        return sorted(numbers[turn::turns])

    def iterate(
        self, gaussians: Gaussians, photographs: Sequence[Photograph], settings: Settings, iteration: int
    ) -> Iteration:
        """Improves the Gaussians in place."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + iteration)
        result = iterate(
            gaussians, photographs, settings, self.objective, self.region, self.config.options, generator
        )
        self.region = result.region
        return result

    def state_dict(self) -> dict[str, Any]:
        return asdict(self.region)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.region = TrustRegion(**state)
