"""Levenberg-Marquardt at the end of a run, after Adam and density control.

Every iteration counts as one step of the run: it is logged, measured, checkpointed and resumed like one of
Adam. There are two methods: "stochastic" has many iterations on one photograph each, "full" a few on many.

Where it would lose, Adam goes on from where it stopped, as if nothing had been between: without a try where
the photographs determine the scene badly, because Levenberg-Marquardt fits them more closely than is good for
other views, or where they come too seldom for noise to average out; and where its steps on some photographs
do harm to the others, however short they are.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from gsplat_core.ranges import COUNT, NOT_NEGATIVE, POSITIVE, SHARE, Range, check_ranges
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.second_order.levenberg_marquardt import Options, Photograph, iterate
from gsplat_core.second_order.linearization import Settings
from gsplat_core.second_order.objective import L1DSSIM, HuberSSIM, Objective
from gsplat_core.second_order.stochastic import StochasticNewton, StochasticOptions
from gsplat_core.second_order.trust_region import TrustRegion

MOST_UNDONE = 3
"""Where steps were undone so often and nothing has been better than the beginning, Adam goes on."""


@dataclass(frozen=True)
class FullConfig:
    """Iterations on many photographs.

    Args:
        iterations: how many.
        views: photographs per iteration; all where there are fewer. Random ones, each before any comes again.
        damping: of the first iteration.
        options: of each iteration.
    """

    iterations: Annotated[int, COUNT] = 10
    views: Annotated[int, COUNT] = 48
    damping: Annotated[float, POSITIVE] = 1.0
    options: Options = field(default_factory=Options)

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class LMConfig:
    """What `--optimizer lm` does after Adam.

    Args:
        start: share of the run's steps after which Adam stops; later if density control goes on longer. The
            learning rates of Adam follow the schedule of the whole run.
        method: "stochastic" or "full".
        length: how many iterations the stochastic method has, as a share of the run's steps.
        check_every: after so many iterations of the stochastic method the losses that they met are compared
            with earlier ones, and what made them rise is undone.
        determined: how many numbers the training photographs must have for each parameter of the scene.
            Where there are fewer, Adam goes on. 0: it never does, also not where the steps do harm.
        turns: how often the stochastic method must come by each photograph; otherwise Adam goes on.
        objective: "l1_dssim" is the loss of Adam; "huber_ssim" that of 3DGS-LM.
        stochastic, full: the settings of each method.
    """

    start: Annotated[float, SHARE] = 2 / 3
    method: Literal["stochastic", "full"] = "stochastic"
    length: Annotated[float, Range(0, 1000, "least")] = 0.2
    check_every: Annotated[int, COUNT] = 20
    determined: Annotated[float, NOT_NEGATIVE] = 0.5
    turns: Annotated[float, NOT_NEGATIVE] = 6.0
    objective: Literal["l1_dssim", "huber_ssim"] = "l1_dssim"
    stochastic: StochasticOptions = field(default_factory=StochasticOptions)
    full: FullConfig = field(default_factory=FullConfig)

    def __post_init__(self) -> None:
        check_ranges(self)

    def iterations(self, steps: int) -> int:
        """How many follow on Adam in a run that would have so many steps with Adam alone."""
        if self.method == "full":
            return self.full.iterations
        # The first makes the curvature and moves nothing.
        return max(round(self.length * steps), 2)


@dataclass(frozen=True)
class Refinement:
    """What one iteration did."""

    loss: float
    """Mean over its photographs."""
    image: Tensor
    """[H, W, 3] of the first of them, before the step."""
    details: dict[str, float]
    """For the history."""


class LevenbergMarquardt:
    """The iterations of one run; what is random in them depends on seed and iteration only.

    Args:
        iterations: how many there will be.
    """

    def __init__(self, config: LMConfig, lambda_dssim: float, seed: int, iterations: int) -> None:
        self.config = config
        self.seed = seed
        self.iterations = iterations
        self.region = TrustRegion(damping=config.full.damping)
        self.stochastic = StochasticNewton(config.stochastic)
        self.handed_over = False
        """Whether Adam goes on."""
        self.objective: Objective = L1DSSIM(lambda_dssim) if config.objective == "l1_dssim" else HuberSSIM()

    def consider(self, photographs: int, numbers: int, parameters: int) -> None:
        """Leaves the run to Adam where the photographs determine the scene badly, or come too seldom.

        Args:
            photographs: how many there are to train on.
            numbers: of all of them together, three for each pixel.
            parameters: of all Gaussians together.
        """
        if self.config.determined == 0:
            return
        few = self.config.method == "stochastic" and self.iterations < self.config.turns * photographs
        self.handed_over |= few or numbers < self.config.determined * parameters

    @property
    def on_trial(self) -> bool:
        """Whether Adam may still take over, from where it stopped."""
        if self.config.method == "full" or self.config.determined == 0 or self.handed_over:
            return False
        guard = self.stochastic.guard
        return guard is None or not guard.succeeded

    def _checks_at(self, iteration: int) -> bool:
        """At the end, and before it as long as there are iterations for another window."""
        left = self.iterations - 1 - iteration
        return left == 0 or (iteration % self.config.check_every == 0 and left >= self.config.check_every)

    def choose(self, iteration: int, count: int) -> list[int]:
        """Which of `count` photographs the iteration (from 0) takes, in order."""
        if self.config.method == "full":
            return self._turn(iteration, count, self.config.full.views)
        return list(range(count)) if iteration == 0 else self._turn(iteration - 1, count, 1)

    def _turn(self, iteration: int, count: int, views: int) -> list[int]:
        turns = -(-count // views)
        epoch, turn = divmod(iteration, turns)
        numbers = list(range(count))
        random.Random(self.seed * 1_000_003 + epoch).shuffle(numbers)
        return sorted(numbers[turn::turns])

    def iterate(
        self,
        gaussians: Gaussians,
        photographs: Sequence[Photograph],
        settings: Settings,
        iteration: int,
        factor: float = 1.0,
    ) -> Refinement:
        """Improves the Gaussians in place.

        Args:
            factor: on the steps of the stochastic method.
        """
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + iteration)
        if self.config.method == "full":
            result = iterate(
                gaussians,
                photographs,
                settings,
                self.objective,
                self.region,
                self.config.full.options,
                generator,
            )
            self.region = result.region
            details = {"damping": self.region.damping, "gain": result.gain, "step_size": result.step_size}
            return Refinement(result.loss, result.image, details)
        if iteration == 0:
            survey = self.stochastic.survey(gaussians, photographs, settings, self.objective, generator)
            return Refinement(*survey, {"step_size": 0.0})
        guard = self.stochastic.guard
        assert guard is not None
        (number,) = self.choose(iteration, len(guard.reference))
        # Falls in equal parts, to one part at the last iteration.
        size = factor * (1 - iteration / self.iterations)
        step = self.stochastic.step(gaussians, photographs[0], number, settings, self.objective, size)
        details = {"step_size": size * guard.factor, "undone": guard.undone}
        if self._checks_at(iteration):
            self.stochastic.check(gaussians)
            if self.on_trial and (guard.undone >= MOST_UNDONE or iteration == self.iterations - 1):
                guard.restore(gaussians.params)
                self.handed_over = True
                self.stochastic.load_state_dict({}, gaussians.device)
        return Refinement(*step, details)

    def state_dict(self) -> dict[str, Any]:
        return {
            "region": asdict(self.region),
            "stochastic": self.stochastic.state_dict(),
            "handed_over": self.handed_over,
        }

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        self.region = TrustRegion(**state["region"])
        self.stochastic.load_state_dict(state["stochastic"], device)
        self.handed_over = bool(state["handed_over"])
