"""One iteration of Levenberg-Marquardt on a batch of photographs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Protocol

import torch
from torch import Tensor

from gsplat_core.ranges import COUNT, NOT_NEGATIVE, SOME_SHARE, Range, check_ranges
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.second_order import pcg
from gsplat_core.second_order.damping import Kinds, damping
from gsplat_core.second_order.linearization import Linearization, Settings, View
from gsplat_core.second_order.objective import ImageModel, Objective, of_kept
from gsplat_core.second_order.preconditioner import (
    BlockPreconditioner,
    DiagonalPreconditioner,
    Preconditioner,
)
from gsplat_core.second_order.reach import Reach
from gsplat_core.second_order.trust_region import TrustRegion
from gsplat_core.second_order.vectors import Vector, dot
from gsplat_core.second_order.visible_range import VisibleRange


class Photograph(View, Protocol):
    """A camera and what it saw."""

    @property
    def image(self) -> Tensor:
        """[H, W, 3] uint8, or float32 in [0, 1]; black where it is masked out"""

    @property
    def mask(self) -> Tensor | None:
        """[H, W] bool, the pixels that count; None: all do"""


@dataclass(frozen=True)
class Options:
    """How an iteration is computed.

    Args:
        batches: into how many the photographs are split. Each is solved for itself, which takes less memory,
            and the steps are combined.
        residuals: share of the image tiles that gradient and matrix are made of, in (0, 1]; others are drawn
            in every iteration. The decision about the step always takes all pixels.
        preconditioner: "blocks" exact 11 x 11 ones per Gaussian; "diagonal" their exact diagonal; "probed"
            an estimate of it from `probes` random vectors.
        cg_iterations, cg_tolerance: when conjugate gradients stop.
        floor: least damping of a parameter as a share of the mean of its kind: what no image shows stays.
        trials: places along the step at which the loss is evaluated at most.
        kinds, reach: limits per attribute.
    """

    batches: Annotated[int, COUNT] = 1
    residuals: Annotated[float, SOME_SHARE] = 1.0
    preconditioner: Preconditioner = "blocks"
    probes: Annotated[int, Range(1, 1000)] = 4
    cg_iterations: Annotated[int, COUNT] = 4
    cg_tolerance: Annotated[float, NOT_NEGATIVE] = 0.05
    floor: Annotated[float, NOT_NEGATIVE] = 0.1
    trials: Annotated[int, Range(1, 1000)] = 3
    kinds: Kinds = field(default_factory=Kinds)
    reach: Reach = field(default_factory=Reach)

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class Iteration:
    """What one iteration did."""

    loss: float
    """Mean over the photographs, after the step."""
    loss_before: float
    accepted: bool
    gain: float
    """Actual by predicted decrease of the loss."""
    step_size: float
    """1, or less after backtracking; 0 when rejected."""
    cg_iterations: int
    region: TrustRegion
    """For the next iteration."""
    image: Tensor
    """[H, W, 3] of the first photograph, before the step."""


def iterate(
    gaussians: Gaussians,
    photographs: Sequence[Photograph],
    settings: Settings,
    objective: Objective,
    region: TrustRegion,
    options: Options,
    generator: torch.Generator,
) -> Iteration:
    """Lowers the mean loss over the photographs by one damped Gauss-Newton step, or leaves the scene alone.

    Args:
        gaussians: raw parameters; changed in place.
        region: the damping to use.
        generator: draws the tiles and probes.
    """
    batches = [list(photographs[i :: options.batches]) for i in range(min(options.batches, len(photographs)))]
    proposals = (
        _Proposal.of(gaussians, batch, settings, objective, region.damping, options, generator)
        for batch in batches
    )
    proposal = functools.reduce(_Proposal.combined, proposals).completed()
    step = proposal.step
    options.reach.limit_(gaussians, step)
    VisibleRange.of(photograph.viewmat for photograph in photographs).limit_(gaussians, step)
    before, slope = proposal.loss, dot(proposal.downhill, step)

    def loss() -> float:
        return mean_loss(gaussians, photographs, settings, objective)

    best = _search(gaussians.params, step, loss, before, slope, options.trials)
    if best.size == 0:
        rejected = region.rejected()
        return Iteration(before, before, False, 0.0, 0.0, proposal.cg_iterations, rejected, proposal.image)
    gain = (before - best.loss) / max(best.size * slope - 0.5 * best.size**2 * proposal.bend, 1e-30)
    trusted = region.accepted(gain) if best.size >= 1 else region.shortened(best.size)
    return Iteration(
        best.loss, before, True, gain, best.size, proposal.cg_iterations, trusted, proposal.image
    )


@dataclass(frozen=True)
class _Proposal:
    """A step that would be good for one batch of photographs; or sums of those of several.

    3DGS-LM combines the steps x_i of batches as sum(m_i x_i) / sum(m_i), parameter by parameter, with the
    diagonals m_i of their matrices: the solution for all of them, were the matrices diagonal.
    """

    step: dict[str, Tensor]
    """times the diagonal where it is a sum"""
    diagonal: dict[str, Tensor]
    downhill: dict[str, Tensor]
    loss: float
    bend: float
    """x^T A x without the damping, which is not part of the model of the loss"""
    cg_iterations: int
    photographs: int
    batches: int
    image: Tensor

    @staticmethod
    def of(
        gaussians: Gaussians,
        photographs: Sequence[Photograph],
        settings: Settings,
        objective: Objective,
        strength: float,
        options: Options,
        generator: torch.Generator,
    ) -> _Proposal:
        linearization = Linearization(gaussians, photographs, settings)
        images, count = linearization.images, len(photographs)
        models = [
            of_kept(objective, photograph.mask).model(image, photograph.image)
            for image, photograph in zip(images, photographs, strict=True)
        ]
        if options.residuals < 1:
            linearization = linearization.sampled(options.residuals, generator)
        # Of each number of the images in the mean, or in the estimate of the mean from the sample.
        share = 1 / (options.residuals * count)
        downhill = linearization.vjp([-share * model.gradient for model in models])
        matrix = _Matrix(linearization, models, share, strength, options, generator)
        solution = pcg.solve(
            matrix, downhill, matrix.precondition, options.cg_iterations, options.cg_tolerance
        )
        bend = dot(solution.x, solution.product) - matrix.damped_square(solution.x)
        loss = sum(model.loss for model in models) / count
        iterations, image = solution.iterations, images[0].clone()
        return _Proposal(solution.x, matrix.diagonal, downhill, loss, bend, iterations, count, 1, image)

    def combined(self, other: _Proposal) -> _Proposal:
        """The sum of two, the first of which may be a sum already."""
        mine, share = self._weighted(), other.photographs / (self.photographs + other.photographs)

        def mean(a: float, b: float) -> float:
            return (1 - share) * a + share * b

        return _Proposal(
            {name: mine[name] + m * other.step[name] for name, m in other.diagonal.items()},
            {name: m + other.diagonal[name] for name, m in self.diagonal.items()},
            {name: torch.lerp(b, other.downhill[name], share) for name, b in self.downhill.items()},
            mean(self.loss, other.loss),
            mean(self.bend, other.bend),
            self.cg_iterations + other.cg_iterations,
            self.photographs + other.photographs,
            self.batches + other.batches,
            self.image,
        )

    def completed(self) -> _Proposal:
        if self.batches == 1:
            return self
        step = {name: self.step[name] / m.clamp(min=1e-30) for name, m in self.diagonal.items()}
        return replace(self, step=step)

    def _weighted(self) -> dict[str, Tensor]:
        if self.batches > 1:
            return self.step
        return {name: m * self.step[name] for name, m in self.diagonal.items()}


class _Matrix:
    """share * J^T H J + strength * D; D is the diagonal of the first part, weighted by kind, with a floor."""

    def __init__(
        self,
        linearization: Linearization,
        models: Sequence[ImageModel],
        share: float,
        strength: float,
        options: Options,
        generator: torch.Generator,
    ) -> None:
        self._linearization = linearization
        self._models = models
        self._share = share
        weights = [share * model.diagonal for model in models]
        if options.preconditioner == "probed":
            diagonal = linearization.probed_diagonal(weights, options.probes, generator)
        else:
            blocks = linearization.blocks(weights)
            diagonal = blocks.diagonal()
        self.diagonal = diagonal
        self._damping = damping(diagonal, strength, options.kinds, options.floor)
        self.precondition: pcg.Operator = (
            BlockPreconditioner(blocks, self._damping)
            if options.preconditioner == "blocks"
            else DiagonalPreconditioner(diagonal, self._damping)
        )

    def __call__(self, v: Vector) -> dict[str, Tensor]:
        changes = self._linearization.jvp(v)
        forces = [
            self._share * model.curvature(change) for model, change in zip(self._models, changes, strict=True)
        ]
        product = self._linearization.vjp(forces)
        for name, tensor in product.items():
            tensor.addcmul_(self._damping[name], v[name])
        return product

    def damped_square(self, v: Vector) -> float:
        return dot({name: self._damping[name] * tensor for name, tensor in v.items()}, v)


@dataclass(frozen=True)
class _Trial:
    size: float
    loss: float


def _search(
    params: Vector, step: Vector, loss: Callable[[], float], before: float, slope: float, trials: int
) -> _Trial:
    """Moves `params` along `step` to the best of a few places, the present one included.

    The first is the step itself; the next is always the minimum of the parabola through the loss and its
    slope at the start and the loss at the place before.

    Args:
        slope: by how much the loss falls per size of the step, at its start.
    """
    start = {name: param.clone() for name, param in params.items()}

    def move(size: float) -> None:
        for name, param in params.items():
            torch.add(start[name], step[name], alpha=size, out=param)

    best, size = _Trial(0.0, before), 1.0
    for _ in range(trials):
        move(size)
        trial = _Trial(size, loss())
        if trial.loss < best.loss:
            best = trial
        bend = (trial.loss - before + size * slope) / size**2
        lowest = slope / (2 * bend) if bend > 0 else 2 * size
        size = min(max(lowest, 0.1 * size), 2 * size)
        if best.size > 0 and abs(size - best.size) < 0.3 * best.size:
            break
    move(best.size)
    return best


def mean_loss(
    gaussians: Gaussians, photographs: Sequence[Photograph], settings: Settings, objective: Objective
) -> float:
    """The mean over the photographs, rendered one after the other."""
    total = 0.0
    for photograph in photographs:
        (image,) = Linearization(gaussians, [photograph], settings).images
        total += of_kept(objective, photograph.mask).loss(image, photograph.image)
    return total / len(photographs)
