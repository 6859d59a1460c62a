"""Export that is checked: the file is read back and compared before it takes its name."""

from __future__ import annotations

import os
from typing import Any

import torch

from gsplat_core.errors import NumericalError, ResourceError
from gsplat_core.io.atomic import atomic_path
from gsplat_core.io.registry import load, save
from gsplat_core.io.usable import describe_unusable, find_unusable
from gsplat_core.scene.gaussians import Gaussians


def export_verified(path: str | os.PathLike[str], gaussians: Gaussians, **options: Any) -> None:
    """Like `save`, for formats that keep every bit, and proves it. An existing file is replaced only after
    the proof.

    Raises:
        NumericalError: splats of the scene are not finite; counted per reason. Nothing is written.
        ResourceError: the file cannot be written, or what is read back differs (a fault of disk or memory).
        UsageError, ValueError: as for `save`.
    """
    drop, repair = find_unusable(gaussians)
    if drop or repair:
        raise NumericalError(f"{os.fspath(path)}: not written: {describe_unusable(drop, repair)}.")
    with atomic_path(path) as temporary:
        save(temporary, gaussians, **options)
        different = _differences(gaussians, load(temporary, strict=True))
        if different:
            raise ResourceError(
                f"{os.fspath(path)}: what was read back differs in {', '.join(different)}; the disk or the "
                "memory is faulty. The file was not kept, what was there before is unchanged."
            )


def _differences(written: Gaussians, read: Gaussians) -> list[str]:
    """Names of the fields that are not equal bit for bit (parameters as float32)."""
    expected = {k: v.cpu() for k, v in written.detached().to(dtype=torch.float32).state_dict().items()}
    found = read.state_dict()
    return [
        name
        for name in expected.keys() | found.keys()
        if name not in expected or name not in found or not _equal(expected[name], found[name])
    ]


def _equal(a: torch.Tensor, b: torch.Tensor) -> bool:
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return bool(((a == b) | ((a != a) & (b != b))).all())
