"""`gsplat-core bench`"""

from __future__ import annotations

import gsplat_core
from gsplat_core.errors import UsageError
from gsplat_core.strict_json import json_text
from trainers.machine import cores, cpu_name


def bench(
    gaussians: tuple[int, ...] = (10_000, 100_000, 500_000),
    repeats: int = 5,
    json: bool = False,
) -> None:
    """Measure this machine: what it can do at most, where a training step's time goes, how costs grow.

    The scenes are synthetic, the same everywhere. "Pairs" are pairs of a pixel and a Gaussian that contribute
    to the image; rates in pairs per second of processor time compare across scenes and machines. Takes about
    two minutes. docs/performance.md explains the figures.

    Args:
        gaussians: numbers of Gaussians to measure the growth with, at 960x540.
        repeats: every time is the median of so many runs.
        json: print JSON for scripts instead.
    """
    if repeats < 1 or not gaussians or min(gaussians) < 1:
        raise UsageError("--gaussians and --repeats must be at least 1.")
    from rich.console import Console

    from trainers.benchmark.survey import Plan, run
    from trainers.benchmark.table import ceiling_table, rasterizer_table, step_table

    progress, console = Console(stderr=True), Console(highlight=False, width=140)
    with progress.status("measuring") as status:
        survey = run(Plan.usual(gaussians, repeats), lambda what: status.update(f"measuring {what}"))
    if json:
        print(json_text(survey.as_json()))
        return

    console.print(f"gsplat-core {gsplat_core.__version__} on {cpu_name()}, {cores()} cores\n")
    console.print(ceiling_table("The machine's ceiling", survey.ceilings), "")
    first, last = survey.steps[0], survey.steps[-1]
    case = first.case
    scene = f"{case.gaussians:,} Gaussians, {case.width}x{case.height}, SH degree 3, one thread"
    console.print(step_table(f"A training step: {scene}", first, survey.pairs, survey.ceiling), "")
    for what, measured in (
        ("Gaussians", survey.by_gaussians),
        ("pixels", survey.by_pixels),
        ("size of the splats", survey.by_footprint),
        ("threads", survey.by_threads),
    ):
        console.print(rasterizer_table(f"The rasterizer's growth with {what}", measured), "")
    for what, exponents in survey.growth().items():
        grown = ", ".join(f"{stage} {p:.2f}" for stage, p in exponents.items() if p is not None)
        if grown:
            console.print(f"Exponents of time with {what}: {grown}.")
    if last.case.threads > 1:
        console.print(
            f"{last.case.threads} threads: {first.step.wall / last.step.wall:.2f} times the speed of a step."
        )
    if survey.training_bytes_per_gaussian is not None:
        console.print(f"Training takes {survey.training_bytes_per_gaussian:,.0f} bytes per Gaussian.")
