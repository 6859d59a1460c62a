"""What moves through the picture is found in the errors of the training, and does not count.

People and cars are in one photograph and not in the next. A scene cannot show both, so it errs where they
are, and keeps erring as long as that does not count. After RobustNeRF (Sabour et al. 2023), the largest
errors are trimmed where their surroundings agree; after SpotLessSplats (Sabour et al. 2024), their
distribution is that of all photographs, so that one without anything transient need not lose anything, and it
begins when the scene is roughly there. Unlike in both, no network and no share of the pixels tells what is
transient from what is hard to learn, but the other photographs: they err at a place that is hard as well, but
not where something stood in front of it once.

A photograph is a grid of cells. The error of a cell is the length of the mean of rendering minus photograph
over its pixels: noise and texture that are not learnt yet cancel, another surface does not. Logarithms are
smoothed over 3 x 3 cells, are relative to the usual error of that time (or to the median of the photograph,
if that errs more everywhere, having been exposed differently or being blurred), and are remembered from one
time that a photograph is seen to the next as a running mean. A cell is transient where

- its error is beyond a fence of the errors of all photographs (Tukey: so many interquartile ranges above the
  third quartile), and
- it is so many times what is usual there: the median over other photographs of the error of the cell
  that shows the same surface (`gsplat_core/densify/elsewhere.py`), where at least two do,

if most of the 3 x 3 cells around it are, too; and what borders on transient cells is by lower thresholds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from gsplat_core.densify.elsewhere import points_shown, values_there
from gsplat_core.densify.strategy import Wants
from gsplat_core.losses import as_float
from gsplat_core.ranges import COUNT, POSITIVE, SHARE, Range, check_ranges
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.dataset import View
from trainers.parts.part import Part, Rendering
from trainers.views import Target

if TYPE_CHECKING:
    from gsplat_core.densify.views import Views
    from trainers.config import TrainConfig
    from trainers.run_folder import RunFolder

MASKS = "transients"
"""The folder of the masks that were found, among the results of parts."""

# No error is smaller than what photographs of 8 bits can tell.
_LEAST = 1 / 255
# Errors are a running mean over about so many times that a photograph was seen, the usual one over so many
# photographs.
_VISITS, _PHOTOGRAPHS = 3, 20
# Depths and judgements cost most: they are for one turn over all photographs in so many, at most so often.
_TURNS, _JUDGEMENTS = 3, 20
# Other photographs that are asked about a place, how many have to know it, and by which share of a depth the
# surface is another one.
_ASKED, _KNOWING, _SURFACE = 24, 2, 0.2
_OPAQUE = 0.5
# Of the thresholds of what borders on transient cells, and how far that goes, in cells.
_LOWER, _GROWTH = 0.5, 8


@dataclass(frozen=True)
class TransientConfig:
    """Args:
        start: the share of the run from which on what is transient does not count.
        cells: along the longer side of a photograph, at most.
        fence: in interquartile ranges.
        ratio: of an error to what other photographs have at that place.
        least: the share of a photograph below which what was found in it counts after all.

    Raises:
        ValueError: a number outside its range.
    """

    start: Annotated[float, SHARE] = 0.1
    cells: Annotated[int, COUNT] = 96
    fence: Annotated[float, POSITIVE] = 1.5
    ratio: Annotated[float, Range(1, 1e6, "least")] = 8.0
    least: Annotated[float, SHARE] = 0.01

    def __post_init__(self) -> None:
        check_ranges(self)


class Transient(Part):
    """`--transient robust`."""

    settings: ClassVar[type[Any] | None] = TransientConfig
    first_order: ClassVar[str | None] = "counts all of every photograph; leave out --transient"
    neighbours: ClassVar[str | None] = "looks for what moves in cells of whole photographs"

    def __init__(self, settings: TransientConfig, config: TrainConfig, views: Sequence[View]) -> None:
        self._settings = settings
        self._start = settings.start * config.steps
        self._turns = max(_TURNS, config.steps // (_JUDGEMENTS * max(len(views), 1)))
        self._seed = config.seed
        self._views = views
        grids = [_grid(view.camera, settings.cells) for view in views]
        self._sizes = [height * width for height, width in grids]
        self._errors = [torch.zeros(grid) for grid in grids]
        self._depths = [torch.zeros(grid) for grid in grids]
        self._found = [torch.zeros(grid, dtype=torch.bool) for grid in grids]
        self._seen = torch.zeros(len(views), dtype=torch.int64)
        self._quartiles = torch.zeros(len(views), 2)
        self._usual = math.nan
        self._settled = False

    def initialize(self, num: int, device: torch.device) -> None:
        for grids in (self._errors, self._depths, self._found):
            grids[:] = [grid.to(device) for grid in grids]

    def wants(self, step: int) -> Wants:
        return Wants(depth=self._judges_at(step))

    def _judges_at(self, step: int) -> bool:
        turn = (step - 1) // max(len(self._views), 1)
        return not self._settled and turn > 0 and turn % self._turns == 0 and step >= self._start

    @torch.no_grad()
    def counted(self, step: int, rendering: Rendering, target: Target) -> Target:
        if not self._views:
            return target
        if not self._settled:
            self._remember(target, rendering.image[0])
            if self._judges_at(step) and rendering.scene.views is not None:
                self._judge(target.view, rendering, rendering.scene.views)
        counts = self._counts(target.view, target.height, target.width)
        return target if counts is None else target.only(counts)

    def counts(self, view: int) -> Tensor | None:
        camera = self._views[view].camera
        return self._counts(view, camera.height, camera.width)

    def _counts(self, view: int, height: int, width: int) -> Tensor | None:
        found = self._found[view]
        if not bool(found.any()):
            return None
        return interpolate(found[None, None].float(), (height, width), mode="nearest-exact")[0, 0] == 0

    def _remember(self, target: Target, image: Tensor) -> None:
        view, errors = target.view, self._errors[target.view]
        logs = smoothed(cell_errors(image, target, errors.shape).clamp(min=_LEAST).log())
        median = float(logs.median())
        known = self._usual if math.isfinite(self._usual) else median
        self._usual = known + (median - known) / _PHOTOGRAPHS
        self._seen[view] += 1
        errors.lerp_(logs - max(median, self._usual), 1 / min(int(self._seen[view]), _VISITS))
        ordered = errors.flatten().sort().values
        self._quartiles[view] = ordered[[len(ordered) // 4, 3 * len(ordered) // 4]].cpu()

    def fence(self, ranges: float) -> float:
        """So many interquartile ranges above the third quartile, in logarithms."""
        low, high = self._quartiles[self._seen > 0].median(dim=0).values.tolist()
        return float(high + ranges * (high - low))

    def _judge(self, view: int, rendering: Rendering, views: Views) -> None:
        if rendering.depths is None:
            raise ValueError("Transient needs Rendering.depths")
        errors, depths = self._errors[view], self._depths[view]
        shown = rendering.depths[0].where(rendering.alphas[0, ..., 0] > _OPAQUE, 0.0)
        depths.copy_(interpolate(shown[None, None], depths.shape, mode="nearest-exact")[0, 0])
        # A function of seed and photograph, so that they are the same each time without a state.
        random = torch.Generator().manual_seed(self._seed * 1_000_003 + view)
        order = torch.randperm(len(self._views), generator=random).tolist()
        others = [other for other in order if other != view and int(self._seen[other])][:_ASKED]
        there = values_there(
            points_shown(views.lens(view), depths),
            [views.lens(other) for other in others],
            [self._errors[other] for other in others],
            [self._depths[other] for other in others],
            _SURFACE,
        )
        known = ((~there.isnan()).sum(dim=0) >= _KNOWING) & (depths.flatten() > 0)
        unusual = errors - torch.nanquantile(there, 0.5, dim=0).reshape(errors.shape) if others else errors
        unusual = unusual.where(known.reshape(errors.shape), -torch.inf)
        s = self._settings

        def beyond(share: float) -> Tensor:
            return (unusual > share * math.log(s.ratio)) & (errors > self.fence(share * s.fence))

        found = grown(beyond(1.0), beyond(_LOWER))
        self._found[view].copy_(found & (found.float().mean() >= s.least))

    def state_dict(self) -> dict[str, Any]:
        return {
            "errors": _flat(self._errors),
            "depths": _flat(self._depths),
            "found": _flat(self._found),
            "seen": self._seen.clone(),
            "quartiles": self._quartiles.clone(),
            "usual": torch.tensor(self._usual, dtype=torch.float64),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name, grids in (("errors", self._errors), ("depths", self._depths), ("found", self._found)):
            for grid, values in zip(grids, state[name].split(self._sizes), strict=True):
                grid.copy_(values.reshape(grid.shape))
        self._seen, self._quartiles = state["seen"].clone(), state["quartiles"].clone()
        self._usual = float(state["usual"])

    def result(self) -> dict[str, Any]:
        """Of each photograph with something transient: its share of it, and its cells row by row, "#" where
        they are transient."""
        found = [(view.name, cells) for view, cells in zip(self._views, self._found, strict=True)]
        return {
            name: {"share": float(cells.float().mean()), "cells": _drawn(cells)}
            for name, cells in found
            if bool(cells.any())
        }

    def settle(self, result: Mapping[str, Any]) -> None:
        """What was found is what does not count; photographs that are not named count wholly."""
        for number, view in enumerate(self._views):
            if view.name in result:
                self._found[number].copy_(_read(view.name, result[view.name], self._found[number].shape))
        self._settled = True

    def keep(self, run: RunFolder) -> None:
        """Writes one mask for each photograph, white where it counts, as `--masks` takes them."""
        from trainers.media import png_names, save_png

        files = png_names([view.name for view in self._views])
        for number, (view, file) in enumerate(zip(self._views, files, strict=True)):
            camera, found = view.camera, self.counts(number)
            given = view.mask()
            white = torch.ones(camera.height, camera.width) if given is None else given.float()
            if found is not None:
                white = white * found.cpu()
            save_png(run.parts / MASKS / file, white[..., None].expand(-1, -1, 3), below=run.path)


def cell_errors(image: Tensor, target: Target, size: Sequence[int]) -> Tensor:
    """[h, w] the length over the channels, divided by sqrt(3), of the mean over a cell's pixels that count of
    rendering [H, W, 3] minus photograph; 0 where none does."""
    difference = (target.compared(image) - as_float(target.image)).permute(2, 0, 1)
    errors = interpolate(difference[None], tuple(size), mode="area")[0].square().mean(dim=0).sqrt()
    if target.mask is None:
        return errors
    share = interpolate(target.mask[None, None].float(), tuple(size), mode="area")[0, 0]
    return errors / share.clamp(min=1e-6)


def smoothed(cells: Tensor) -> Tensor:
    """[h, w] the mean over 3 x 3 cells, as far as they are there."""
    return avg_pool2d(cells[None].float(), 3, stride=1, padding=1, count_include_pad=False)[0]


def grown(seeds: Tensor, likely: Tensor) -> Tensor:
    """[h, w] what most of 3 x 3 cells are seeds around, with the likely cells that border on it."""
    found = smoothed(seeds) > 0.5
    if not bool(found.any()):
        return found
    for _ in range(_GROWTH):
        found = found | ((smoothed(found) > 0.3) & likely)
    return found | (smoothed(found) > 0.5)


def _grid(camera: Camera, cells: int) -> tuple[int, int]:
    factor = min(cells / max(camera.width, camera.height), 1.0)
    return max(round(camera.height * factor), 1), max(round(camera.width * factor), 1)


def _flat(grids: Sequence[Tensor]) -> Tensor:
    return torch.cat([grid.flatten().cpu() for grid in grids]) if grids else torch.zeros(0)


def _drawn(cells: Tensor) -> list[str]:
    return ["".join("#" if cell else "." for cell in row) for row in cells.tolist()]


def _read(name: str, entry: Any, size: Sequence[int]) -> Tensor:
    rows = entry.get("cells") if isinstance(entry, dict) else None
    whole = isinstance(rows, list) and all(isinstance(row, str) and set(row) <= {"#", "."} for row in rows)
    if not whole or [len(row) for row in rows] != [size[1]] * size[0]:  # type: ignore[union-attr]
        raise ValueError(f"transient: the cells of {name} are not {size[0]} rows of {size[1]} of '#' and '.'")
    return torch.tensor([[cell == "#" for cell in row] for row in rows])  # type: ignore[union-attr]
