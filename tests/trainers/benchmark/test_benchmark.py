"""The synthetic scene, the count of its work, and the measurement (of which no test looks at the clock)."""

from __future__ import annotations

import math

import pytest
import torch

from gsplat_core.errors import UsageError
from gsplat_core.ops import library  # noqa: F401  (registers the operators)
from gsplat_core.render.settings import RenderSettings
from trainers.benchmark.measure import Case, PeakMemory, count_scene, measure, resident_bytes, time_stages
from trainers.benchmark.pairs import count_pairs
from trainers.benchmark.splats import Splats, random_splats
from trainers.benchmark.survey import slope, thread_counts
from trainers.benchmark.table import as_json, rasterizer_table


def tile_lists(s: Splats, tile_size: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    offsets, ids, *_ = torch.ops.gsplat_core.bin_splats(
        s.means2d, s.shapes, s.depths, s.opacities, s.radii, s.width, s.height,
        RenderSettings(tile_size=tile_size).numbers(),
    )  # fmt: skip
    return offsets, ids


def count_one_by_one(s: Splats) -> int:
    """The definition, pixel by pixel and splat by splat, without tiles."""
    means, roots = s.means2d[0].double().tolist(), s.shapes[0].double().tolist()
    opacities, order = s.opacities[0].double().tolist(), s.depths[0].argsort().tolist()
    pairs = 0
    for y in range(s.height):
        for x in range(s.width):
            transmittance = 1.0
            for i in order:
                dx, dy = x + 0.5 - means[i][0], y + 0.5 - means[i][1]
                l11, l21, l22 = roots[i]
                squared = (l11 * dx + l21 * dy) ** 2 + (l22 * dy) ** 2
                alpha = min(0.99, opacities[i] * math.exp(-0.5 * squared))
                if alpha < 1 / 255:
                    continue
                if transmittance * (1 - alpha) <= 1e-4:
                    break
                transmittance *= 1 - alpha
                pairs += 1
    return pairs


@pytest.mark.parametrize(("num", "sigma", "tile_size"), [(40, 2.0, 16), (200, 8.0, 16), (60, 3.0, 8)])
def test_pairs_are_counted_exactly(num: int, sigma: float, tile_size: int) -> None:
    splats = random_splats(num, 37, 21, sigma, seed=num)
    assert count_pairs(splats, *tile_lists(splats, tile_size), tile_size) == count_one_by_one(splats)


def test_a_wall_of_opaque_splats_stops_the_count() -> None:
    # Each lets 2 % of the light through: two fit before the transmittance would fall to 1e-4.
    splats = random_splats(5, 8, 8, median_sigma=1.0)
    splats.means2d[:] = 4.0
    splats.shapes[:] = torch.tensor([1e-4, 0.0, 1e-4])
    splats.opacities[:] = 0.98
    splats.radii[:] = 1000
    assert count_one_by_one(splats) == 2 * 64
    assert count_pairs(splats, *tile_lists(splats), 16) == 2 * 64


def test_the_scene_has_the_stated_statistics() -> None:
    splats = random_splats(20_000, 960, 540, median_sigma=3.0, seed=1)
    l11, l21, l22 = splats.shapes[0].double().unbind(-1)
    upper = torch.stack([torch.stack([l11, l21], -1), torch.stack([torch.zeros_like(l22), l22], -1)], -2)
    variances = torch.linalg.eigvalsh(torch.linalg.inv(upper.mT @ upper)) - 0.3
    longer = variances[:, 1].clamp(min=0).sqrt()
    assert abs(longer.median().item() - 3.0) < 0.1
    assert longer.max() < 100.1
    # 3 and 0.8 but for the filter, which is taken off a little roughly, and for chance.
    assert abs(longer.log().std().item() - 0.8) < 0.02
    shorter = variances[:, 0].clamp(min=1e-6).sqrt()
    assert abs((shorter / longer).log().median().item() + 0.8 * 0.6745) < 0.03
    logits = splats.opacities.logit()
    assert abs(logits.median().item() + 0.3) < 0.05
    assert abs(logits.std().item() - 1.8) < 0.05
    assert 0.2 <= splats.depths.min() < 0.21
    assert 10.19 < splats.depths.max() <= 10.2
    edges = torch.tensor([960.0, 540.0])
    assert ((splats.means2d.amax(dim=(0, 1)) - edges).abs() < 0.5).all()
    # Radii reach to where a splat is 1/255 opaque.
    level = 2 * (255 * splats.opacities[0].double()).log()
    deviations = torch.linalg.inv(upper.mT @ upper).diagonal(dim1=-2, dim2=-1).sqrt()
    reach = level.sqrt()[:, None] * deviations
    assert (splats.radii[0] >= reach * (1 - 1e-5)).all()
    assert (splats.radii[0] <= reach * (1 + 1e-5) + 1).all()
    assert splats.opacities.min() >= 0.006
    assert splats.opacities.max() <= 0.99
    assert (splats.radii > 0).any(-1).all()


def test_the_scene_follows_from_its_seed() -> None:
    one, same, other = (random_splats(10, 64, 64, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(one.shapes, same.shapes)
    assert not torch.equal(one.means2d, other.means2d)


def test_a_case_is_measured_in_a_process_of_its_own() -> None:
    threads, isa = torch.get_num_threads(), torch.ops.gsplat_core.isa()
    lowest = torch.ops.gsplat_core.available_isas().split()[0]
    case = Case(gaussians=300, width=40, height=30, threads=1, isa=lowest, repeats=1)
    measured = measure(case)
    assert (torch.get_num_threads(), torch.ops.gsplat_core.isa()) == (threads, isa)
    assert measured.isa == lowest
    assert (measured.pairs, measured.intersections) == count_scene(300, 40, 30, 1.5, 0)
    assert measured.forward_rate == measured.pairs / measured.forward.cpu
    facts = as_json(measured)
    assert facts["case"]["gaussians"] == 300
    assert facts["backward_seconds"] == measured.backward.wall
    assert list(rasterizer_table("", [measured]).columns[5].cells) == [lowest]


def test_an_unknown_instruction_set_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="sse9"):
        time_stages(Case(isa="sse9", threads=torch.get_num_threads()))


@pytest.mark.skipif(resident_bytes("VmHWM") is None, reason="the system does not tell")
def test_peak_memory_sees_what_was_freed_again() -> None:
    with PeakMemory() as memory:
        torch.ones(16 * 2**20)  # 64 MiB
    assert memory.grown_bytes is not None
    assert 60 * 2**20 < memory.grown_bytes < 80 * 2**20


def test_growth_is_the_slope_between_the_extremes() -> None:
    assert slope([(10, 100), (30, 500), (20, 0)]) == 20.0
    assert slope([(10, 100)]) is None
    assert slope([(10, None), (20, 5)]) is None


@pytest.mark.parametrize(("most", "counts"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_threads_are_doubled_up_to_the_cores(most: int, counts: list[int]) -> None:
    assert thread_counts(most) == counts
