"""Damped approximations of J^T H J that are solved at once: the diagonal, and a block per Gaussian."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from gsplat_core.ops import gauss_newton as _gauss_newton  # noqa: F401  (registers fake kernels)
from gsplat_core.second_order.linearization import Blocks, join_geometry, split_geometry
from gsplat_core.second_order.vectors import Vector

ops = torch.ops.gsplat_core

Preconditioner = Literal["blocks", "diagonal", "probed"]
"""Exact 11 x 11 blocks per Gaussian; their exact diagonal; an estimate of it from random vectors."""


class DiagonalPreconditioner:
    """Jacobi's: divides by the damped diagonal.

    Args:
        diagonal: of the matrix.
        damping: added to it, positive.
    """

    def __init__(self, diagonal: Vector, damping: Vector) -> None:
        self._inverse = {name: 1 / (diagonal[name] + damping[name]) for name in diagonal}

    def __call__(self, r: Vector) -> dict[str, Tensor]:
        return {name: self._inverse[name] * tensor for name, tensor in r.items()}

    def state_dict(self) -> dict[str, Any]:
        return dict(self._inverse)

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> DiagonalPreconditioner:
        result = object.__new__(cls)
        result._inverse = dict(state)
        return result


class BlockPreconditioner:
    """Block Jacobi: solves the 11 x 11 system of each Gaussian's geometry (means, quats, scales, opacity),
    and divides by the damped diagonal for the colours.

    Where a Gaussian lies, how large and how opaque it is compensate each other in the images; the block
    knows that.
    """

    def __init__(self, blocks: Blocks, damping: Vector) -> None:
        self._factors = ops.factor_blocks(blocks.geometry, join_geometry(damping))
        colours = {"sh0": blocks.sh0, "shN": blocks.shN}
        self._colours = DiagonalPreconditioner(colours, damping)

    def __call__(self, r: Vector) -> dict[str, Tensor]:
        geometry = split_geometry(ops.solve_blocks(self._factors, join_geometry(r)))
        solved = dict(zip(("means", "quats", "scales", "opacities"), geometry, strict=True))
        return {**solved, **self._colours({"sh0": r["sh0"], "shN": r["shN"]})}

    def state_dict(self) -> dict[str, Any]:
        return {"factors": self._factors, "colours": self._colours.state_dict()}

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> BlockPreconditioner:
        result = object.__new__(cls)
        result._factors = state["factors"]
        result._colours = DiagonalPreconditioner.from_state_dict(state["colours"])
        return result
