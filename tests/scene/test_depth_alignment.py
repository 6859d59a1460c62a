"""What numbers of depth maps mean, found out from what is known of the depths of some pixels."""

from __future__ import annotations

import pytest
import torch

from gsplat_core.scene.depth_alignment import Sample, aligned, depths_by, errors_of, robust_line

NEAR = 0.01


def depths_of(num=60, seed=0):
    return 1 + 4 * torch.rand(num, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def numbers(kind, depths, slope=0.7, offset=-0.3):
    if kind == "metric":
        return depths
    exact = depths if kind == "relative" else 1 / (depths + NEAR)
    return (exact - offset) / slope


def test_a_line_is_found_though_a_third_of_the_points_are_far_off_it() -> None:
    x = depths_of()
    y = 2 * x + 1
    y[::3] += 5
    line = robust_line(x, y)
    assert float(line.slope) == pytest.approx(2, abs=1e-2)
    assert float(line.offset) == pytest.approx(1, abs=2e-2)


@pytest.mark.parametrize("kind", ["metric", "relative", "disparity"])
def test_the_kind_of_maps_is_found_and_depths_come_out_of_it(kind) -> None:
    samples = []
    for seed in range(5):
        depths = depths_of(seed=seed)
        values = numbers(kind, depths, slope=0.5 + 0.3 * seed, offset=0.1 * seed)
        noise = torch.randn(len(depths), generator=torch.Generator().manual_seed(seed)).double()
        seen = depths * (1 + 0.01 * noise)
        seen[:6] *= 0.5  # points on something else
        samples.append(Sample(values, seen))
    errors = errors_of(samples, NEAR)
    assert errors.kind == kind
    assert getattr(errors, kind) < 0.02 < 0.2 < errors.constant
    depths = depths_of(seed=3)
    values = numbers(kind, depths, slope=1.4, offset=0.3)
    line = None if kind == "metric" else aligned(samples[3], kind, NEAR)
    q = depths_by(torch.cat([values, torch.tensor([torch.nan])]), kind, line, NEAR)
    torch.testing.assert_close(1 / q[:-1] - NEAR, depths, rtol=0.03, atol=0)
    assert q[-1].isnan()


def test_what_does_not_rise_with_depth_is_not_aligned() -> None:
    depths = depths_of()
    assert aligned(Sample(-depths, depths), "relative", NEAR) is None
    assert aligned(Sample(depths, depths), "disparity", NEAR) is None
    assert aligned(Sample(torch.ones_like(depths), depths), "relative", NEAR) is None
    assert aligned(Sample(depths[:5], depths[:5]), "relative", NEAR) is None
    assert errors_of([Sample(depths[:5], depths[:5])], NEAR) is None


def test_what_a_line_puts_behind_the_camera_is_not_known_and_what_it_puts_beyond_infinity_is_infinite() -> (
    None
):
    depths = depths_of()
    line = aligned(Sample(numbers("relative", depths), depths), "relative", NEAR)
    assert depths_by(torch.tensor([-10.0]), "relative", line, NEAR).isnan().all()
    line = aligned(Sample(numbers("disparity", depths), depths), "disparity", NEAR)
    assert depths_by(torch.tensor([-10.0]), "disparity", line, NEAR).item() == 0
