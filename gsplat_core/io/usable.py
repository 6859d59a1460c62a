"""Splats that cannot be rendered are found in files of any format, and treated by the same rules.

Dropped: numbers that are not finite in position, rotation or colour, an opacity that is not a number, a
rotation of zero length, a scale that is infinite or so large that its square is. Repaired, because writers
produce them by rounding: an infinite opacity logit (alpha 0 or 255 of 255) becomes the logit of 1e-6 or 1 -
1e-6, and a log-scale of minus infinity (a flat splat) becomes -20.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from gsplat_core.errors import DataError
from gsplat_core.io.format import DataWarning
from gsplat_core.io.pieces import Pieces
from gsplat_core.scene.gaussians import Gaussians

OPACITY_LIMIT = math.log((1 - 1e-6) / 1e-6)
FLAT_SCALE = -20.0
LARGEST_SCALE = 44.0  # exp(2 * 44) is just below the largest float32
_SHORTEST_ROTATION = 1e-24  # squared


def find_unusable(gaussians: Gaussians) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Which splats cannot be rendered as they are, and why.

    Returns:
        Masks [N] by reason, only those that hit something: of splats to drop, and of splats to repair. A
        splat may be in several. What is told of rows of which plain Gaussians are an exact likeness is told
        of these.
    """
    g = gaussians.baked()
    squared = (g.quats * g.quats).sum(dim=1)
    drop = {
        "position not finite": ~_finite(g.means),
        "rotation not finite": ~(_finite(g.quats) & squared.isfinite()),
        "rotation of zero length": squared < _SHORTEST_ROTATION,
        "scale infinite, too large or not a number": ~(g.scales <= LARGEST_SCALE).all(dim=1),
        "opacity not a number": g.opacities.isnan(),
        "colour not finite": ~(_finite(g.sh0) & _finite(g.shN)),
        **{f"{name} not finite": ~_finite(values) for name, values in gaussians.further.items()},
    }
    repair = {
        "opacity exactly 0 or 1": g.opacities.isinf(),
        "scale exactly 0": (g.scales == -math.inf).any(dim=1),
    }
    return (
        {reason: mask for reason, mask in drop.items() if bool(mask.any())},
        {reason: mask for reason, mask in repair.items() if bool(mask.any())},
    )


def unusable_shared(gaussians: Gaussians) -> str:
    """Why no splat can be rendered, since what all of them share is unusable; empty where it is not."""
    for name, tensor in gaussians.shared.items():
        if not bool(tensor.isfinite().all()):
            return f"{name!r}, which all splats share, has numbers that are not finite"
    return ""


class UnusableWarning(DataWarning):
    """Some of a file's splats cannot be rendered; they were dropped or repaired.

    Args:
        message: which, and why.
        num: how many.
    """

    def __init__(self, message: str, num: int) -> None:
        super().__init__(message)
        self.num = num


def keep_usable(gaussians: Gaussians, path: str | os.PathLike[str], strict: bool) -> Gaussians:
    """The scene without what cannot be rendered; says with an `UnusableWarning` what was dropped and
    repaired.

    Raises:
        DataError: `strict`, and there is anything to drop or repair; or it is what all of them share.
    """
    if problem := unusable_shared(gaussians):
        raise DataError(path, problem)
    drop, repair = find_unusable(gaussians)
    if not drop and not repair:
        return gaussians
    report = describe_unusable(drop, repair)
    if strict:
        raise DataError(path, report, remedy="Without strict reading they are dropped or repaired.")
    num = int(_any({**drop, **repair}).sum())
    warnings.warn(UnusableWarning(f"{os.fspath(path)}: {report}: dropped or repaired", num), stacklevel=2)
    return _treated(gaussians, drop, repair)


def usable_pieces(pieces: Pieces, path: str | os.PathLike[str]) -> Pieces:
    """The same of a scene that comes piece by piece; what was dropped and repaired is said once, when all of
    it came."""

    told = False

    def treated() -> Iterator[Gaussians]:
        nonlocal told
        num, total = 0, 0
        reasons: dict[str, tuple[int, int]] = {}
        for piece in pieces.open():
            drop, repair = find_unusable(piece)
            if drop or repair:
                total += int(_any({**drop, **repair}).sum())
                for reason, (hit, first) in _counted({**drop, **repair}).items():
                    before, place = reasons.get(reason, (0, num + first))
                    reasons[reason] = before + hit, place
            num += piece.num
            yield _treated(piece, drop, repair)
        if total and not told:
            told = True
            message = f"{os.fspath(path)}: {_report(total, num, reasons)}: dropped or repaired"
            warnings.warn(UnusableWarning(message, total), stacklevel=2)

    return replace(pieces, open=treated)


def _treated(gaussians: Gaussians, drop: dict[str, Tensor], repair: dict[str, Tensor]) -> Gaussians:
    if repair:
        gaussians = replace(
            gaussians,
            opacities=torch.where(
                gaussians.opacities.isinf(),
                gaussians.opacities.clamp(-OPACITY_LIMIT, OPACITY_LIMIT),
                gaussians.opacities,
            ),
            scales=gaussians.scales.masked_fill(gaussians.scales == -math.inf, FLAT_SCALE),
        )
    return gaussians.subset(~_any(drop)) if drop else gaussians


def describe_unusable(drop: dict[str, Tensor], repair: dict[str, Tensor]) -> str:
    """One line with the count and the first place of each reason."""
    masks = {**drop, **repair}
    num = next(iter(masks.values())).shape[0]
    return _report(int(_any(masks).sum()), num, _counted(masks))


def _counted(masks: dict[str, Tensor]) -> dict[str, tuple[int, int]]:
    """How many each mask hits, and which first."""
    return {reason: (int(mask.sum()), int(mask.nonzero()[0])) for reason, mask in masks.items()}


def _report(total: int, num: int, reasons: dict[str, tuple[int, int]]) -> str:
    parts = [f"{hit:,} with {reason}, first number {first}" for reason, (hit, first) in reasons.items()]
    return f"{total:,} of {num:,} splats cannot be rendered ({'; '.join(parts)})"


def _finite(tensor: Tensor) -> Tensor:
    """Of which rows all numbers are finite [N]."""
    if bool(tensor.sum().isfinite()):  # then each of them is; the other way round it need not be
        return torch.ones(len(tensor), dtype=torch.bool, device=tensor.device)
    finite = tensor.isfinite()
    return finite if finite.ndim == 1 else finite.flatten(1).all(dim=1)


def _any(masks: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(masks.values())).any(dim=0)
