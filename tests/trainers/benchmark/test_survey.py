"""The survey of `gsplat-core bench`, on a scene so small that all of it takes seconds."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
import torch

from gsplat_core import rasterization
from gsplat_core.ops import library  # noqa: F401  (registers the operators)
from tools.plot_roofline import draw
from trainers.benchmark import ceiling
from trainers.benchmark.ceiling import Ceiling
from trainers.benchmark.growth import exponent
from trainers.benchmark.measure import Case, Measurement, Seconds, resident_bytes
from trainers.benchmark.memory import TrainingMemory
from trainers.benchmark.scene import training_scene
from trainers.benchmark.splats import random_splats
from trainers.benchmark.step import STAGES, StepTimes, time_steps
from trainers.benchmark.survey import Plan, Survey, run
from trainers.benchmark.table import ceiling_table, rasterizer_table, step_table
from trainers.benchmark.work import work_of_step

TINY = Case(gaussians=300, width=48, height=32, repeats=1)


@pytest.fixture(scope="module", autouse=True)
def blank_charts() -> None:
    """They are drawn here."""


@pytest.fixture(scope="module")
def survey() -> Survey:
    plan = Plan(
        TINY,
        by_gaussians=[TINY, replace(TINY, gaussians=600)],
        by_pixels=[TINY],
        by_footprint=[TINY],
        by_threads=[TINY],
        memory_gaussians=[20_000, 60_000],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ceiling, "ROUNDS", 1000)
        patch.setattr(ceiling, "TRIAD_NUMBERS", 1 << 10)
        return run(plan, tell=lambda what: None)


def test_the_scene_projects_to_the_synthetic_splats() -> None:
    gaussians, target = training_scene(500, 96, 64, seed=3)
    splats = random_splats(500, 96, 64, seed=3)
    _, _, meta = rasterization(
        **gaussians.activated(), viewmats=target.viewmat, Ks=target.K, width=96, height=64, sh_degree=3
    )
    torch.testing.assert_close(meta["means2d"], splats.means2d, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(meta["depths"], splats.depths, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(meta["opacities"], splats.opacities, rtol=1e-4, atol=1e-5)
    lengths = splats.shapes.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(meta["shapes"] / lengths, splats.shapes / lengths, rtol=0.0, atol=0.02)


def test_the_stages_and_the_rest_are_the_step(survey: Survey) -> None:
    times = survey.steps[0]
    assert list(times.stages) == list(dict.fromkeys(STAGES.values()))
    assert all(seconds > 0 for seconds in times.stages.values())
    assert math.isclose(sum(times.stages.values()) + times.overhead, times.step.cpu)
    assert (times.visible, times.intersections) == (300, survey.by_threads[0].intersections)


def test_every_operator_of_a_step_has_a_stage() -> None:
    # time_steps looks each operator up in STAGES and fails on an unknown one.
    threads = torch.get_num_threads()
    times = time_steps(replace(TINY, threads=threads))
    assert set(times.stages) == set(STAGES.values())


def test_an_arithmetic_ceiling_counts_its_operations() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    one = torch.ops.gsplat_core.multiply_adds(100)
    torch.set_num_threads(2)
    assert torch.ops.gsplat_core.multiply_adds(100) == 2 * one
    assert torch.ops.gsplat_core.multiply_adds(300) == 6 * one
    torch.set_num_threads(threads)


@pytest.mark.parametrize("isa", torch.ops.gsplat_core.available_isas().split())
def test_triad(isa: str) -> None:
    before = torch.ops.gsplat_core.isa()
    torch.ops.gsplat_core.set_isa(isa)
    a, b, out = torch.rand(1003), torch.rand(1003), torch.zeros(1003)
    torch.ops.gsplat_core.triad(a, b, out)
    torch.ops.gsplat_core.set_isa(before)
    torch.testing.assert_close(out, a + 3 * b, rtol=1e-6, atol=0)


def test_exponents_are_slopes_of_logarithms() -> None:
    assert exponent([(x, 5 * x**1.5) for x in (1, 2, 10)]) == pytest.approx(1.5)
    assert exponent([(10, 1.0), (10, 2.0)]) is None
    assert exponent([(10, 1.0), (20, 0.0)]) is None


def test_json_holds_all_that_was_measured(survey: Survey) -> None:
    facts = json.loads(json.dumps(survey.as_json()))
    assert set(facts["growth_exponents"]) == {"gaussians", "pixels", "footprint"}
    assert facts["growth_exponents"]["pixels"]["forward"] is None
    shares = [stage["share"] for stage in facts["step"]["stages"].values()]
    assert sum(shares) + facts["step"]["overhead_share"] == pytest.approx(1)
    assert facts["ceilings"][0]["flops_per_second"] > 0
    work = work_of_step(survey.steps[0], survey.pairs)
    assert facts["step"]["stages"]["composite"]["flops"] == work["composite"].flops
    if resident_bytes("VmHWM") is not None:
        # Parameters, two moments and a gradient are 944 bytes alone.
        assert facts["training_bytes_per_gaussian"] > 900


def test_tables_show_all_stages(survey: Survey) -> None:
    table = step_table("", survey.steps[0], survey.pairs, survey.ceiling)
    assert table.row_count == len(set(STAGES.values())) + 2
    assert ceiling_table("", survey.ceilings).row_count == len(survey.ceilings)


def test_the_roofline_is_drawn_with_every_stage_that_computes(survey: Survey) -> None:
    svg = draw(survey.as_json())
    texts = [text.text or "" for text in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    for name in work_of_step(survey.steps[0], survey.pairs):
        assert any(re.fullmatch(rf"{name} \d+%", text) for text in texts), name


def measurement(gaussians: int, width: int, pairs: int, memory: int | None) -> Measurement:
    """Times that grow with the 1.5th, 1st and 2nd power of the number of Gaussians."""
    case = Case(gaussians=gaussians, width=width, height=10)
    seconds = [Seconds(gaussians**p, 2.0 * gaussians**p) for p in (1.5, 1.0, 2.0)]
    return Measurement(case, pairs, 5, "generic", *seconds, memory)


def made_survey() -> Survey:
    stages = {"composite": 0.2, "composite, backward": 0.4, "bin": 0.1}
    steps = [
        StepTimes(replace(TINY, threads=n), "generic", Seconds(4.0 / n, 2.0), stages, 300, 900)
        for n in (1, 4)
    ]
    return Survey(
        ceilings=[
            Ceiling("avx", 1, 1e9, 2e9),
            Ceiling("generic", 2, 3e9, 4e9),
            Ceiling("generic", 1, 5e9, 6e9),
        ],
        steps=steps,
        pairs=1000,
        by_gaussians=[measurement(100, 10, 200, 5000), measurement(400, 10, 800, 6500)],
        by_pixels=[measurement(100, 10, 200, 5000), measurement(100, 40, 200, 5600)],
        by_footprint=[measurement(100, 10, 200, 1), measurement(400, 10, 1600, 1)],
        by_threads=[],
        memory=[TrainingMemory(10, 5, 5, 1, 2, 3000), TrainingMemory(30, 5, 5, 1, 2, 9000)],
    )


def test_facts_of_made_measurements() -> None:
    survey = made_survey()
    assert survey.ceiling == survey.ceilings[2]
    facts = survey.as_json()
    by_gaussians = {"bin": 1.5, "forward": 1.0, "backward": 2.0}
    assert facts["growth_exponents"]["gaussians"] == pytest.approx(by_gaussians)
    assert facts["growth_exponents"]["pixels"] == pytest.approx(dict.fromkeys(by_gaussians, 0.0))
    # Twice the pairs per Gaussian for four times the Gaussians.
    assert facts["growth_exponents"]["footprint"] == pytest.approx(
        {k: 2 * v for k, v in by_gaussians.items()}
    )
    assert facts["training_bytes_per_gaussian"] == 300
    assert facts["memory_per_gaussian"] == 5
    assert facts["memory_per_pixel"] == 2
    step = facts["step"]
    assert step["pairs_per_core_second"] == {"forward": 1000 / 0.2, "backward": 1000 / 0.4}
    assert (step["seconds"], step["cpu_seconds"]) == (4.0, 2.0)
    assert step["overhead_seconds"] == pytest.approx(1.3)
    assert step["overhead_share"] == pytest.approx(0.65)
    assert step["stages"]["composite"]["share"] == pytest.approx(0.1)
    assert step["stages"]["bin"]["flops"] is step["stages"]["bin"]["bytes"] is None
    assert [s["speedup"] for s in facts["step_by_threads"]] == [1.0, 4.0]
    assert [s["threads"] for s in facts["step_by_threads"]] == [1, 4]
    assert [m["case"]["gaussians"] for m in facts["by_gaussians"]] == [100, 400]
    assert facts["by_gaussians"][0]["forward_rate"] == 200 / 200
    assert facts["by_gaussians"][0]["backward_rate"] == 200 / 20000


def test_rates_and_shares_in_tables() -> None:
    survey = made_survey()
    work = work_of_step(survey.steps[0], survey.pairs)["composite"]
    table = step_table("", survey.steps[0], survey.pairs, Ceiling("generic", 1, 1e9, 2e9))
    cells = [list(column.cells) for column in table.columns]
    best = max(work.flops / 0.2 / 1e9, work.bytes / 0.2 / 2e9)
    row = [column[cells[0].index("composite")] for column in cells[1:]]
    assert row == ["200.00", "10.0%", f"{work.flops / 2e8:.1f}", f"{work.bytes / 2e8:.1f}", f"{best:.0%}"]
    assert [c[-2] for c in cells[:3]] == ["Python and PyTorch", "1300.00", "65.0%"]
    quick = replace(survey.steps[0], stages={"composite": 2e-7})
    streams = step_table("", quick, survey.pairs, Ceiling("generic", 1, 1e30, 1e12))
    row = [next(iter(column.cells)) for column in streams.columns[3:]]
    assert row == [f"{work.flops / 200:.1f}", f"{work.bytes / 200:.1f}", f"{work.bytes / 2e5:.0%}"]
    assert work.bytes / 2e5 > 0.1, "otherwise nothing could be read off it"
    assert [c[-1] for c in cells[:3]] == ["whole step", "2000.00", "100%"]
    assert cells[3][cells[0].index("bin")] == ""
    rates = ceiling_table("", survey.ceilings)
    assert [next(iter(c.cells)) for c in rates.columns] == ["avx", "1", "1", "2.0"]
    measured = replace(survey.by_gaussians[0], pairs=2_500_000_000_000, memory_bytes=3 * 2**20)
    row = [next(iter(c.cells)) for c in rasterizer_table("", [measured]).columns]
    assert row[:6] == ["100", "10x10", "1.5", "3", "1", "generic"]
    assert row[6:] == ["2500000.0", "1000000.0", "100000.0", "10000000.0", "12.500", "0.125", "3"]


def test_a_plan_varies_one_thing_at_a_time() -> None:
    plan = Plan.usual([10, 20], repeats=3)
    assert plan.reference == Case(repeats=3)
    for cases, field in (
        (plan.by_gaussians, "gaussians"),
        (plan.by_pixels, ("width", "height")),
        (plan.by_footprint, "median_sigma"),
        (plan.by_threads, "threads"),
    ):
        fields = (field,) if isinstance(field, str) else field
        for case in cases:
            alike = {name: getattr(plan.reference, name) for name in fields}
            assert replace(case, **alike) == plan.reference
    assert [case.gaussians for case in plan.by_gaussians] == [10, 20]
    assert [(case.width, case.height) for case in plan.by_pixels] == [(480, 270), (960, 540), (1920, 1080)]
