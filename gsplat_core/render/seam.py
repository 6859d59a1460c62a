"""Where the left border of an image is its right border: panoramas all around.

A splat that reaches over one border is drawn at the other one by a copy, a turn to the right or left, which
is a splat like any other for binning and compositing. Gradients of copies flow back into what they are
copies of. A splat has one copy at most, beyond the border that is nearer to it: what is wider than a turn,
as splats at the poles are, meets itself and is drawn twice there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core.render.rays import Rays
from gsplat_core.render.stages import Splats, TileLists

TURN = {"equirectangular": 2 * math.pi}
"""Camera models with a seam, and the pixels of a turn in focal lengths fx."""


IDS = ("first_ids", "median_ids", "strongest_ids", "top_ids")
"""Outputs that name splats, `gsplat_core.render.seen`."""


class Copies(NamedTuple):
    """Which splats are drawn a second time. M copies per image, some of which may not be there; they are
    copies of the same Gaussians for all cameras of a scene."""

    rows: Tensor  # [B, M] int64, of the Gaussians whose splats are copied
    shift: Tensor  # [B, C, M] how far to the right
    there: Tensor  # [B, C, M] bool
    num: int  # N splats per image

    @classmethod
    def of(cls, camera: str, Ks: Tensor, splats: Splats, width: int) -> Copies | None:
        """None where there is no seam.

        Args:
            camera: the model of all cameras.
            Ks: [B, C, 3, 3].
            width: of the images.
        """
        if camera not in TURN:
            return None
        turn = TURN[camera] * Ks[..., 0, 0, None]
        x, reach = splats.means2d[..., 0].detach(), splats.radii[..., 0]
        shift = torch.where(x < width / 2, turn, -turn)
        moved = x + shift.detach()
        there = (splats.radii > 0).all(-1) & (moved + reach > 0) & (moved - reach < width)
        copied = there.any(1)
        most = int(copied.sum(-1).max()) if copied.numel() else 0
        rows = copied.int().argsort(dim=-1, descending=True, stable=True)[:, :most]
        of_cameras = rows[:, None].expand(-1, there.shape[1], -1)
        return cls(rows, shift.gather(-1, of_cameras), there.gather(-1, of_cameras), x.shape[-1])

    def behind(self, values: Tensor) -> Tensor:
        """Numbers of splats [B, C, N, ...], and those of the copies behind them: [B, C, N + M, ...]."""
        rows = self.rows.reshape(len(self.rows), 1, -1, *[1] * (values.dim() - 3))
        copies = values.gather(2, rows.expand(-1, values.shape[1], -1, *values.shape[3:]))
        return torch.cat([values, copies], dim=2)

    def drawn(self, splats: Splats) -> Splats:
        """The splats with their copies."""
        means2d, shapes, depths, opacities, radii = (self.behind(values) for values in splats)
        aside = torch.stack([self.shift, torch.zeros_like(self.shift)], dim=-1)
        moved = torch.cat([means2d[:, :, : self.num], means2d[:, :, self.num :] + aside], dim=2)
        seen = torch.cat([radii[:, :, : self.num], radii[:, :, self.num :] * self.there[..., None]], dim=2)
        return Splats(moved, shapes, depths, opacities, seen.int())

    def seen(self, extras: Tensor | None, rays: Rays | None) -> tuple[Tensor | None, Rays | None]:
        """The response's numbers and the frames of splats, if there are any, with those of the copies."""
        return (
            None if extras is None else self.behind(extras),
            None if rays is None else rays._replace(canonical=self.behind(rays.canonical)),
        )

    @property
    def originals(self) -> Tensor:
        """[B, N + M] int64, of which Gaussians the splats and their copies are."""
        own = torch.arange(self.num, device=self.rows.device)
        return torch.cat([own.expand(len(self.rows), -1), self.rows], dim=1)

    def as_of_originals(self, tiles: TileLists) -> TileLists:
        """The lists of splats and copies with copies called by what they are copies of."""
        names = self.originals[:, None].expand(-1, self.there.shape[1], -1).flatten(0, 1)
        first = self.num * torch.arange(len(names), device=names.device)[:, None]
        flat = (names + first).flatten().int()

        def named(ids: Tensor) -> Tensor:
            return torch.where(ids < 0, ids, flat[ids.clamp(min=0).long()])

        return tiles._replace(flatten_ids=named(tiles.flatten_ids), order=named(tiles.order))

    def called_originals(self, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Outputs [B, ...] by their names, in which copies are what they are copies of."""
        result = dict(found)
        for name in IDS:
            if name in found:
                ids = found[name].flatten(1)
                named = self.originals.gather(1, ids.clamp(min=0).long()).int()
                result[name] = torch.where(ids < 0, ids, named).reshape(found[name].shape)
        if "label_weights" in found:
            result["label_weights"] = self.labels_together(found["label_weights"])
        return result

    def labels_together(self, weights: Tensor) -> Tensor:
        """[B, L, N] of sums [B, L, N + M]: those of copies belong to what they are copies of."""
        own, copied = weights[..., : self.num], weights[..., self.num :]
        return own.scatter_add(-1, self.rows[:, None].expand_as(copied), copied)

    def together(self, sums: Tensor) -> Tensor:
        """[B, C, N, 3] of contributions [B, C, N + M, 3], whose third numbers are largest ones."""
        own, copied = sums[:, :, : self.num], sums[:, :, self.num :]
        rows = self.rows[:, None, :, None].expand_as(copied)
        added = own[..., :2].scatter_add(2, rows[..., :2], copied[..., :2])
        largest = own[..., 2:].scatter_reduce(2, rows[..., 2:], copied[..., 2:], "amax")
        return torch.cat([added, largest], dim=-1)
