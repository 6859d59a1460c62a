"""Named starting points for a `TrainConfig`, and how another number of steps stretches them.

`default` is 3D Gaussian splatting as published: 30,000 steps with its density control. `fast` and `tiny` are
the same method with the schedules of a shorter run.
"""

from __future__ import annotations

from dataclasses import replace

from gsplat_core.densify.adc import ADCConfig
from gsplat_core.errors import UsageError
from trainers.config import TrainConfig

# Density control needs the gradients of this many views to tell where detail is missing.
MIN_REFINE_EVERY = 50
# After the opacities were lowered, a scene needs about this many steps to look right again.
MIN_RESET_EVERY = 1000

PRESETS = {
    "default": TrainConfig(preset="default"),
    "fast": TrainConfig(
        preset="fast",
        steps=7_000,
        sh_degree_every=500,
        densify=ADCConfig(refine_start=300, refine_stop=4000, reset_every=4000, prune_scale_start=1500),
    ),
    "tiny": TrainConfig(
        preset="tiny",
        steps=2_000,
        log_every=20,
        sh_degree_every=400,
        densify=ADCConfig(refine_start=200, refine_stop=1400, reset_every=1400, prune_scale_start=700),
    ),
}


def preset(name: str) -> TrainConfig:
    """The preset of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in PRESETS:
        raise UsageError(f"there is no preset {name!r}; choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]


def scaled_to(config: TrainConfig, steps: int) -> TrainConfig:
    """The same run in another number of steps.

    - The learning rate of the means falls from its first to its last value over the whole run, whatever its
      length.
    - Points in time (start and end of refinement, pruning by size, each rise of the SH degree) keep their
      fraction of the run.
    - The interval of refinement keeps its fraction too, but between `MIN_REFINE_EVERY` and its old value: a
      longer run refines more often, not more rarely.
    - Short runs are logged more often, so that their curves have 100 points.
    - The interval of opacity resets keeps its fraction; below `MIN_RESET_EVERY` there are none.
    """
    factor = steps / config.steps

    def scaled(value: int) -> int:
        return max(round(value * factor), 1)

    adc = config.densify
    stop, reset_every = scaled(adc.refine_stop), scaled(adc.reset_every)
    densify = replace(
        adc,
        refine_start=scaled(adc.refine_start),
        refine_stop=stop,
        refine_every=min(max(scaled(adc.refine_every), MIN_REFINE_EVERY), adc.refine_every),
        reset_every=reset_every if reset_every >= MIN_RESET_EVERY else stop,
        prune_scale_start=scaled(adc.prune_scale_start),
    )
    return replace(
        config,
        steps=steps,
        sh_degree_every=scaled(config.sh_degree_every),
        densify=densify,
        log_every=min(max(steps // 100, 1), config.log_every),
    )
