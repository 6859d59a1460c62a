"""What of a training needs the whole scene in memory."""

from __future__ import annotations

from gsplat_core.errors import UsageError
from gsplat_core.store.reach import require_reach
from trainers.config import TrainConfig

STRATEGIES = ("mcmc",)
"""Density controls that decide by the Gaussians as they are. Others gather what many steps tell, or have
steps at which all Gaussians change."""


def refuse_active_set(config: TrainConfig) -> None:
    """
    Raises:
        UsageError: with `--active-set` there is no such training; the message names what.
    """
    require_reach(config.primitive)
    if config.strategy not in STRATEGIES:
        raise UsageError(
            f"--active-set: the density control {config.strategy!r} has to know the whole scene; add "
            "--strategy mcmc, or leave --active-set out."
        )
    if config.parts:
        raise UsageError(
            f"--active-set: the part {next(iter(config.parts))!r} of the training is not known to go with "
            "it; leave one of the two out."
        )
    if config.optimizer == "lm":
        raise UsageError("--active-set: --optimizer lm moves all Gaussians at once; use adam.")
    if config.compression is not None:
        raise UsageError(
            "--active-set: --compress looks at all Gaussians at once; compress the finished run instead."
        )
    if config.primitive == "mip":
        raise UsageError(
            "--active-set: the 3D filter of --antialiasing mip follows from all photographs of a Gaussian; "
            "use --antialiasing screen or analytic."
        )
