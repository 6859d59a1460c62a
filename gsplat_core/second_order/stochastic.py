"""Levenberg-Marquardt of one photograph per step: the curvature of all of them, the gradients one by one.

At the end of a run the curvature J^T H J hardly changes any more, while a gradient is worth following for one
step only. So the damped blocks of the mean curvature of all photographs are made once and kept. A step takes
the gradient of one photograph, as one of Adam does and at its price, into a running mean. Every few steps the
scene moves a small part of the way to where this would vanish. The part shrinks to zero: so the noise of the
single photographs averages out. What did harm is undone (`guard.py`).

3DGS2-TR (Hsiao et al. 2026) does so with an estimate of the diagonal, which is the preconditioner "probed".
The blocks of each Gaussian's geometry know in addition how its parameters compensate each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any

import torch
from torch import Tensor

from gsplat_core.ranges import COUNT, NOT_NEGATIVE, POSITIVE, SOME_SHARE, Range, check_ranges
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.second_order.damping import Kinds, damping
from gsplat_core.second_order.guard import Guard
from gsplat_core.second_order.levenberg_marquardt import Photograph
from gsplat_core.second_order.linearization import Blocks, Linearization, Settings
from gsplat_core.second_order.objective import Objective, of_kept
from gsplat_core.second_order.preconditioner import (
    BlockPreconditioner,
    DiagonalPreconditioner,
    Preconditioner,
)
from gsplat_core.second_order.reach import Reach
from gsplat_core.second_order.vectors import add_, zeros_like
from gsplat_core.second_order.visible_range import VisibleRange


@dataclass(frozen=True)
class StochasticOptions:
    """How the steps are computed.

    Args:
        pace: how much of the way to the minimum of the quadratic model a turn over all photographs goes at
            first, each step its share of it. (A Gaussian that one photograph alone shows has there as many
            times its mean curvature as there are photographs: where these are many, steps have to be short.)
        momentum: what a running mean of gradients keeps per step, in [0, 1).
        together: after so many steps the scene moves, by as much as these steps together. The mean of the
            gradients lasts longer than that, so that moves in between would add to the price only.
        damping: of the curvature, relative to its diagonal.
        preconditioner: what is kept of the curvature.
        residuals: share of the image tiles that the curvature is made of, in (0, 1].
        floor: least damping of a parameter as a share of the mean of its kind.
        kinds, reach: limits per attribute.
    """

    pace: Annotated[float, POSITIVE] = 2.0
    momentum: Annotated[float, Range(0, 1, "most")] = 0.9
    together: Annotated[int, COUNT] = 4
    damping: Annotated[float, POSITIVE] = 0.5
    preconditioner: Preconditioner = "blocks"
    residuals: Annotated[float, SOME_SHARE] = 1.0
    floor: Annotated[float, NOT_NEGATIVE] = 0.1
    kinds: Kinds = field(default_factory=lambda: Kinds(shN=60.0))
    reach: Reach = field(default_factory=Reach)

    def __post_init__(self) -> None:
        check_ranges(self)


class StochasticNewton:
    """The curvature and the mean of the gradients; there is nothing before :meth:`survey`."""

    def __init__(self, options: StochasticOptions) -> None:
        self._options = options
        self._solve: BlockPreconditioner | DiagonalPreconditioner | None = None
        self._mean: dict[str, Tensor] = {}
        self._photographs = 0
        self._steps, self._way = 0, 0.0  # since the last move, and the sum of their sizes
        self._range: VisibleRange | None = None
        self.guard: Guard | None = None

    def survey(
        self,
        gaussians: Gaussians,
        photographs: Iterable[Photograph],
        settings: Settings,
        objective: Objective,
        generator: torch.Generator,
    ) -> tuple[float, Tensor]:
        """Makes the curvature from all photographs, one at a time.

        Args:
            generator: draws tiles and probes.

        Returns:
            The mean loss, and the image [H, W, 3] of the first photograph.
        """
        options, parts, losses, viewmats = self._options, _Mean(), [], []
        first: Tensor | None = None
        for photograph in photographs:
            linearization = Linearization(gaussians, [photograph], settings)
            (image,) = linearization.images
            model = of_kept(objective, photograph.mask).model(image, photograph.image)
            losses.append(model.loss)
            viewmats.append(photograph.viewmat)
            first = image if first is None else first
            if options.residuals < 1:
                linearization = linearization.sampled(options.residuals, generator)
            weights = [model.diagonal / options.residuals]
            if options.preconditioner == "probed":
                parts.add(linearization.probed_diagonal(weights, 1, generator))
            else:
                parts.add(vars(linearization.blocks(weights)))
        if first is None:
            raise ValueError("there are no photographs")
        mean = parts.mean()
        blocks = Blocks(**mean) if options.preconditioner != "probed" else None
        diagonal = mean if blocks is None else blocks.diagonal()
        added = damping(diagonal, options.damping, options.kinds, options.floor)
        if blocks is not None and options.preconditioner == "blocks":
            self._solve = BlockPreconditioner(blocks, added)
        else:
            self._solve = DiagonalPreconditioner(diagonal, added)
        self._mean = zeros_like(gaussians.params)
        self._photographs = len(losses)
        self._range = VisibleRange.of(viewmats)
        self._steps, self._way = 0, 0.0
        self.guard = Guard.of(losses, gaussians.params)
        return sum(losses) / len(losses), first

    def step(
        self,
        gaussians: Gaussians,
        photograph: Photograph,
        number: int,
        settings: Settings,
        objective: Objective,
        size: float,
    ) -> tuple[float, Tensor]:
        """One step on one photograph.

        Args:
            gaussians: raw parameters; changed in place.
            number: which of the survey's photographs this is.
            size: of the step, as a share of what `pace` says.

        Returns:
            The loss and the image [H, W, 3] before the step.
        """
        if self._solve is None or self.guard is None or self._range is None:
            raise RuntimeError("survey() makes the curvature that step() needs; call it first")
        linearization = Linearization(gaussians, [photograph], settings)
        (image,) = linearization.images
        loss, by_image = of_kept(objective, photograph.mask).gradient(image, photograph.image)
        self.guard.see(number, loss)
        for name, gradient in linearization.vjp([by_image]).items():
            self._mean[name].lerp_(gradient, 1 - self._options.momentum)
        self._steps, self._way = self._steps + 1, self._way + size
        if self._steps == self._options.together:
            self._move(gaussians, self._way * self.guard.factor * self._options.pace / self._photographs)
            self._steps, self._way = 0, 0.0
        return loss, image

    def _move(self, gaussians: Gaussians, part: float) -> None:
        """Goes a part of the way to where the model has its minimum."""
        assert self._solve is not None
        assert self._range is not None
        step = self._solve(self._mean)
        for tensor in step.values():
            tensor.mul_(-part)
        self._options.reach.limit_(gaussians, step)
        self._range.limit_(gaussians, step)
        add_(gaussians.params, step)

    def check(self, gaussians: Gaussians) -> bool:
        """Looks at the losses that the steps since the last check have met. Where they have risen, the scene
        becomes what it was when they were lowest, and steps become shorter.

        Args:
            gaussians: raw parameters; changed in place.

        Returns:
            Whether the steps since the last check stay.
        """
        if self.guard is None:
            raise RuntimeError("survey() measures the losses that check() compares with; call it first")
        stays = self.guard.check(gaussians.params)
        if not stays:
            self._steps, self._way = 0, 0.0
            for mean in self._mean.values():
                mean.zero_()
        return stays

    def state_dict(self) -> dict[str, Any]:
        if self._solve is None or self.guard is None or self._range is None:
            return {}
        return {
            "mean": dict(self._mean),
            "curvature": self._solve.state_dict(),
            "photographs": self._photographs,
            "since_move": [self._steps, self._way],
            "range": [*self._range.center, self._range.radius],
            "guard": self.guard.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        if not state:
            self._solve, self._mean, self._range, self.guard = None, {}, None, None
            return
        blocks = self._options.preconditioner == "blocks"
        solver = BlockPreconditioner if blocks else DiagonalPreconditioner
        self._solve = solver.from_state_dict(_to(state["curvature"], device))
        self._mean = _to(state["mean"], device)
        self._photographs = int(state["photographs"])
        steps, way = state["since_move"]
        self._steps, self._way = int(steps), float(way)
        x, y, z, radius = state["range"]
        self._range = VisibleRange((float(x), float(y), float(z)), float(radius))
        self.guard = Guard.from_state_dict(state["guard"], device)


class _Mean:
    """Of several dictionaries of tensors."""

    def __init__(self) -> None:
        self._total: dict[str, Tensor] = {}
        self._count = 0

    def add(self, part: dict[str, Tensor]) -> None:
        if self._count:
            add_(self._total, part)
        else:
            self._total = dict(part)
        self._count += 1

    def mean(self) -> dict[str, Tensor]:
        return {name: tensor.div_(self._count) for name, tensor in self._total.items()}


def _to(tree: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Copies of the tensors of nested dictionaries."""
    return {
        name: _to(value, device) if isinstance(value, dict) else value.to(device, copy=True)
        for name, value in tree.items()
    }
