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
from trainers.benchmark.growth import exponent
from trainers.benchmark.measure import Case, resident_bytes
from trainers.benchmark.scene import training_scene
from trainers.benchmark.splats import random_splats
from trainers.benchmark.step import STAGES, time_steps
from trainers.benchmark.survey import Plan, Survey, run
from trainers.benchmark.table import ceiling_table, step_table
from trainers.benchmark.work import work_of_step

TINY = Case(gaussians=300, width=48, height=32, repeats=1)


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
