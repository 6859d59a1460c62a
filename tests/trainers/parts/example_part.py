"""A lens that darkens towards the corners, by the same amount in all photographs: a part of one number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from gsplat_core.scene.dataset import View
from trainers.config import TrainConfig
from trainers.parts.part import Group, Part, Picture, Rendering
from trainers.views import Target


@dataclass(frozen=True)
class VignetteConfig:
    rate: float = 0.01


class Vignette(Part):
    settings: ClassVar[type[Any] | None] = VignetteConfig
    first_order: ClassVar[str | None] = "knows no vignettes; leave the part out"

    def __init__(self, settings: VignetteConfig, config: TrainConfig, views: Sequence[View]) -> None:
        self.rate, self.settled = settings.rate, False
        self.falloff = torch.zeros(())

    def initialize(self, num: int, device: torch.device) -> None:
        self.falloff = self.falloff.to(device, copy=True).requires_grad_(not self.settled)

    def parameters(self) -> Sequence[Group]:
        return [] if self.settled else [Group("falloff", self.falloff, lambda step: self.rate)]

    def image(self, step: int, rendering: Rendering, target: Target) -> Tensor:
        return self.at_test(rendering, target.view)

    def at_test(self, picture: Picture, view: int | None) -> Tensor:
        height, width = picture.image.shape[1:3]
        y, x = (torch.linspace(-1, 1, n, device=picture.image.device) for n in (height, width))
        return picture.image * (1 - self.falloff * (x**2 + y[:, None] ** 2) / 2)[..., None]

    def result(self) -> dict[str, Any]:
        return {"falloff": self.falloff.item()}

    def settle(self, result: Mapping[str, Any]) -> None:
        self.falloff, self.settled = torch.tensor(float(result["falloff"])), True
