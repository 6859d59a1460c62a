"""Codec `anchors`, of scenes of anchors (`models/scaffold.py`): a context model says what it expects of each.

A file has the knots of the anchors along a Morton curve; a context model (`context`), which says of each
anchor from its place what its features, scales and offsets may be; whole numbers of steps from there, coded
with the probabilities that it gives them; which splats of each anchor are dropped, whose offsets need no
bits; and the networks that decode anchors, rounded to 2^-10.

A context model is trained with the scene (`train --model scaffold --compress anchors`), which then has
numbers that are cheap. A scene that was trained without gets one fitted to its numbers as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from gsplat_core.compress.container import Container
from gsplat_core.compress.context import Context, Exact, ExactlySaid, Kinds, Size
from gsplat_core.compress.hash_grid import Corners, HashGrid, Middle
from gsplat_core.compress.latents import rows_before
from gsplat_core.errors import UnsuitableSceneError
from gsplat_core.models.scaffold import DROPPED, FEATURES, NAME, SCHEMA, SPLATS, Lattice, as_dropped, kept_of
from gsplat_core.morton import morton_cells, morton_codes
from gsplat_core.ops.context_coder import (
    decode_ascending,
    decode_residuals,
    decode_table,
    earlier_neighbors,
    encode_ascending,
    encode_residuals,
    encode_table,
)
from gsplat_core.optim import Adam
from gsplat_core.scene.gaussians import Gaussians

COLUMNS = {"features": FEATURES, "offset_scales": 3, "scales": 3, "offsets": 3 * SPLATS}
"""The kinds of numbers that an anchor has, and how many of each."""
STEPS = {"features": 1.0, "offset_scales": 0.1, "scales": 0.1, "offsets": 0.2}
"""Their usual steps: of features and offsets as HAC++ has them; scales are logarithms here."""

_NETWORK_STEP = 2.0**-10
_MOST_CELLS = 2**21
_ROWS_AT_A_TIME = 2048
_LARGEST_WHOLE = 1 << 40
_FITTING_RATE, _FITTING_ROWS = 2e-2, 1024


@dataclass(frozen=True)
class AnchorConfig:
    """Args:
    kinds: the numbers of an anchor and their steps.
    size: of the context model.
    fitting_steps: for which one is fitted where none was trained.
    """

    kinds: Kinds = field(default_factory=lambda: Kinds(COLUMNS, STEPS))
    size: Size = field(default_factory=Size)
    fitting_steps: int = 400

    def coarser(self, factor: float) -> AnchorConfig:
        """All steps multiplied by the factor."""
        return replace(self, kinds=self.kinds.coarser(factor))


def numbers_of(params: Mapping[str, Tensor]) -> Tensor:
    """[N, 68] the numbers of anchors, one kind after the other."""
    return torch.cat([params[name].flatten(1) for name in COLUMNS], dim=1)


def params_of(numbers: Tensor) -> dict[str, Tensor]:
    """The inverse of `numbers_of`."""
    parts = numbers.split(list(COLUMNS.values()), dim=1)
    shapes = {name: SCHEMA[name].shape for name in COLUMNS}
    return {name: part.unflatten(1, shapes[name]) for name, part in zip(COLUMNS, parts, strict=True)}


def knots_of(gaussians: Gaussians) -> Tensor:
    """[N, 3] int64 the knots at which anchors lie."""
    return Lattice.of(gaussians.shared).knots(gaussians.means).long()


def counted(kept: Tensor) -> Tensor:
    """[N, 68] which numbers have to be coded where these splats [N, 10] are not dropped."""
    always = kept.new_ones(len(kept), sum(COLUMNS.values()) - 3 * SPLATS)
    return torch.cat([always, kept.repeat_interleave(3, dim=1)], dim=1)


class AnchorCodec:
    """Args:
    context: that was trained with the scene; None: one is fitted to each scene.
    """

    name = "anchors"

    def __init__(self, config: AnchorConfig | None = None, context: Context | None = None) -> None:
        self.config = AnchorConfig() if config is None else config
        self.context = context

    @torch.no_grad()
    def encode(self, gaussians: Gaussians) -> Container:
        """The coded scene; its anchors are in Morton order there.

        Raises:
            UnsuitableSceneError: rows are no anchors, or lie more than 2^21 voxels apart.
        """
        if gaussians.primitive != NAME:
            raise UnsuitableSceneError(
                "(memory)", f"the codec 'anchors' codes scenes of the primitive {NAME!r}, not "
                f"{gaussians.primitive!r}",
            )  # fmt: skip
        gaussians = gaussians.detached().to("cpu", torch.float32)
        knots = knots_of(gaussians)
        low = knots.amin(dim=0) if len(knots) else knots.new_zeros(3)
        if len(knots) and int((knots - low).max()) >= _MOST_CELLS:
            raise UnsuitableSceneError(
                "(memory)", f"anchors lie more than {_MOST_CELLS:,} voxels apart",
                remedy="Take out those that are far away.",
            )  # fmt: skip
        codes, order = morton_codes(knots - low).sort(stable=True)
        knots, gaussians = knots[order], gaussians.subset(order)
        numbers, kept = numbers_of(gaussians.params), kept_of(gaussians.extras[DROPPED])
        context = self.context
        if context is None:
            context = fitted(self.config, numbers, counted(kept), knots)
        corners, exact = context.corners(knots.cpu()), context.exact()
        used = corners.rows.unique()
        exact.tensors["grid"] = _only(exact.tensors["grid"], used)
        neighbors = earlier_neighbors((knots - low).int())
        said = _said(exact, corners)
        wholes = exact.wholes(said, numbers) * counted(kept).int()
        streams = {
            "positions": encode_ascending(codes),
            "grid": encode_table((exact.tensors["grid"][used] > 0).int(), rows_before(len(used))),
            "dropped": encode_table((~kept).int(), neighbors),
        }
        for name, tensor in exact.tensors.items():
            if name != "grid":
                streams[f"context.{name}"] = _coded(tensor)
        deviations = torch.where(counted(kept), said.deviations, 0)
        for name, part, spread in zip(COLUMNS, _split(wholes), _split(deviations), strict=True):
            streams[name] = encode_residuals(part, spread, neighbors)
        shared = {}
        for known in SCHEMA.shared:
            tensor = gaussians.shared[known.name]
            if known.trained:
                streams[f"shared.{known.name}"] = _coded((tensor.double() / _NETWORK_STEP).round().long())
            else:
                shared[known.name] = tensor.flatten().tolist()
        grid = context.size.grid
        header = {
            "codec": self.name,
            "count": gaussians.num,
            "sh_degree": 0,
            "low": low.tolist(),
            "middle": [*context.middle.knot, context.middle.size],
            "steps": dict(context.kinds.steps),
            "log2_steps": exact.log2_steps,
            "levels": len(grid.cells),
            "cells": list(grid.cells),
            "log2_rows": grid.log2_rows,
            "width": grid.width,
            "hidden": context.size.hidden,
            "shared": shared,
        }
        return Container(header, streams, order=order)


def decode(container: Container) -> Gaussians:
    """The scene that `AnchorCodec.encode` coded.

    Raises:
        DataError: a stream or an entry of the header is missing or out of range.
    """
    count = container.count
    cells = morton_cells(decode_ascending(container.stream("positions"), count))
    knots = cells + torch.tensor(_wholes(container, "low", 3))
    exact, corners = _read_model(container, knots)
    neighbors = earlier_neighbors(cells.int())
    kept = decode_table(container.stream("dropped"), neighbors, SPLATS) == 0
    said = _said(exact, corners)
    deviations = torch.where(counted(kept), said.deviations, 0)
    wholes = [
        decode_residuals(container.stream(name), part.contiguous(), neighbors)
        for name, part in zip(COLUMNS, _split(deviations), strict=True)
    ]
    numbers = torch.where(counted(kept), exact.numbers(said, torch.cat(wholes, dim=1)), 0.0)
    shared = _read_shared(container)
    means = Lattice.of(shared).places(knots.double()).float()
    coded = {"means": means, "shN": means.new_zeros(count, 0, 3), **params_of(numbers)}
    blanks = {
        known.name: known.blanks(count, means) for known in SCHEMA.parameters if known.name not in coded
    }
    return Gaussians.of({**blanks, **coded}, NAME, {DROPPED: as_dropped(kept)}, shared=shared)


def fitted(config: AnchorConfig, numbers: Tensor, which: Tensor, knots: Tensor, seed: int = 0) -> Context:
    """A context model for numbers [N, 68] at knots [N, 3] as they are, of which `which` are coded; its steps
    are the usual ones, since nobody says here how much an error of each number shows."""
    context = Context.started(config.size, config.kinds, seed)
    context.begin(knots, numbers)
    if not len(numbers):
        return context
    corners, tensors, kinds = context.corners(knots), context.tensors, len(COLUMNS)
    tensors["weights"][-kinds:] = 0
    for tensor in tensors.values():
        tensor.requires_grad_()
    optimizer = Adam(tensors.values(), lr=_FITTING_RATE)
    random = torch.Generator().manual_seed(seed)
    for step in range(config.fitting_steps):
        rows = torch.randint(len(numbers), (min(_FITTING_ROWS, len(numbers)),), generator=random)
        optimizer.param_groups[0]["lr"] = _FITTING_RATE * 0.01 ** (step / config.fitting_steps)
        with torch.enable_grad():
            said = context(Corners(*(part[rows] for part in corners)))
            noise = torch.rand(len(rows), numbers.shape[1], generator=random) - 0.5
            bits = (said.bits(numbers[rows] + noise * said.steps) * which[rows]).sum()
            loss = bits * (len(numbers) / len(rows)) + context.grid_bits()
            loss.backward()
        for tensor in (tensors["weights"], tensors["biases"]):
            if tensor.grad is not None:
                tensor.grad[-kinds:] = 0
        optimizer.step()
        optimizer.zero_grad()
    for tensor in tensors.values():
        tensor.requires_grad_(False)
    return context


def _read_model(container: Container, knots: Tensor) -> tuple[Exact, Corners]:
    header = container.inner("steps")
    steps = {name: header.number(name, 1e-9, 1e9) for name in COLUMNS}
    levels = container.integer("levels", 1, 8)
    width = container.integer("width", 1, 8)
    cells = tuple(_wholes(container, "cells", levels, 1, 1024))
    grid = HashGrid(cells, container.integer("log2_rows", 1, 16), width)
    size, kinds = Size(grid, container.integer("hidden", 1, 256)), Kinds(COLUMNS, steps)
    x, y, z, size_of_middle = _wholes(container, "middle", 4)
    corners = grid.corners(knots, Middle((x, y, z), max(1, size_of_middle)))
    used = corners.rows.unique()
    signs = decode_table(container.stream("grid"), rows_before(len(used)), width)
    table = torch.ones(grid.rows, width, dtype=torch.int8)
    table[used] = torch.where(signs > 0, 1, -1).to(torch.int8)
    tensors = {"grid": table}
    for name, shape in Context.shapes(size, kinds).items():
        if name != "grid":
            tensors[name] = _decoded(container, f"context.{name}", shape)
    return Exact(size, kinds, tensors, _wholes(container, "log2_steps", len(COLUMNS))), corners


def _read_shared(container: Container) -> dict[str, Tensor]:
    exact, shared = container.inner("shared"), {}
    for known in SCHEMA.shared:
        if known.trained:
            wholes = _decoded(container, f"shared.{known.name}", known.shape)
            shared[known.name] = (wholes.double() * _NETWORK_STEP).float()
        else:
            numbers = exact.numbers(known.name, math.prod(known.shape), -1e30, 1e30)
            shared[known.name] = torch.tensor(numbers).reshape(known.shape)
    return shared


def _wholes(
    container: Container, name: str, count: int, low: int = -_LARGEST_WHOLE, high: int = _LARGEST_WHOLE
) -> list[int]:
    """An entry of so many whole numbers within the bounds."""
    numbers = container.numbers(name, count, low, high)
    if any(number != int(number) for number in numbers):
        raise container.error(f"{name} is {str(numbers)[:80]}, expected whole numbers")
    return [int(number) for number in numbers]


def _coded(wholes: Tensor) -> Tensor:
    table = wholes.clamp(-(2**28), 2**28).int().reshape(-1, 1)
    return encode_table(table, rows_before(len(table)))


def _decoded(container: Container, name: str, shape: tuple[int, ...]) -> Tensor:
    table = decode_table(container.stream(name), rows_before(math.prod(shape)), 1)
    return table.long().reshape(shape)


def _only(signs: Tensor, used: Tensor) -> Tensor:
    """The table with ones where nobody looks."""
    result = torch.ones_like(signs, dtype=torch.int8)
    result[used] = signs[used].to(torch.int8)
    return result


def _said(exact: Exact, corners: Corners) -> ExactlySaid:
    """What a model says of all anchors; in pieces, since its numbers on the way are many."""
    pieces = zip(*(part.split(_ROWS_AT_A_TIME) for part in corners), strict=True)
    said = [exact(Corners(*piece)) for piece in pieces]
    return ExactlySaid(*(torch.cat(parts) for parts in zip(*said, strict=True)))


def _split(table: Tensor) -> list[Tensor]:
    return [part.contiguous() for part in table.split(list(COLUMNS.values()), dim=1)]
