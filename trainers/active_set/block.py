"""The steps of one visit: a trainer of the Gaussians that its photographs see, from the store and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gsplat_core.scene.scale import SceneScale
from gsplat_core.store.layout import Rows
from gsplat_core.store.store import SceneStore
from trainers.active_set.visits import Visit
from trainers.config import TrainConfig
from trainers.trainer import Trainer

BYTES_PER_GAUSSIAN = 1100
"""Of parameters, moments, gradients and what rendering takes (docs/performance.md)."""


class Block:
    """
    Args:
        config: of the run.
        visit: what is trained.
        before: how many steps the run has made.
        trained: about how many steps these Gaussians have made, by which Adam corrects their moments.
        most: how many Gaussians there may be in memory.
        device: where to compute.

    Raises:
        DataError: the store cannot be read.
    """

    def __init__(
        self,
        config: TrainConfig,
        store: SceneStore,
        scale: SceneScale,
        visit: Visit,
        before: int,
        trained: int,
        most: int,
        device: torch.device,
    ) -> None:
        self._store, self._visit = store, visit
        rows, _ = store.read(visit.cells)
        self._others = store.num - rows.num
        self._moments = rows.moments
        self.trainer = Trainer(_config_of(config, rows.num, store.num, most), rows.scene.to(device), scale)
        self.trainer.step = before
        params, state = self.trainer.store.params, self.trainer.adam.state
        for name, (mean, square) in rows.moments.items():
            if name not in self.trainer.fixed:
                state[params[name]] = {
                    "step": torch.tensor(float(trained)),
                    "exp_avg": mean.to(device),
                    "exp_avg_sq": square.to(device),
                }

    @property
    def num_gaussians(self) -> int:
        """Of the whole scene."""
        return self._others + self.trainer.num_gaussians

    def write_back(self) -> None:
        """Puts what the steps have made of the Gaussians into the store.

        Raises:
            ResourceError: the disk is full.
        """
        params, state = self.trainer.store.params, self.trainer.adam.state
        moments: dict[str, tuple[Tensor, Tensor]] = {}
        for name in self._moments:
            kept: dict[str, Any] = state.get(params[name], {})
            if kept:
                moments[name] = (kept["exp_avg"].cpu(), kept["exp_avg_sq"].cpu())
        scene = self.trainer.gaussians.detached().to("cpu")
        self._store.replace(self._visit.cells, Rows(scene, moments))


def _config_of(config: TrainConfig, num: int, total: int, most: int) -> TrainConfig:
    """The configuration for a part of the scene: it may grow by what the whole may, and as memory allows, and
    means over its Gaussians weigh as much for each as those over all would."""
    mcmc = config.densify["mcmc"]
    share = num / total
    cap = max(num, min(num + max(mcmc.max_gaussians - total, 0), most))
    part = replace(
        mcmc,
        max_gaussians=cap,
        opacity_regularization=mcmc.opacity_regularization * share,
        scale_regularization=mcmc.scale_regularization * share,
    )
    return replace(config, densify={**config.densify, "mcmc": part}, reorder_every=0)
