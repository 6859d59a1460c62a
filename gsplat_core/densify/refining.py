"""Strategies that refine at regular intervals for a part of the run, as their configuration says."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from gsplat_core.densify.strategy import ScaleRule, Strategy


class Refinements(Protocol):
    """What such configurations have in common.

    Attributes:
        refine_start, refine_stop, refine_every: refine at the multiples of `refine_every` strictly between.
        scale: which length of the scene learning rates, and what else has a length, are in proportion to.
        max_gaussians: never grow beyond this number.
    """

    @property
    def refine_start(self) -> int: ...
    @property
    def refine_stop(self) -> int: ...
    @property
    def refine_every(self) -> int: ...
    @property
    def scale(self) -> ScaleRule: ...
    @property
    def max_gaussians(self) -> int | None: ...


Config = TypeVar("Config", bound=Refinements)


class Refining(Strategy, Generic[Config]):
    """Answers for its configuration."""

    config: Config

    @property
    def scale(self) -> ScaleRule:
        return self.config.scale

    @property
    def most(self) -> int | None:
        return self.config.max_gaussians

    @property
    def ends(self) -> int:
        return self.config.refine_stop

    def grows_at(self, step: int) -> bool:
        c = self.config
        return c.refine_start < step < c.refine_stop and step % c.refine_every == 0
