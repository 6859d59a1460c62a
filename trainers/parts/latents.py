"""What the training of a primitive whose fields are decoded from latents does besides (EAGLES, Girish et al.
2024; `gsplat_core/models/eagles.py`).

The decoded fields hold what the latents say after every step, so that density control sees the rotations and
opacities that are drawn; where an edit sets such a field, as it lowers opacities, latents are found that say
so. Latents learn more slowly the more a decoder makes of them: their rates are divided by its norm, in every
step anew (`latent_scale_norm: div` of the published code).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gsplat_core.densify.edits import Edit
from gsplat_core.densify.plan import RowPlan
from gsplat_core.densify.store import ParameterStore
from gsplat_core.densify.strategy import RenderStats, SceneView
from gsplat_core.errors import UsageError
from gsplat_core.models.eagles import DECODERS, NAME, Decoder
from gsplat_core.scene.dataset import View
from trainers.parts.part import Part

if TYPE_CHECKING:
    from trainers.config import TrainConfig

_DIVIDED = ("rest_latents", "rotation_latents")
# Rounding of a decoder's products differs with the number of rows; edits change more.
_SAME = 1e-5


class Latents(Part):
    """Part of every run of such a primitive. In front of density control, which reads what it writes."""

    @classmethod
    def of(cls, name: str, config: TrainConfig, views: Sequence[View]) -> Latents | None:
        return cls() if config.primitive == NAME else None

    def adopted(self, store: ParameterStore) -> None:
        if store.frozen is not None and bool(store.frozen.any()):
            raise UsageError(
                f"rows of the primitive {NAME!r} cannot stay as they are while others are trained: all share "
                "their decoders. Train them as plain Gaussians, without --model."
            )
        self._store = store
        # None where a run's scene has become one of plain Gaussians since.
        self._decoders = [decoder for decoder in DECODERS if decoder.source in store.params]
        self._groups = {
            group["name"]: group for optimizer in store.optimizers for group in optimizer.param_groups
        }

    def on_backward(self, step: int, stats: RenderStats) -> None:
        """Rates are those of the step, and the optimizer takes its own next."""
        for decoder in self._decoders:
            if decoder.source in _DIVIDED and decoder.source in self._groups:
                norm = float(self._store.shared[decoder.scale].detach().norm())
                self._groups[decoder.source]["lr"] /= max(norm, 1e-12)

    @torch.no_grad()
    def edits(self, step: int, scene: SceneView) -> list[Edit]:
        for decoder in self._decoders:
            self._store.params[decoder.field].copy_(decoder.decoded(self._fields))
        return []

    @torch.no_grad()
    def follow(self, plan: RowPlan) -> None:
        if not plan.overwrites:
            return
        for decoder in self._decoders:
            self._follow(decoder, plan)

    def _follow(self, decoder: Decoder, plan: RowPlan) -> None:
        fields = self._fields
        said, latents = fields[decoder.field], fields[decoder.source]
        meant = decoder.decoded(fields)
        differs = (said - meant).abs() > _SAME * (1 + meant.abs())
        rows = differs.reshape(len(said), said.shape[1:].numel()).any(dim=1)
        latents[rows] = decoder.latents_of(fields, said[rows])
        said.copy_(decoder.decoded(fields))
        for optimizer in self._store.optimizers:
            for moments in optimizer.state.get(latents, {}).values():
                if moments.shape == latents.shape:
                    plan.forget_(moments, decoder.field)

    @property
    def _fields(self) -> dict[str, Tensor]:
        return {**self._store.shared, **self._store.params}
