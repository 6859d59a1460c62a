"""The context model of anchors: what a grid and a network say of an anchor's numbers from where it lies.

HAC++ (Chen et al. 2025, "HAC++: Towards 100X Compression of 3D Gaussian Splatting"), section 4: a binary hash
grid (`hash_grid`) is read at the anchor, and a network with one hidden layer turns that into a Gaussian for
each of the anchor's numbers and a step for each kind of them,

    step = usual step (1 + tanh a),    number = mean + step * (a whole number).

The whole numbers are coded with the Gaussian's probabilities (`ops/context_coder.py: encode_residuals`). Here
they are counted from the mean, so that a number of which nothing is known better costs next to nothing.

A decoder has to find the same means, deviations and steps to the last bit, whatever its processor, library or
number of threads: one deviation that differs, and all that follows is noise. Floating-point sums depend on
their order, so training's network is not what files are coded with. A file has its weights as whole
multiples of 2^-8, and `Exact` evaluates them in whole numbers: activations are multiples of 2^-12, products
are summed up in float64, in which sums of whole numbers below 2^53 are exact in any order, and of functions
there are only a shift, a maximum and a table of whole numbers (`_factors`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core.compress.hash_grid import (
    VALUE_BITS,
    Corners,
    HashGrid,
    Middle,
    binary,
    interpolated,
    interpolated_exactly,
)
from gsplat_core.compress.rate import gaussian_bits

WEIGHT_BITS = 8
LARGEST_WEIGHT = 1 << 20
_LARGEST_ACTIVATION = 1 << 24
_LARGEST_MEAN = 1 << 30
_FACTOR_BITS = 15
_ADJUSTMENTS = 48
"""Of a, multiples of 1/16 from -3 to 3."""
_LEAST_DEVIATION, _LARGEST_DEVIATION = -10.0, 10.0
DEVIATIONS = 128
_FIRST_OCTAVE = -3


@dataclass(frozen=True)
class Kinds:
    """The numbers of a row, one kind after the other.

    Args:
        columns: how many numbers each kind has.
        steps: the usual step of each kind, in the units of its numbers.
    """

    columns: Mapping[str, int]
    steps: Mapping[str, float]

    @property
    def total(self) -> int:
        return sum(self.columns.values())

    @property
    def names(self) -> list[str]:
        return list(self.columns)

    def of_columns(self, by_kind: Tensor) -> Tensor:
        """[..., kinds] to [..., total]: to each number what its kind has."""
        counts = torch.tensor(list(self.columns.values()), device=by_kind.device)
        return by_kind.repeat_interleave(counts, dim=-1)

    def coarser(self, factor: float) -> Kinds:
        return Kinds(self.columns, {name: step * factor for name, step in self.steps.items()})


@dataclass(frozen=True)
class Size:
    """Of a context model.

    Args:
        grid: that it reads.
        hidden: units of its network.
    """

    grid: HashGrid = field(default_factory=HashGrid)
    hidden: int = 32

    @property
    def inputs(self) -> int:
        """The grid's numbers and the contracted place."""
        return len(self.grid.cells) * self.grid.width + 3


class Said(NamedTuple):
    """What the model says of N rows."""

    means: Tensor  # [N, total]
    deviations: Tensor  # [N, total]
    steps: Tensor  # [N, total]

    def bits(self, numbers: Tensor) -> Tensor:
        """[N, total] what numbers cost."""
        return gaussian_bits(numbers - self.means, self.deviations, self.steps)

    def rounded(self, numbers: Tensor) -> Tensor:
        """[N, total] as they are decoded; their gradients pass straight through, those of steps are exact."""
        wholes = (numbers - self.means) / self.steps
        return self.means + self.steps * (wholes + (wholes.round() - wholes).detach())


class Context:
    """The model as it is trained.

    Args:
        size, kinds: what it consists of, and of what it speaks.
        tensors: by name, as `started` makes them.
        middle: from where it counts knots.
    """

    def __init__(
        self, size: Size, kinds: Kinds, tensors: Mapping[str, Tensor], middle: Middle | None = None
    ) -> None:
        self.size, self.kinds, self.tensors = size, kinds, dict(tensors)
        self.middle = Middle((0, 0, 0), 1) if middle is None else middle

    @staticmethod
    def shapes(size: Size, kinds: Kinds) -> dict[str, tuple[int, ...]]:
        """Of its tensors, by name."""
        outputs = 2 * kinds.total + len(kinds.columns)
        return {
            "grid": (size.grid.rows, size.grid.width),
            "hidden_weights": (size.hidden, size.inputs),
            "hidden_biases": (size.hidden,),
            "weights": (outputs, size.hidden),
            "biases": (outputs,),
        }

    @classmethod
    def started(cls, size: Size, kinds: Kinds, seed: int) -> Context:
        """At random, saying next to nothing yet."""
        random = torch.Generator().manual_seed(seed)
        limits = {
            "grid": 1e-4,
            "hidden_weights": size.inputs**-0.5,
            "hidden_biases": size.inputs**-0.5,
            "weights": 0.1 * size.hidden**-0.5,
            "biases": 0.0,
        }
        tensors = {
            name: (2 * torch.rand(shape, generator=random) - 1) * limits[name]
            for name, shape in cls.shapes(size, kinds).items()
        }
        return cls(size, kinds, tensors)

    @torch.no_grad()
    def begin(self, knots: Tensor, numbers: Tensor) -> None:
        """Lets the model begin with the middle of knots [N, 3], and with the mean and the deviation of each
        column of numbers [N, total]."""
        self.middle = Middle.of(knots)
        if not len(numbers):
            return
        biases, total = self.tensors["biases"], self.kinds.total
        steps = self.kinds.of_columns(numbers.new_tensor(list(self.kinds.steps.values())))
        deviation = numbers.std(dim=0, correction=0)
        biases[:total] = numbers.mean(dim=0)
        biases[total : 2 * total] = torch.maximum(deviation, steps / 4).log2()

    def corners(self, knots: Tensor) -> Corners:
        """Where it looks for anchors at knots [N, 3] int64."""
        return self.size.grid.corners(knots, self.middle)

    def __call__(self, corners: Corners) -> Said:
        t = self.tensors
        inputs = torch.cat([interpolated(binary(t["grid"]), corners), _places(corners).to(t["grid"])], dim=1)
        hidden = torch.nn.functional.linear(inputs, t["hidden_weights"], t["hidden_biases"]).relu()
        outputs = torch.nn.functional.linear(hidden, t["weights"], t["biases"])
        total = self.kinds.total
        means, deviations, adjustments = outputs.split([total, total, len(self.kinds.columns)], dim=1)
        usual = outputs.new_tensor(list(self.kinds.steps.values()))
        limit = _ADJUSTMENTS / 16
        steps = usual * (1 + torch.tanh(adjustments.clamp(-limit, limit)))
        clamped = deviations.clamp(_LEAST_DEVIATION, _LARGEST_DEVIATION)
        return Said(means, torch.exp2(clamped), self.kinds.of_columns(steps))

    def grid_bits(self) -> Tensor:
        """What the grid costs, by how many of its numbers are positive; differentiable."""
        signs = binary(self.tensors["grid"])
        positive = ((signs + 1) / 2).mean().clamp(1e-6, 1 - 1e-6)
        entropy = -(positive * positive.log2() + (1 - positive) * (1 - positive).log2())
        return entropy * signs.numel()

    @torch.no_grad()
    def exact(self) -> Exact:
        """The model that files are coded with."""
        whole = {
            name: (tensor.double() * (1 << WEIGHT_BITS)).round().long().cpu()
            for name, tensor in self.tensors.items()
            if name != "grid"
        }
        whole["grid"] = torch.where(self.tensors["grid"] >= 0, 1, -1).cpu()
        log2_steps = [round(math.log2(step) * (1 << VALUE_BITS)) for step in self.kinds.steps.values()]
        return Exact(self.size, self.kinds, whole, log2_steps)


class ExactlySaid(NamedTuple):
    """What the model says of N rows, in whole numbers."""

    means: Tensor  # [N, total] int64, in units of 2^-12
    deviations: Tensor  # [N, total] int32, as `encode_residuals` takes them, relative to the step
    factors: Tensor  # [N, total] int64, of the usual step, in units of 2^-15


class Exact:
    """The model in whole numbers.

    Args:
        tensors: int64, by name as those of `Context`; the grid's are ±1, weights in units of 2^-8.
        log2_steps: log2 of the usual steps in units of 2^-12. Files have them: a logarithm may differ in its
            last digit.
    """

    def __init__(
        self, size: Size, kinds: Kinds, tensors: Mapping[str, Tensor], log2_steps: Sequence[int]
    ) -> None:
        self.size, self.kinds = size, kinds
        self.tensors = {
            name: tensor if name == "grid" else tensor.clamp(-LARGEST_WEIGHT, LARGEST_WEIGHT)
            for name, tensor in tensors.items()
        }
        self.log2_steps = list(log2_steps)

    def __call__(self, corners: Corners) -> ExactlySaid:
        t, total = self.tensors, self.kinds.total
        places = (_places_exactly(corners), interpolated_exactly(t["grid"], corners))
        hidden = _layer(torch.cat(places[::-1], dim=1), t["hidden_weights"], t["hidden_biases"])
        outputs = _layer(hidden.clamp(0, _LARGEST_ACTIVATION), t["weights"], t["biases"])
        means, octaves, adjustments = outputs.split([total, total, len(self.kinds.columns)], dim=1)
        factors, log2_factors = _factors()
        # Sixteenths, rounded half up.
        which = ((adjustments + (1 << (VALUE_BITS - 5))) >> (VALUE_BITS - 4)).clamp(
            -_ADJUSTMENTS, _ADJUSTMENTS
        )
        which = which + _ADJUSTMENTS
        log2_steps = log2_factors[which] + torch.tensor(self.log2_steps)
        relative = octaves - self.kinds.of_columns(log2_steps) - (_FIRST_OCTAVE << VALUE_BITS)
        deviations = ((8 * relative + (1 << (VALUE_BITS - 1))) >> VALUE_BITS).clamp(0, DEVIATIONS - 1)
        return ExactlySaid(
            means.clamp(-_LARGEST_MEAN, _LARGEST_MEAN),
            deviations.int(),
            self.kinds.of_columns(factors[which]),
        )

    def wholes(self, said: ExactlySaid, numbers: Tensor) -> Tensor:
        """[N, total] int32 the whole numbers that float numbers [N, total] are coded as."""
        away = (numbers.double() - said.means.double() / (1 << VALUE_BITS)) / self._steps(said)
        return away.round().clamp(-(1 << 28), 1 << 28).int()

    def numbers(self, said: ExactlySaid, wholes: Tensor) -> Tensor:
        """[N, total] float32 what they are decoded as: one product and one sum in float64, rounded once."""
        steps = wholes.double() * self._steps(said)
        return (said.means.double() / (1 << VALUE_BITS) + steps).float()

    def _steps(self, said: ExactlySaid) -> Tensor:
        usual = torch.tensor(list(self.kinds.steps.values()), dtype=torch.float64)
        return self.kinds.of_columns(usual) * (said.factors.double() / (1 << _FACTOR_BITS))


def _layer(inputs: Tensor, weights: Tensor, biases: Tensor) -> Tensor:
    """[N, outputs] int64 of [N, inputs] int64, both in units of 2^-12. At most 2^10 products below 2^43 are
    added, so that every sum on the way is a float64."""
    sums = (inputs.double() @ weights.T.double()).long()
    return (sums + (biases << VALUE_BITS)) >> WEIGHT_BITS


def _places(corners: Corners) -> Tensor:
    return _places_exactly(corners).double() / (1 << VALUE_BITS)


def _places_exactly(corners: Corners) -> Tensor:
    """[N, 3] int64 contracted places from -1 to 1, in units of 2^-12."""
    return (corners.places >> (17 - 1 - VALUE_BITS)) - (1 << VALUE_BITS)


@cache
def _factors() -> tuple[Tensor, Tensor]:
    """[97] int64, 1 + tanh(a) in units of 2^-15 and its log2 in units of 2^-12. None is so near to the middle
    of two whole numbers that a library's last digits could decide (`tests/compress/test_context.py`)."""
    exact = exact_factors()
    factors = [round(value * (1 << _FACTOR_BITS)) for value in exact]
    logarithms = [round(math.log2(value) * (1 << VALUE_BITS)) for value in exact]
    return torch.tensor(factors), torch.tensor(logarithms)


def exact_factors() -> list[float]:
    """1 + tanh(a) for each a that there is."""
    return [1 + math.tanh(a / 16) for a in range(-_ADJUSTMENTS, _ADJUSTMENTS + 1)]
