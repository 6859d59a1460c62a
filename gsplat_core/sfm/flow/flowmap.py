"""FlowMap (Smith, Charatan, Tewari and Sitzmann 2024): depths and a focal length that explain matches of
places.

Depths are free numbers. Poses are not: two frames with depths are two clouds of points, and where places of
both are known to show the same, the motion between them follows in closed form (`procrustes`), weighted by
how far each match is to be trusted, which is free, too. Descending the error with which places are predicted
from one frame to another changes depths, focal length and weights, and with them the poses.

As published a network makes depths and weights. Here depths are logarithms on a grid that becomes finer
during the
descent: on a fine one alone, each number must find its way for itself, and many do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from gsplat_core.errors import NumericalError
from gsplat_core.ranges import BETWEEN_0_AND_1, COUNT, NOT_NEGATIVE, POSITIVE, Range, check_ranges
from gsplat_core.sfm.flow.chain import Link, chained, strongest_links
from gsplat_core.sfm.flow.depth_grid import DepthSamples
from gsplat_core.sfm.flow.matches import Matches
from gsplat_core.sfm.flow.procrustes import procrustes

Told = Callable[[int, int], None]
"""Is told how many steps are done, of how many."""

_BEHIND = 0.02
"""Of the depth that all begin with: what is nearer, or behind a camera, counts as if it were there."""


@dataclass(frozen=True)
class FlowMapConfig:
    """
    Args:
        steps: in all, the same number on each grid.
        rate, rate_final: Adam's, falling exponentially.
        focal: to begin with, in units of the square root of the image's area.
        huber: where the error of a match goes over from squares to distances, in the same units.
        coarsest: numbers, about, along the longer side of the first grid; each other has twice as many.
        near: pairs of frames that are farther apart have their say from the second grid on, when what is near
            fits; but for those that link poses.
        smooth: weight of the squares of the differences between neighbours' logarithms of depths.

    Raises:
        ValueError: a value outside its range.
    """

    steps: Annotated[int, COUNT] = 400
    rate: Annotated[float, POSITIVE] = 0.03
    rate_final: Annotated[float, POSITIVE] = 0.003
    focal: Annotated[float, Range(0.1, 20)] = 0.85
    huber: Annotated[float, BETWEEN_0_AND_1] = 0.01
    coarsest: Annotated[int, Range(2, 1024)] = 8
    near: Annotated[int, COUNT] = 8
    smooth: Annotated[float, NOT_NEGATIVE] = 0.01

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, eq=False)
class FlowMap:
    """What explains the matches of F frames.

    Attributes:
        rotations, translations: [F, 3, 3] and [F, 3], world to camera; the world is the first frame's.
        focal: in units of the square root of the image's area.
        logarithms: [F, h, w] of depths, on the last grid.
        errors: [M] of each match, how far its places are from where they should be, the mean of both ways, in
            the same units as the focal length.
        extent: width and height of the frames in these units.
    """

    rotations: Tensor
    translations: Tensor
    focal: float
    logarithms: Tensor
    errors: Tensor
    extent: tuple[float, float]

    @property
    def viewmats(self) -> Tensor:
        """[F, 4, 4]"""
        matrices = torch.eye(4).repeat(len(self.rotations), 1, 1)
        matrices[:, :3, :3], matrices[:, :3, 3] = self.rotations, self.translations
        return matrices

    def depths(self, frames: Tensor, places: Tensor) -> Tensor:
        """[S] along the viewing axis, at places [S, 2] of frames [S]."""
        shape: tuple[int, int, int] = tuple(self.logarithms.shape)  # type: ignore[assignment]
        return DepthSamples(frames, places, shape).of(self.logarithms)


def find_flowmap(
    matches: Matches,
    frames: int,
    width: int,
    height: int,
    cells: int,
    config: FlowMapConfig | None = None,
    focal: float | None = None,
    told: Told = lambda step, steps: None,
) -> FlowMap:
    """
    Args:
        matches: of frames 0 to `frames` - 1, any of which can be reached from frame 0.
        width, height: of the frames, for their shape.
        cells: along the longer side of the last grid.
        focal: where it is known, in pixels of `width` and `height`; None: it is found.

    Raises:
        ValueError: there are frames that matches do not reach.
        NumericalError: the descent has left all numbers.
    """
    c = FlowMapConfig() if config is None else config
    unit = math.sqrt(width * height)
    state = _Descent(matches, frames, (width / unit, height / unit), c)
    state.start(None if focal is None else focal / unit)
    levels = max(1, round(math.log2(max(cells, 2) / c.coarsest)) + 1)
    grids = [_grid(max(cells, 2) / 2 ** (levels - 1 - level), width, height) for level in range(levels)]
    done = 0
    for number, grid in enumerate(grids):
        state.refine(grid, all_pairs=number > 0 or len(grids) == 1)
        until = c.steps * (number + 1) // len(grids)
        for step in range(done, until):
            state.step(c.rate * (c.rate_final / c.rate) ** (step / c.steps))
            told(step + 1, c.steps)
        done = until
    return state.result()


def _grid(side: float, width: int, height: int) -> tuple[int, int]:
    """Rows and columns with so many along the longer side."""
    longer = max(width, height)
    return max(2, round(side * height / longer)), max(2, round(side * width / longer))


class _Descent:
    """
    Args:
        extent: width and height in units of the square root of their product.
    """

    def __init__(
        self, matches: Matches, frames: int, extent: tuple[float, float], config: FlowMapConfig
    ) -> None:
        self.matches, self.frames, self.extent, self.config = matches, frames, extent, config
        self.places = (matches.places - 0.5) * torch.tensor(extent)
        self.pairs, self.pair, counts = matches.pairs()
        self.links: list[Link] = strongest_links(self.pairs.tolist(), counts.tolist())
        if len(self.links) + 1 < frames:
            raise ValueError(f"matches join {len(self.links) + 1} of {frames} frames")
        place = torch.full((len(self.pairs),), -1)
        place[[link.pair for link in self.links]] = torch.arange(len(self.links))
        self.linked = (place[self.pair] >= 0).nonzero()[:, 0]
        self.link = place[self.pair][self.linked]
        # All pairs have the same say, whatever their number of matches.
        self.say = 1 / (2 * len(self.pairs) * counts)
        self.late = (self.pairs.diff(dim=1)[:, 0] > config.near) & (place < 0)

    def start(self, focal: float | None) -> None:
        self.logarithms = torch.zeros(self.frames, 2, 2)
        self.trust = torch.zeros(len(self.matches), requires_grad=True)
        self.focal = torch.tensor(math.log(self.config.focal if focal is None else focal))
        self.focal.requires_grad_(focal is None)

    def refine(self, grid: tuple[int, int], all_pairs: bool) -> None:
        """Goes on with finer depths, and with all pairs or those of near frames."""
        self.share = (self.say if all_pairs else self.say * ~self.late)[self.pair]
        finer = functional.interpolate(
            self.logarithms.detach()[None], grid, mode="bilinear", align_corners=False
        )
        self.logarithms = finer[0].requires_grad_()
        shape = (self.frames, *grid)
        self.samples = [
            DepthSamples(self.matches.frames[:, side], self.matches.places[:, side], shape) for side in (0, 1)
        ]
        parameters = [self.logarithms, self.trust, *([self.focal] if self.focal.requires_grad else [])]
        self.adam = torch.optim.Adam(parameters)

    def step(self, rate: float) -> None:
        self.adam.param_groups[0]["lr"] = rate
        self.adam.zero_grad()
        apart = self.errors(*self.motion())
        knee = self.config.huber
        huber = torch.where(apart < knee, apart.square() / (2 * knee), apart - knee / 2) / knee
        loss = (self.share * huber).sum() + self.config.smooth * self.roughness()
        if not bool(loss.isfinite()):
            raise NumericalError(
                "No poses were found: depths are not numbers any more. Fewer frames, or another flow, may "
                "help."
            )
        loss.backward()  # type: ignore[no-untyped-call]
        self.adam.step()

    def motion(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The points of both sides of each match [2, M, 3], each in its own frame, the poses [F, 3, 3] and
        [F, 3], and the focal length."""
        focal = self.focal.exp()
        rays = torch.cat([self.places / focal, torch.ones_like(self.places[..., :1])], dim=-1)
        here, there = (
            rays[:, side] * samples.of(self.logarithms)[:, None] for side, samples in enumerate(self.samples)
        )
        weights = self.trust[self.linked].sigmoid()
        turns, shifts = procrustes(here[self.linked], there[self.linked], weights, self.link, len(self.links))
        return here, there, *chained(self.links, turns, shifts), focal

    def errors(self, here: Tensor, there: Tensor, R: Tensor, t: Tensor, focal: Tensor) -> Tensor:
        """[2, M] how far the place of each side is from where the other's point is seen."""
        first, second = self.pairs.unbind(dim=1)
        turn = R[second] @ R[first].mT
        shift = t[second] - (turn @ t[first][..., None])[..., 0]
        back = -(turn.mT @ shift[..., None])[..., 0]

        def apart(points: Tensor, turn: Tensor, shift: Tensor, side: int) -> Tensor:
            seen = (turn[self.pair] @ points[..., None])[..., 0] + shift[self.pair]
            predicted = focal * seen[:, :2] / seen[:, 2:].clamp(min=_BEHIND)
            # The root has no derivative at zero.
            return ((predicted - self.places[:, side]).square().sum(dim=-1) + 1e-12).sqrt()

        return torch.stack([apart(here, turn, shift, 1), apart(there, turn.mT, back, 0)])

    def roughness(self) -> Tensor:
        down, across = self.logarithms.diff(dim=1), self.logarithms.diff(dim=2)
        return down.square().mean() + across.square().mean()

    @torch.no_grad()
    def result(self) -> FlowMap:
        here, there, R, t, focal = self.motion()
        errors = self.errors(here, there, R, t, focal).mean(dim=0)
        return FlowMap(R, t, float(focal), self.logarithms.detach(), errors, self.extent)
