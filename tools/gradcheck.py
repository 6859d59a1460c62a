"""Check the derivatives of every camera and response by rendering alone: `python tools/gradcheck.py`.

    python tools/gradcheck.py                       the kernels that tensors of the CPU have
    python tools/gradcheck.py --backend cuda        those of CUDA; cuda-on-cpu for these without a GPU
    python tools/gradcheck.py --backend reference   the float64 reference
    python tools/gradcheck.py --only opencv-ray     cases with this in their names
    python tools/gradcheck.py --stochastic          and every single parameter by stochastic estimates

Prints for each case the largest error along random directions, relative to how much the loss changes along
one, and what share of the pixels counted; where a derivative is wrong, of which field, and the parameters
that stand out. Without --stochastic they are estimated only then. `gsplat_core/gradient_check.py` says how it
works, and checks the derivatives of any renderer that is a function of tensors.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Literal

import torch
import tyro

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from backends import BACKENDS
from gradient_cases import DOUBLE, FLOAT, WHOLE, Case, cases, of_operators, of_reference, parameters

from gsplat_core.gradient_check import Suspect, check, estimate, step_sizes, suspects


def main(
    backend: Literal["cpu", "cuda-on-cpu", "cuda", "reference"] = "cpu",
    only: str = "",
    directions: int = 20,
    stochastic: bool = False,
    draws: int = 256,
    seed: int = 0,
) -> None:
    """Print a line for each case, and fail if one is wrong.

    Args:
        backend: whose derivatives.
        only: check cases whose names contain this.
        directions: how many, for each case.
        stochastic: whether to estimate every parameter also where directions find nothing.
        draws: pairs of renderings of an estimate.
        seed: of the random signs.
    """
    torch.set_num_threads(1)
    wrong = 0
    with BACKENDS[backend]() if backend in BACKENDS else nullcontext():
        for case in cases():
            if only in str(case):
                wrong += not _passes(case, backend, directions, stochastic, draws, seed)
    if wrong:
        sys.exit(f"{wrong} cases are wrong")


def _passes(case: Case, backend: str, directions: int, stochastic: bool, draws: int, seed: int) -> bool:
    double = backend == "reference"
    render = of_reference(case) if double else of_operators(case)
    numbers = DOUBLE if double else FLOAT
    given = parameters(case, torch.float64 if double else torch.float32)
    found = check(render, given, whole=WHOLE, directions=directions, draws=draws, seed=seed, **numbers)
    worst, named = float(found.directions.errors.max()), list(found.suspects)
    print(f"{case!s:45}{worst:10.1e}{found.directions.kept:7.0%}  {'right' if found.passed else 'WRONG'}")
    for field, error in found.fields.items():
        print(f"    {field}: {error:.1e}")
    if stochastic and found.passed:
        steps = step_sizes(render, given, numbers["step"])
        generator = torch.Generator().manual_seed(seed)
        estimated = estimate(render, given, steps, draws, WHOLE, found.directions.pixels, generator)
        named = suspects(found.directions.gradients, estimated, numbers["tolerance"])
    _print_worst(named)
    return not named and found.passed


def _print_worst(named: list[Suspect], count: int = 10) -> None:
    for suspect in named[:count]:
        print(f"    {suspect}")
    if len(named) > count:
        print(f"    and {len(named) - count} more")


if __name__ == "__main__":
    tyro.cli(main)
