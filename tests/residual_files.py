"""Frames of a sequence in files, for tests: what changes is made up."""

from __future__ import annotations

from pathlib import Path

import torch

from gsplat_core.compress.container import Container
from gsplat_core.compress.residual import Residual, encoded
from gsplat_core.io import gsz
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.sequence.residuals import LATENTS

BEFORE = "before.gsz"


def made_up(scene: Gaussians, seed: int = 0) -> Residual:
    """A residual after a scene of at least two Gaussians: a tenth goes, a tenth is added, half change."""
    random = torch.Generator().manual_seed(seed)

    def some(share: float) -> torch.Tensor:
        count = max(1, int(share * scene.num))
        return torch.randperm(scene.num, generator=random)[:count].sort().values

    removed, ancestors = some(0.1), some(0.1)
    total = scene.num - len(removed) + len(ancestors)

    def table(columns: int, size: int) -> torch.Tensor:
        there = torch.rand(total, 1, generator=random) < 0.5
        numbers = torch.randint(-size, size + 1, (total, columns), generator=random)
        return torch.where(there, numbers, 0).int()

    names = [name for name in LATENTS if scene.params[name][0].numel()]
    decoders = {
        name: 0.01 * torch.randn(LATENTS[name], scene.params[name][0].numel(), generator=random)
        for name in names
    }
    return Residual(
        removed,
        ancestors,
        table(3, 300),
        {name: table(LATENTS[name], 2) for name in names},
        {name: decoder.half() for name, decoder in decoders.items()},
        1e-4,
    )


def write_after(path: Path, before: Path, residual: Residual, name: str | None = None) -> Path:
    """Writes the file of a frame after another."""
    opened = Container.from_bytes(before.read_bytes(), before)
    after_key = opened.header.get("after_key", 0) + 1
    assert opened.checksum is not None
    container = encoded(residual, gsz.load(before), name or before.name, opened.checksum, after_key)
    path.write_bytes(container.to_bytes())
    return path


def saved_after_another(path: Path, scene: Gaussians) -> None:
    """Writes a frame after one that is a scene, which lies beside it."""
    before = path.with_name(BEFORE)
    gsz.save(before, scene)
    write_after(path, before, made_up(scene))
