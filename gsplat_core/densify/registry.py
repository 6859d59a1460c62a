"""Density controls by name. To add one: write its file, and its line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from gsplat_core.densify.adc import ADC, ADCConfig
from gsplat_core.densify.candidate_pool import CandidatePool, CandidatePoolConfig
from gsplat_core.densify.classes import Classes, ClassesConfig
from gsplat_core.densify.dash import Dash, DashConfig
from gsplat_core.densify.fastgs import FastGS, FastGSConfig
from gsplat_core.densify.forest import Forest, ForestConfig
from gsplat_core.densify.lpm import LPM, LPMConfig
from gsplat_core.densify.mcmc import MCMC, MCMCConfig
from gsplat_core.densify.pruning import ContributionPruning, PruningConfig
from gsplat_core.densify.scaffold import Scaffold, ScaffoldConfig
from gsplat_core.densify.seeding import Seeding, SeedingConfig
from gsplat_core.densify.spectral import SpectralPruning, SpectralPruningConfig
from gsplat_core.densify.strategy import Strategy
from gsplat_core.densify.subgaussians import SubGaussians, SubGaussiansConfig
from gsplat_core.densify.taming import Taming, TamingConfig
from gsplat_core.densify.turbo import Turbo, TurboConfig
from gsplat_core.densify.unified import Unified, UnifiedConfig
from gsplat_core.errors import UsageError

# Class of the configuration, class of the strategy. A configuration is a frozen dataclass; its method
# `stretched(factor)` fits its schedule to a run `factor` times as long.
STRATEGIES: dict[str, tuple[type[Any], type[Any]]] = {
    "adc": (ADCConfig, ADC),
    "mcmc": (MCMCConfig, MCMC),
    "ndg": (SubGaussiansConfig, SubGaussians),
    "scaffold": (ScaffoldConfig, Scaffold),
    "unified": (UnifiedConfig, Unified),
}
# Plug-ins stand in front of a strategy (densify/plugin.py).
PLUGINS: dict[str, tuple[type[Any], type[Any]]] = {
    "candidate-pool": (CandidatePoolConfig, CandidatePool),
    "classes": (ClassesConfig, Classes),
    "dash": (DashConfig, Dash),
    "fastgs": (FastGSConfig, FastGS),
    "forest": (ForestConfig, Forest),
    "lpm": (LPMConfig, LPM),
    "pruning": (PruningConfig, ContributionPruning),
    "seeding": (SeedingConfig, Seeding),
    "spectral": (SpectralPruningConfig, SpectralPruning),
    "taming": (TamingConfig, Taming),
    "turbo": (TurboConfig, Turbo),
}
# What concerns a whole run: a configuration that has a field of such a name is told the run's value.
SHARED = ("seed", "max_gaussians", "budget", "scale", "threshold", "white_background")


def parts(name: str) -> list[str]:
    """What a name such as "mcmc+lpm" consists of: a strategy, then plug-ins, the innermost first.

    A name that begins with a plug-in stands for one over ADC: "lpm" is "adc+lpm".

    Raises:
        UsageError: a part is unknown or stands in the wrong place.
    """
    names = name.split("+")
    if names[0] in PLUGINS:
        names.insert(0, "adc")
    for position, part in enumerate(names):
        known = PLUGINS if position else STRATEGIES
        if part not in known:
            everything = f"strategies {', '.join(STRATEGIES)}; plug-ins {', '.join(PLUGINS)}"
            raise UsageError(
                f"Unknown density control {part!r} in {name!r}; a strategy may be followed by plug-ins, "
                f"as in mcmc+lpm. Known are: {everything}."
            )
    if len(set(names)) < len(names):
        raise UsageError(f"Density control {name!r} names a part twice.")
    return names


def configurations(name: str) -> dict[str, Any]:
    """The default configuration of each part of a density control."""
    return {part: (PLUGINS | STRATEGIES)[part][0]() for part in parts(name)}


def with_shared(config: Any, **values: Any) -> Any:
    """The configuration of a part with those values of `SHARED` that it has fields for.

    Raises:
        ValueError: a name that is not among them.
    """
    if unknown := sorted(set(values) - set(SHARED)):
        raise ValueError(f"{unknown[0]!r} does not concern a whole run; {', '.join(SHARED)} do")
    own = {field.name for field in fields(config)}
    return replace(config, **{name: value for name, value in values.items() if name in own})


def create(name: str, configs: Mapping[str, Any] | None = None) -> Strategy:
    """A density control by name.

    Args:
        name: see `parts`.
        configs: configurations by part; those not given are the defaults.

    Raises:
        UsageError: no density control has this name, or a configuration is for none of its parts.
    """
    chosen = {**configurations(name), **(configs or {})}
    base, *plugins = parts(name)
    if unknown := sorted(set(chosen) - {base, *plugins}):
        raise UsageError(f"Density control {name!r} has no part {unknown[0]!r} to configure.")
    strategy: Strategy = STRATEGIES[base][1](chosen[base])
    for plugin in plugins:
        strategy = PLUGINS[plugin][1](strategy, chosen[plugin])
    return strategy
