"""How many draws a stochastic gradient takes: `python tools/stochastic_cosines.py`.

A scene of 20 Gaussians, and the loss of its image against that of the same Gaussians in other places. Prints
the cosine between the true gradient of the 60 numbers of the positions and the mean of M draws, with the
lists of the pixels and with the whole image for every parameter (gsplat_core/stochastic_gradients.py).
Without lists that is sqrt(M / (M + n - 1)) for n numbers of any scene.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import tyro
from torch import Tensor

from gsplat_core import rasterization
from gsplat_core.stochastic_gradients import Measure, Parameter, Pixels, draw

DRAWS = (4, 16, 64, 256, 1024)
NUM, SIDE = 20, 40
STEP = 5e-3
LEAST_WEIGHT = 1e-4
"""What contributes less to a pixel is not listed."""


class Problem(NamedTuple):
    means: Tensor  # [N, 3]
    measure: Measure
    listed: float
    """Gaussians in a pixel, on average."""

    def gradient(self) -> Tensor:
        leaf = self.means.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(self.measure([leaf]).losses.sum(), leaf)
        return gradient


def problem(seed: int) -> Problem:
    """The scene, its target, and the squared difference of each pixel. Depths are so far apart that no two
    Gaussians swap, at which images would jump."""
    g = torch.Generator().manual_seed(seed)
    beside = 0.7 * torch.randn(NUM, 2, generator=g)
    depths = torch.linspace(3.2, 4.8, NUM)[torch.randperm(NUM, generator=g)]
    target = torch.cat([beside, depths[:, None]], dim=1)
    others = {
        "quats": torch.randn(NUM, 4, generator=g),
        "scales": 0.15 + 0.3 * torch.rand(NUM, 3, generator=g),
        "opacities": 0.3 + 0.6 * torch.rand(NUM, generator=g),
        "colors": torch.rand(NUM, 3, generator=g),
        "viewmats": torch.eye(4)[None],
        "Ks": torch.tensor([[[1.3 * SIDE, 0, SIDE / 2], [0, 1.3 * SIDE, SIDE / 2], [0, 0, 1]]]),
    }

    def image(means: Tensor) -> tuple[Tensor, Tensor]:
        colors, _, meta = rasterization(means, **others, width=SIDE, height=SIDE, top=NUM)
        lists = torch.where(meta["top_weights"] > LEAST_WEIGHT, meta["top_ids"], -1)
        return colors.reshape(-1, 3), lists.reshape(-1, NUM)

    truth, _ = image(target)
    means = target + torch.randn(NUM, 3, generator=g) * torch.tensor([0.1, 0.1, 0.01])
    lists = image(means)[1] >= 0

    def measure(values: list[Tensor]) -> Pixels:
        colors, of_pixels = image(values[0])
        return Pixels((colors - truth).square().sum(1), of_pixels)

    return Problem(means, measure, float(lists.sum(1).double().mean()))


def cosines(of: Problem, lists: bool, seed: int, draws: tuple[int, ...] = DRAWS) -> list[float]:
    """Of the gradient with the mean of the first M draws, for each M."""
    truth, g = of.gradient(), torch.Generator().manual_seed(seed)

    def measure(values: list[Tensor]) -> Pixels:
        measured = of.measure(values)
        return measured if lists else Pixels(measured.losses)

    found, total = [], torch.zeros_like(truth)
    for done in range(1, max(draws) + 1):
        total += draw(measure, [Parameter(of.means, STEP)], g).gradients[0]
        if done in draws:
            found.append(
                float(torch.nn.functional.cosine_similarity(total.flatten(), truth.flatten(), dim=0))
            )
    return found


def main(seeds: int = 5) -> None:
    """Print a table.

    Args:
        seeds: scenes, over which the mean is taken.
    """
    torch.set_num_threads(1)
    problems = [problem(seed) for seed in range(seeds)]
    print(f"{NUM} Gaussians, {sum(one.listed for one in problems) / seeds:.1f} in a pixel, {seeds} scenes")
    columns = {
        "with lists": [cosines(one, True, seed) for seed, one in enumerate(problems)],
        "without": [cosines(one, False, seed) for seed, one in enumerate(problems)],
    }
    print(f"{'draws':>6}{'with lists':>12}{'without':>10}{'theory':>9}")
    for place, count in enumerate(DRAWS):
        row = [sum(one[place] for one in of) / seeds for of in columns.values()]
        theory = math.sqrt(count / (count + 3 * NUM - 1))
        print(f"{count:>6}{row[0]:>12.2f}{row[1]:>10.2f}{theory:>9.2f}")


if __name__ == "__main__":
    tyro.cli(main)
