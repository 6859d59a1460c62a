"""What density control by Markov chain Monte Carlo computes per Gaussian (Kheradmand et al. 2024)."""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.ops import library  # noqa: F401  (loads the operators)


def relocate(opacities: Tensor, scales: Tensor, copies: Tensor) -> tuple[Tensor, Tensor]:
    """Opacity and size of each of N coincident Gaussians that stand for one (equation 9).

    Args:
        opacities: [M] float32 of the originals, in [0, 1].
        scales: [M, 3] float32, their standard deviations.
        copies: [M] int32, how many Gaussians stand in the place of each afterwards, 1 to 64.

    Returns:
        opacities [M] and scales [M, 3] of each of the N. Not differentiable.

    Raises:
        RuntimeError: an argument does not fit; the message names it.
    """
    new_opacities, new_scales = torch.ops.gsplat_core.relocate(opacities, scales, copies)
    return new_opacities, new_scales


def perturb_means(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    strength: float,
    steepness: float,
    threshold: float,
    seed: int,
    step: int,
) -> Tensor:
    """Centres after one step of Langevin noise, strong for Gaussians almost transparent (equation 8).

    The noise of a row is strength x gate x Sigma n, with the gate 1 / (1 + exp(steepness (o - threshold))),
    the covariance Sigma and a standard normal vector n that is a function of seed, step and row: the same for
    any number of threads.

    Args:
        means: [N, 3] float32.
        quats: [N, 4] rotations (w, x, y, z) of any length but zero.
        scales: [N, 3] standard deviations.
        opacities: [N] in [0, 1].
        strength: factor on the noise, per scene unit.
        steepness, threshold: of the gate.
        seed, step: which random numbers.

    Returns:
        The new centres [N, 3]. Not differentiable.

    Raises:
        RuntimeError: an argument does not fit; the message names it.
    """
    moved: Tensor = torch.ops.gsplat_core.perturb_means(
        means, quats, scales, opacities, strength, steepness, threshold, seed, step
    )
    return moved


@torch.library.register_fake("gsplat_core::relocate")
def _(opacities: Tensor, scales: Tensor, copies: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(opacities), torch.empty_like(scales)


@torch.library.register_fake("gsplat_core::perturb_means")
def _(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    strength: float,
    steepness: float,
    threshold: float,
    seed: int,
    step: int,
) -> Tensor:
    return torch.empty_like(means)
