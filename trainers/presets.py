"""Named starting points for a `TrainConfig`, and how another number of steps stretches them.

`default` is what gives the best pictures on all kinds of scenes (docs/strategies.md): 30,000 steps, with
density control by Markov chain Monte Carlo and a cap that follows from the photographs. `published` is 3D
Gaussian splatting
as published: adaptive density control, sizes measured by the extent of the cameras, nothing behind the
points but black; it is what comparisons with papers use. `tiny` is the first look: adaptive density control
in a short run.

`fast` gets to a quality fastest on a CPU, where a step's time is that of its pixels and of its Gaussians:
small images come first (DashGaussian's schedule), Gaussians grow where absolute gradients say so (AbsGS),
what hardly shows is pruned, and runs shorter than its 7,000 steps have larger learning rates, which is worth
most where steps are fewest. docs/strategies.md has the measurements.
"""

from __future__ import annotations

from dataclasses import replace

from gsplat_core import primitive as primitives
from gsplat_core.densify.adc import ADCConfig
from gsplat_core.densify.pruning import PruningConfig
from gsplat_core.densify.registry import configurations
from gsplat_core.errors import UsageError
from gsplat_core.scene.gaussians import PLAIN
from gsplat_core.scene.schema import GAUSSIAN, PARAMETERS
from trainers.config import ANTIALIASINGS, LearningRates, TrainConfig
from trainers.resolution import ResolutionConfig

# The defaults of all density controls are those of the papers, for this many steps.
PUBLISHED_STEPS = 30_000

# Beyond, short runs become unstable.
MOST_RATE_FACTOR = 4.0

PRESETS = {
    "default": TrainConfig(preset="default", strategy="mcmc"),
    "published": TrainConfig(
        preset="published",
        strategy="adc",
        background="black",
        sky="never",
        gaps="never",
        cap="none",
        densify={"adc": ADCConfig(scale="published")},
    ),
    "fast": TrainConfig(
        preset="fast",
        steps=7_000,
        sh_degree_every=500,
        resolution=ResolutionConfig(until=1750),
        rate_exponent=0.5,
        strategy="adc+pruning",
        densify={
            "adc": ADCConfig(
                refine_start=300,
                refine_stop=4000,
                reset_every=4000,
                prune_scale_start=1500,
                absgrad=True,
                gradient_threshold=8e-4,
            ),
            # While others can still grow into the room.
            "pruning": PruningConfig(start=1400, stop=3500, every=700),
        },
    ),
    "tiny": TrainConfig(
        preset="tiny",
        steps=2_000,
        log_every=20,
        sh_degree_every=400,
        densify={
            "adc": ADCConfig(refine_start=200, refine_stop=1400, reset_every=1400, prune_scale_start=700)
        },
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
    - Points in time (each rise of the SH degree) keep their fraction of the run, and each part of the density
      control fits its own schedule (`densify/stretching.py`).
    - Learning rates change as `rate_exponent` says.
    - Short runs are logged more often, so that their curves have 100 points.
    """
    factor = steps / config.steps
    return replace(
        config,
        steps=steps,
        sh_degree_every=max(round(config.sh_degree_every * factor), 1),
        learning_rates=_scaled(config.learning_rates, _rate_factor(factor**-config.rate_exponent)),
        resolution=config.resolution and config.resolution.stretched(factor),
        densify={part: settings.stretched(factor) for part, settings in config.densify.items()},
        log_every=min(max(steps // 100, 1), config.log_every),
    )


def _rate_factor(wanted: float) -> float:
    """Short runs learn faster, but long ones no slower than was published."""
    return min(max(wanted, 1.0), MOST_RATE_FACTOR)


def _scaled(rates: LearningRates, factor: float) -> LearningRates:
    """All but that of the opacities, which is large already."""
    own = {name: rate for name, rate in vars(rates).items() if name not in ("opacities", "further")}
    further = {name: rate * factor for name, rate in rates.further.items()}
    return replace(rates, **{name: rate * factor for name, rate in own.items()}, further=further)


def with_primitive(config: TrainConfig, name: str) -> TrainConfig:
    """The run with a scene of another primitive.

    Learning rates of fields that the old primitive has too stay, but for those of the plain Gaussian that
    the new one learns at another rate; the new ones are as the schema says. Colours have no higher degree
    than was published with it.

    Raises:
        UsageError: no primitive has this name.
    """
    kind = primitives.get(name)
    fields = {field.name for field in kind.schema.optimized}
    if kind.sh_degree is not None:
        config = replace(config, sh_degree=min(config.sh_degree, kind.sh_degree))
    rates = config.learning_rates
    further = {field: rate for field, rate in rates.further.items() if field in fields}
    own = {
        field.name: field.learning_rate
        for field in kind.schema.trained
        if field.name in PARAMETERS
        and field.learning_rate is not None
        and field.learning_rate != GAUSSIAN[field.name].learning_rate
    }
    return replace(config, primitive=name, learning_rates=replace(rates, further=further, **own))


def with_antialiasing(config: TrainConfig, name: str) -> TrainConfig:
    """The run with another way of drawing what is smaller than a pixel, one of `config.ANTIALIASINGS`.

    Raises:
        UsageError: that is a primitive, and the run has another one that is more than the plain Gaussian.
    """
    chosen = ANTIALIASINGS[name]
    own = {way.primitive for way in ANTIALIASINGS.values()}
    if config.primitive not in own:
        if chosen.primitive != PLAIN:
            raise UsageError(
                f"--antialiasing {name} makes the scene one of the primitive {chosen.primitive!r}, but it is "
                f"one of {config.primitive!r}; leave one of the two out."
            )
    elif config.primitive != chosen.primitive:
        config = with_primitive(config, chosen.primitive)
    return replace(config, antialiased=chosen.antialiased, eps2d=chosen.eps2d)


def with_strategy(config: TrainConfig, strategy: str) -> TrainConfig:
    """The run with another density control, its schedule fitted to the run's length.

    Parts that the old density control has too keep their settings, and the new ones its rule of scale.

    Raises:
        UsageError: no density control has this name.
    """
    factor = config.steps / PUBLISHED_STEPS
    densify = {
        part: config.densify[part] if part in config.densify else settings.stretched(factor)
        for part, settings in configurations(strategy).items()
    }
    return replace(config, strategy=strategy, densify=densify).with_shared(scale=config.scale_rule)
