"""A fixed number of Gaussians, each near a place of its own (He et al. 2024, "GVGEN"), over any strategy.

A grid of anchors fills the box of the scene. Every Gaussian is an anchor and an offset of at most one and a
half cells; anchors that no Gaussian has are the pool. What the strategy behind removes returns its anchor to
the pool, and what it adds takes the nearest free anchor, or is not added where there is none within reach. A
loss pulls back whoever strays farther. When the strategy has ended, the rest of the pool becomes nearly
transparent Gaussians. So scenes of all kinds have the same number of Gaussians, in the same order, which is a
volume that a network can learn (`anchors.as_volume`).

Opacities are not lowered from time to time: what nobody needs fades to the pool by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from gsplat_core.densify.anchors import AnchorGrid
from gsplat_core.densify.edits import Clone, Edit, Move, Prune, Reset, Split
from gsplat_core.densify.plan import RowPlan, compile_edits
from gsplat_core.densify.plugin import Plugin
from gsplat_core.densify.rows import finite_rows, indices
from gsplat_core.densify.strategy import SceneView, Strategy
from gsplat_core.errors import UsageError
from gsplat_core.ranges import BETWEEN_0_AND_1, COUNT, NOT_NEGATIVE, POSITIVE, Range, check_ranges

_NEAR = 3.0  # the box is around what is seen from up to so many times the scene's length
_OUTLIERS = 0.01  # and leaves out this share of it on each side
_AXES = ("x", "y", "z")


@dataclass(frozen=True)
class CandidatePoolConfig:
    """Settings as published.

    Args:
        grid: anchors along each side of the box. Where that is more than `max_gaussians`, it is the largest
            grid that is not.
        box: half the side of a cube around the origin, in scene units, for captures that shall share one.
            None: around what Gaussians start with, without outliers and what is far away.
        reach: how far from its anchor a Gaussian may be along each axis, in cells.
        weight: of the loss, the mean distance beyond that, as a part of the box.
        rest_opacity: of those that the rest of the pool becomes,
        rest_size: and their standard deviations, in cells.
        max_gaussians: see `grid`.

    Raises:
        ValueError: a value outside its range.
    """

    grid: Annotated[int, Range(1, 1024)] = 32
    box: Annotated[float, POSITIVE] | None = None
    reach: Annotated[float, Range(0, 4, "least")] = 1.5
    weight: Annotated[float, NOT_NEGATIVE] = 20.0
    rest_opacity: Annotated[float, BETWEEN_0_AND_1] = 1e-4
    rest_size: Annotated[float, POSITIVE] = 0.0566 * 31
    max_gaussians: Annotated[int, COUNT] | None = None

    def __post_init__(self) -> None:
        check_ranges(self)

    def stretched(self, factor: float) -> CandidatePoolConfig:
        """There is no schedule but that of the strategy behind."""
        return self

    @property
    def side(self) -> int:
        """Anchors along each side, with the cap."""
        side = self.grid
        while self.max_gaussians is not None and side**3 > self.max_gaussians:
            side -= 1
        return side


class _Proposal(NamedTuple):
    """Rows [M] that are to be copied with other values, [M, ...] each."""

    rows: Tensor
    values: dict[str, Tensor]

    def chosen(self, which: Tensor) -> _Proposal:
        return _Proposal(self.rows[which], {name: value[which] for name, value in self.values.items()})

    def places(self, means: Tensor) -> Tensor:
        return self.values.get("means", means[self.rows])


class CandidatePool(Plugin):
    """The plug-in; see the module. Where there are several, it stands last."""

    def __init__(self, base: Strategy, config: CandidatePoolConfig | None = None) -> None:
        self.config = CandidatePoolConfig() if config is None else config
        super().__init__(base)
        self._expected: tuple[Tensor | None, Tensor] | None = None
        self.initialize(0, "cpu")

    def initialize(self, num: int, device: torch.device | str) -> None:
        """All `num` Gaussians look for an anchor at the next step, in a new box."""
        super().initialize(num, device)
        self.rows = {"anchor": torch.full((num,), -1, device=device)}
        self.numbers = {name + axis: math.nan for name in ("low_", "cell_") for axis in _AXES}

    @property
    def most(self) -> int | None:
        """The cap that was asked for, although the largest grid below it may have fewer anchors."""
        cap = self.config.max_gaussians if self.base.most is None else self.base.most
        return self.config.side**3 if cap is None else cap

    @property
    def grid(self) -> AnchorGrid | None:
        """The anchors; None before the first step."""
        if math.isnan(self.numbers["low_x"]):
            return None
        low, cell = (
            torch.tensor([self.numbers[name + axis] for axis in _AXES], dtype=torch.float32)
            for name in ("low_", "cell_")
        )
        device = self.rows["anchor"].device
        return AnchorGrid(low.to(device), cell.to(device), self.config.side)

    def regularization(self, splats: Mapping[str, Tensor], view: SceneView) -> Tensor | None:
        term = super().regularization(splats, view)
        grid, anchors = self.grid, self.rows["anchor"]
        if grid is None:
            return term
        beyond = grid.offsets(view.params["means"], anchors.clamp(min=0)).abs() - self.config.reach
        beyond = beyond.relu() / max(grid.side - 1, 1)
        if bool((homeless := anchors < 0).any()):
            beyond = beyond[~homeless]
        own = self.config.weight * beyond.sum() / max(beyond.numel(), 1)
        return own if term is None else term + own

    @torch.no_grad()
    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        edits = [edit for edit in super().on_step(step, view) if not _lowers_all(edit)]
        self.check_rows(view.num)
        grid = self.grid or self._laid(view)
        homeless = (self.rows["anchor"] < 0) & view.free
        ends = step == self.ends
        if not (ends or homeless.any() or any(_moves_rows(edit) for edit in edits)):
            return edits
        return self._settled(edits, view, grid, homeless, ends)

    def follow(self, plan: RowPlan) -> None:
        super().follow(plan)
        expected, self._expected = self._expected, None
        if expected is not None and _same(expected[0], plan.source):
            self.rows["anchor"] = expected[1]
        elif plan.source is not None:
            # Somebody else has edited, and whoever is new looks for an anchor at the next step.
            self.rows["anchor"][plan.num_kept :] = -1
            self.rows["anchor"][plan.copied_rows] = -1

    def _laid(self, view: SceneView) -> AnchorGrid:
        """The grid, around the scene as it is."""
        side, box = self.config.side, self.config.box
        means = view.params["means"].detach()
        if box is not None:
            low, high = torch.full((3,), -box), torch.full((3,), box)
        else:
            near = (view.reach("seen") <= _NEAR * view.scene_extent) & means.isfinite().all(dim=1)
            along = means[near if near.any() else means.isfinite().all(dim=1)].sort(dim=0).values.cpu()
            left_out = int(_OUTLIERS * (len(along) - 1))
            low, high = along[left_out], along[len(along) - 1 - left_out]
        size = (high - low).clamp(min=max(1e-3 * float((high - low).max()), 1e-6))
        for axis, first, cell in zip(_AXES, low.tolist(), (size / max(side - 1, 1)).tolist(), strict=True):
            self.numbers |= {f"low_{axis}": first, f"cell_{axis}": cell}
        grid = self.grid
        assert grid is not None
        return grid

    def _settled(
        self, edits: Iterable[Edit], view: SceneView, grid: AnchorGrid, homeless: Tensor, ends: bool
    ) -> list[Edit]:
        """The edits as far as there are anchors for what they add, and for those that look for one."""
        edits = list(edits)
        anchors, means = self.rows["anchor"], view.params["means"].detach()
        gone = torch.zeros_like(homeless)
        for edit in edits:
            if isinstance(edit, Prune | Split | Move):
                gone[edit.rows.to(gone.device).long()] = True
        gone &= view.free
        seekers = indices(homeless & ~gone)
        proposals = [made for edit in edits if (made := _proposal(edit, view.free)) is not None]
        free = torch.ones(grid.count, dtype=torch.bool, device=gone.device)
        free[anchors[~gone & (anchors >= 0)]] = False
        places = torch.cat([means[seekers], *(made.places(means) for made in proposals)])
        found, *matched = grid.match(places, free, self.config.reach).split(
            [len(seekers), *(len(made.rows) for made in proposals)]
        )
        anchors = anchors.clone()
        anchors[seekers] = found
        gone[seekers[found < 0]] = True
        added = [(made.chosen(own >= 0), own[own >= 0]) for made, own in zip(proposals, matched, strict=True)]
        if bool(gone.all()) and not any(len(own) for _, own in added):
            raise UsageError(
                "candidate-pool: no Gaussian lies in the box of the grid; give another one, "
                "--set candidate-pool.box=HALF_ITS_SIDE, or leave that out."
            )
        if ends:
            held = torch.cat([anchors[~gone], *(own for _, own in added)])
            added.append(self._rest(view, grid, held))
        return self._noted(edits, gone, anchors, added)

    def _noted(
        self,
        edits: Iterable[Edit],
        gone: Tensor,
        anchors: Tensor,
        added: Iterable[tuple[_Proposal, Tensor]],
    ) -> list[Edit]:
        """Edits that do this, whose anchors are then known when they have been carried out."""
        added = list(added)
        settled: list[Edit] = [Prune(indices(gone)), *(edit for edit in edits if isinstance(edit, Reset))]
        settled += [Clone(made.rows, made.values) for made, _ in added]
        source = compile_edits(settled, len(gone), gone.device).source
        self._expected = source, torch.cat([anchors[~gone], *(own for _, own in added)])
        return settled

    def _rest(self, view: SceneView, grid: AnchorGrid, held: Tensor) -> tuple[_Proposal, Tensor]:
        """Nearly transparent Gaussians for all anchors but those held, as far as the number allows. What else
        a Gaussian has is that of its neighbour."""
        c = self.config
        free = torch.ones(grid.count, dtype=torch.bool, device=held.device)
        free[held[held >= 0]] = False
        rest = indices(free)[: max(grid.count - len(held), 0)]
        usable = indices(finite_rows(view.params) & view.free)
        if not len(usable):
            rest = rest[:0]
            return _Proposal(rest, {}), rest
        usable = usable[self.rows["anchor"][usable].argsort(stable=True)]
        behind = torch.searchsorted(self.rows["anchor"][usable], rest).clamp(max=len(usable) - 1)
        quats = view.params["quats"].new_tensor([1.0, 0.0, 0.0, 0.0])
        opacity = view.params["opacities"].new_tensor(c.rest_opacity).logit()
        values = {
            "means": grid.places(rest),
            "quats": quats.expand(len(rest), 4),
            "scales": (c.rest_size * grid.cell).log().expand(len(rest), 3),
            "opacities": opacity.expand(len(rest)),
        }
        return _Proposal(usable[behind], values), rest


def _same(one: Tensor | None, other: Tensor | None) -> bool:
    return one is other if one is None or other is None else torch.equal(one, other)


def _moves_rows(edit: Edit) -> bool:
    return not isinstance(edit, Reset) and len(edit.rows) > 0


def _lowers_all(edit: Edit) -> bool:
    return isinstance(edit, Reset) and edit.rows is None and set(edit.values) == {"opacities"}


def _proposal(edit: Edit, free: Tensor) -> _Proposal | None:
    """What an edit adds to the scene or puts in the place of others, but for copies of rows that stay as they
    are; None if it does not."""
    if isinstance(edit, Prune | Reset):
        return None
    rows = edit.sources if isinstance(edit, Move) else edit.rows
    values = dict(edit.values)
    if isinstance(edit, Split):
        rows = rows.repeat_interleave(edit.children)
        values = {name: value.flatten(0, 1) for name, value in values.items()}
    rows = rows.to(free.device).long()
    made = _Proposal(rows, {name: value.to(free.device) for name, value in values.items()})
    return made.chosen(free[rows])
