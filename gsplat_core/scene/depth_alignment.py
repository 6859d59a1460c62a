"""What numbers of a depth map mean, and how they become depths of the scene.

Few maps have the scene's units. Those of sensors and stereo are depths; those that a network guesses from
one photograph are depths, or inverse depths ("disparities"), up to a factor and an offset of each photograph.
Both are found by what is known of the depths of some pixels: the sparse points, or a rendering.

Distances are compared as q = 1 / (z + near), in which disparities are linear and what is far does not
outweigh everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Kind = Literal["metric", "relative", "disparity"]
"""Depths in scene units; depths up to a line for each photograph; inverse depths likewise."""

FEWEST = 12
"""Pixels of known depth from which a line is told."""
CLOSE = 0.02
"""Maps whose median error is below this are taken for metric ones."""

_ROUNDS = 20
_LEAST_RESIDUAL = 1e-3  # as a share of the median one


class Line(NamedTuple):
    """y = slope x + offset"""

    slope: Tensor
    offset: Tensor

    def at(self, x: Tensor) -> Tensor:
        return self.slope * x + self.offset


class Sample(NamedTuple):
    """Numbers of one map [M] and the depths [M] that their pixels have; float64."""

    values: Tensor
    depths: Tensor


class Errors(NamedTuple):
    """By what share of a depth maps of each kind are wrong, taken for that kind: the median over photographs
    of that over their points. `constant`: if all pixels of a photograph had one depth."""

    metric: float
    relative: float
    disparity: float
    constant: float

    @property
    def kind(self) -> Kind:
        """Metric, if the depths are right as they are, or nearly as right as with a line for each photograph;
        or what fits better."""
        if self.metric <= max(2 * min(self.relative, self.disparity), CLOSE):
            return "metric"
        return "relative" if self.relative <= self.disparity else "disparity"


def inverse(depths: Tensor, near: float) -> Tensor:
    """q = 1 / (z + near)"""
    return 1 / (depths + near)


def robust_line(x: Tensor, y: Tensor, weights: Tensor | None = None) -> Line:
    """The line with the least sum of weights times |y - slope x - offset|, by least squares again and again,
    each time divided by what the last one left.

    Args:
        x, y: [M]
        weights: [M], at least 0.
    """
    own = torch.ones_like(y) if weights is None else weights
    pulls = own
    for _ in range(_ROUNDS):
        total = pulls.sum().clamp(min=1e-30)
        middle_x, middle_y = (pulls * x).sum() / total, (pulls * y).sum() / total
        spread = (pulls * (x - middle_x) ** 2).sum()
        slope = (pulls * (x - middle_x) * (y - middle_y)).sum() / spread.clamp(min=1e-30)
        line = Line(slope, middle_y - slope * middle_x)
        left = (y - line.at(x)).abs()
        pulls = own / left.clamp(min=_LEAST_RESIDUAL * left.median()).clamp(min=1e-30)
    return line


def aligned(sample: Sample, kind: Kind, near: float) -> Line | None:
    """The line that makes of a map's numbers depths, or q of those of disparities.

    None where there are too few pixels to tell, all numbers are the same, or depths fall where they should
    rise. Each pixel counts by the share of its depth that it is wrong by.
    """
    values, depths = sample
    if len(values) < FEWEST or bool((values == values[0]).all()):
        return None
    if kind == "disparity":
        q = inverse(depths, near)
        line = robust_line(values, q, 1 / q)
    else:
        line = robust_line(values, depths, 1 / depths)
    return line if bool(line.slope > 0) else None


def depths_by(values: Tensor, kind: Kind, line: Line | None, near: float) -> Tensor:
    """[...] the q that numbers of a map mean; NaN where they are not known or lie behind the camera.

    Args:
        line: that of `aligned`; metric maps need none.
    """
    if kind == "disparity":
        assert line is not None
        return line.at(values).clamp(min=0)  # beyond what is infinitely far there is nothing
    depths = values if line is None else line.at(values)
    return torch.where(depths > 0, inverse(depths, near), torch.nan)


def errors_of(samples: Sequence[Sample], near: float) -> Errors | None:
    """How well some maps fit what is known; None where there are too few pixels to tell."""
    samples = [sample for sample in samples if len(sample.values) >= FEWEST]
    if not samples:
        return None
    return Errors(
        _median([_wrong(values, depths) for values, depths in samples]),
        _error(samples, "relative", near),
        _error(samples, "disparity", near),
        _median([_wrong(depths.median(), depths) for _, depths in samples]),
    )


def _error(samples: Sequence[Sample], kind: Kind, near: float) -> float:
    """A photograph whose numbers do not rise with its depths, or fall as they should, is wrong by all."""
    wrong = []
    for sample in samples:
        line = aligned(sample, kind, near)
        if line is None:
            wrong.append(1.0)
            continue
        q = depths_by(sample.values, kind, line, near)
        wrong.append(_wrong(1 / q - near, sample.depths))
    return _median(wrong)


def _wrong(found: Tensor, depths: Tensor) -> float:
    share = ((found - depths).abs() / depths).nan_to_num(nan=1.0, posinf=1.0)
    return float(share.median())


def _median(values: Sequence[float]) -> float:
    return float(torch.tensor(values, dtype=torch.float64).median())
