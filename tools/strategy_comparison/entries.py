"""What is compared: named ways to train."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from trainers.config import TrainConfig
from trainers.presets import preset, scaled_to, with_strategy
from trainers.settings import with_settings


@dataclass(frozen=True)
class Entry:
    """One way to train.

    Args:
        name: in tables, and of its folder of results.
        preset: whose schedules are stretched to the number of steps.
        strategy: None takes the preset's.
        settings: as for `gsplat-core train --set`, before schedules are stretched.
        share: of the common budget of time.
    """

    name: str
    preset: str = "default"
    strategy: str | None = None
    settings: tuple[str, ...] = ()
    share: float = 1.0

    def config(self, scene: Path, steps: int, downscale: int, cap: int, seed: int) -> TrainConfig:
        config = preset(self.preset)
        if self.strategy is not None:
            config = with_strategy(config, self.strategy)
        config = scaled_to(with_settings(config, self.settings), steps)
        # The cap is also the budget of those that have one.
        config = config.with_shared(max_gaussians=cap, budget=cap, seed=seed)
        return replace(config, cap="none", data=str(scene), downscale=downscale, seed=seed)


ENTRIES = [
    Entry("adc", strategy="adc"),
    Entry("adc, absgrad", strategy="adc", settings=("adc.absgrad=true", "adc.gradient_threshold=8e-4")),
    Entry("adc, pixel-weighted", strategy="adc", settings=("adc.pixel_weighted=true",)),
    Entry("adc, top 0.025", strategy="adc", settings=("adc.threshold=top:0.025",)),
    Entry("adc, ema 3", strategy="adc", settings=("adc.threshold=ema:3",)),
    Entry("published", preset="published"),
    Entry("lpm over adc", strategy="adc+lpm"),
    Entry("lpm over published", preset="published", strategy="adc+lpm"),
    Entry("mcmc", strategy="mcmc"),
    Entry("mcmc, random start", strategy="mcmc", settings=("initialization=random", "random_points=10000")),
    Entry("lpm over mcmc", strategy="mcmc+lpm"),
    Entry("seeding over mcmc", strategy="mcmc+seeding"),
    Entry("seeding over adc", strategy="adc+seeding"),
    Entry("taming", strategy="adc+taming"),
    Entry("turbo", strategy="adc+turbo"),
    Entry("pruning over adc", strategy="adc+pruning"),
    Entry("unified", strategy="unified"),
    Entry("candidate pool", strategy="adc+candidate-pool"),
    Entry("fastgs", strategy="adc+fastgs"),
    Entry("dash", strategy="adc+dash", settings=("resolution={}",)),
    Entry("fast", preset="fast"),
    Entry("fast, half the time", preset="fast", share=0.5),
]
