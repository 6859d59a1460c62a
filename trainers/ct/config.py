"""Settings of trainings on X-ray projections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from gsplat_core.ranges import COUNT, INTERVAL, NOT_NEGATIVE, POSITIVE, SEED, SHARE, Range, check_ranges

LEAST_STEPS = Range(1, 10**7)


@dataclass(frozen=True)
class RadiativeConfig:
    """Of a density field (R2-Gaussian), for short runs: with learning rates ten times those published for
    30,000 steps, half as many Gaussians at the start, and a smaller part of the volume for the total
    variation.

    Args:
        steps: with one projection each.
        seed: of everything random.
        rate: by which the published learning rates of 30,000 steps are multiplied.
        ssim: weight of 1 - SSIM beside the mean absolute error.
        tv: weight of the total variation of a random part of the volume: the mean absolute difference between
            neighbouring voxels.
        tv_side: of that part, in voxels.
        between_rows: share of the steps of a parallel beam that fit a projection at rows between those
            measured, for the reason in `gsplat_core/tomography/between_rows.py`.
        initial: voxels of the backprojected volume that a Gaussian starts in, at most.
        initial_least: density of these, as a share of the largest.
        initial_share: of their density that Gaussians start with, before their sum is fitted to the
        projections. densify_from, densify_until, densify_every: shares of the run within which, and steps
            after which, Gaussians multiply.
        gradient_threshold, split_scale: see `gsplat_core/tomography/density_control.py`.
        max_gaussians: at most so many.
    """

    steps: Annotated[int, LEAST_STEPS] = 3000
    seed: Annotated[int, SEED] = 0
    rate: Annotated[float, POSITIVE] = 10.0
    ssim: Annotated[float, NOT_NEGATIVE] = 0.25
    tv: Annotated[float, NOT_NEGATIVE] = 0.05
    tv_side: Annotated[int, Range(2, 256)] = 16
    between_rows: Annotated[float, SHARE] = 0.5
    initial: Annotated[int, COUNT] = 25_000
    initial_least: Annotated[float, SHARE] = 0.05
    initial_share: Annotated[float, POSITIVE] = 0.15
    densify_from: Annotated[float, SHARE] = 1 / 60
    densify_until: Annotated[float, SHARE] = 0.5
    densify_every: Annotated[int, INTERVAL] = 100
    gradient_threshold: Annotated[float, POSITIVE] = 5e-5
    split_scale: Annotated[float, POSITIVE] = 0.1
    max_gaussians: Annotated[int, COUNT] = 50_000

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class IntensityConfig:
    """Of blended intensities (X-Gaussian); rates and thresholds are those published, for 20,000 steps.

    Args:
        steps: with one projection each.
        seed: of everything random.
        rate: by which the published learning rates are multiplied, but for that of the means.
        interval: a Gaussian starts in every so many-th voxel along each axis.
        max_gaussians: at most so many.
    """

    steps: Annotated[int, LEAST_STEPS] = 3000
    seed: Annotated[int, SEED] = 0
    rate: Annotated[float, POSITIVE] = 3.0
    interval: Annotated[int, INTERVAL] = 4
    max_gaussians: Annotated[int, COUNT] = 50_000

    def __post_init__(self) -> None:
        check_ranges(self)
