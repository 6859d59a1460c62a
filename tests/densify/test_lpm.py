"""Localized point management: regions, correspondences, zones, and what is done about them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gsplat_core.densify import (
    ADC,
    LPM,
    MCMC,
    ADCConfig,
    Guidance,
    Lens,
    LPMConfig,
    MCMCConfig,
    ParameterStore,
    RenderStats,
    SceneView,
)
from gsplat_core.densify.edits import Edit
from gsplat_core.densify.error_regions import block_size, error_map, error_regions
from gsplat_core.densify.matchers.both import BothMatchers
from gsplat_core.densify.matchers.depth import DepthMatcher
from gsplat_core.densify.matchers.tracks import TrackMatcher
from gsplat_core.densify.rendered_views import RenderedViews
from gsplat_core.densify.two_views import center, closest_points, project, rays
from gsplat_core.densify.zones import Zones, bounding_box, in_front, zone
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.dataset import View

WIDTH, HEIGHT = 96, 64
K = torch.tensor([[80.0, 0, WIDTH / 2], [0, 80.0, HEIGHT / 2], [0, 0, 1]])


def lens(x: float, turn: float = 0.0) -> Lens:
    """A camera at (x, 0, 0) that looks along z, turned about y."""
    rotation = torch.tensor(
        [[math.cos(turn), 0, -math.sin(turn)], [0, 1, 0], [math.sin(turn), 0, math.cos(turn)]]
    )
    viewmat = torch.eye(4)
    viewmat[:3, :3] = rotation
    viewmat[:3, 3] = -rotation @ torch.tensor([x, 0.0, 0.0])
    return Lens(viewmat, K, WIDTH, HEIGHT)


def view(x: float) -> View:
    camera = Camera(lens(x).viewmat.double().numpy(), K.double().numpy(), WIDTH, HEIGHT)
    return View(camera, lambda: np.zeros((HEIGHT, WIDTH, 3), np.uint8))


def wall(depth: float, x: tuple[float, float] = (-4, 4), step: float = 0.12) -> dict[str, Tensor]:
    """Opaque Gaussians on a grid in the plane z = depth."""
    xs, ys = torch.meshgrid(torch.arange(*x, step), torch.arange(-3, 3, step), indexing="ij")
    n = xs.numel()
    return {
        "means": torch.stack([xs.flatten(), ys.flatten(), torch.full((n,), depth)], dim=1),
        "quats": torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
        "scales": torch.tensor([[0.08, 0.08, 0.005]]).log().repeat(n, 1),
        "opacities": torch.full((n,), 4.0),
        "sh0": torch.zeros(n, 1, 3),
        "shN": torch.zeros(n, 0, 3),
    }


def merged(*scenes: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.cat([scene[name] for scene in scenes]) for name in scenes[0]}


class TestRegions:
    def test_exposure_is_no_error(self) -> None:
        image = torch.rand(20, 30, 3, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.25
        assert error_map(image, image * 1.4).max() < 0.05
        assert error_map(image, 1 - image).max() > 0.5

    def test_what_is_masked_out_is_right_and_does_not_move_the_quantile(self) -> None:
        errors = torch.rand(64, 128, generator=torch.Generator().manual_seed(0))
        errors[16:32, 80:96] = 10
        mask = torch.zeros(64, 128, dtype=torch.bool)
        mask[:, 64:] = True
        boxes = error_regions(errors, 0.7, 0.85, 16, mask)
        assert boxes.tolist() == [[80, 16, 96, 32]]
        errors[:, :64] = 100
        assert torch.equal(error_regions(errors, 0.7, 0.85, 16, mask), boxes)
        assert len(error_regions(errors, 0.7, 0.85, 16, mask & False)) == 0

    def test_each_wrong_place_gets_a_box_in_blocks(self) -> None:
        errors = torch.zeros(64, 96)
        errors[0:16, 0:32] = 1
        errors[32:64, 80:96] = 1
        boxes = error_regions(errors, quantile=0.5, significant=0.85, block=16)
        assert sorted(boxes.tolist()) == [[0, 0, 32, 16], [80, 32, 96, 64]]

    def test_blocks_that_touch_at_a_corner_belong_together(self) -> None:
        errors = torch.zeros(64, 64)
        errors[0:16, 0:16] = errors[16:32, 16:32] = 1
        assert error_regions(errors, 0.5, 0.85, 16).tolist() == [[0, 0, 32, 32]]

    def test_a_block_must_be_wrong_nearly_everywhere(self) -> None:
        errors = torch.zeros(32, 32)
        errors[0:16, 0:13] = 1  # 81 %
        assert len(error_regions(errors, 0.5, 0.85, 16)) == 0
        assert len(error_regions(errors, 0.5, 0.80, 16)) == 1

    def test_sides_that_are_no_multiple_of_the_block_stay_inside_the_image(self) -> None:
        errors = torch.zeros(40, 50)
        errors[32:, 32:] = 1
        errors[:, 49] = 1
        (box,) = error_regions(errors, 0.5, 0.05, 16).tolist()
        assert box[2:] == [50, 40]

    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 10_000))
    def test_components_are_those_of_scipy(self, seed: int) -> None:
        from scipy import ndimage

        mask = np.random.default_rng(seed).random((9, 12)) < 0.35
        errors = torch.from_numpy(np.kron(mask, np.ones((4, 4)))).float()
        _, count = ndimage.label(mask, structure=np.ones((3, 3)))
        expected = {
            (4.0 * s[1].start, 4.0 * s[0].start, 4.0 * s[1].stop, 4.0 * s[0].stop)
            for s in ndimage.find_objects(ndimage.label(mask, structure=np.ones((3, 3)))[0])
        }
        boxes = error_regions(errors, 0.5, 0.85, 4)
        if mask.mean() < 0.5:
            assert len(boxes) == count
            assert {tuple(box) for box in boxes.tolist()} == expected

    def test_blocks_are_as_published_for_large_images_and_smaller_for_small_ones(self) -> None:
        assert (block_size(1600, 1200), block_size(4000, 3000), block_size(800, 600)) == (16, 16, 8)
        assert block_size(100, 100) == 4


class TestTwoViews:
    @settings(max_examples=50, deadline=None)
    @given(st.floats(-1, 1), st.floats(-1, 1), st.floats(1, 9), st.floats(-0.5, 0.5))
    def test_rays_through_a_points_pixels_meet_at_the_point(
        self, x: float, y: float, z: float, turn: float
    ) -> None:
        point = torch.tensor([[x, y, z]])
        first, second = lens(-0.4), lens(0.7, turn)
        pixels = [project(camera, point) for camera in (first, second)]
        if float(pixels[1][1]) < 0.1:
            return
        torch.testing.assert_close(
            center(second) + pixels[1][1][:, None] * rays(second, pixels[1][0]), point, atol=1e-4, rtol=1e-4
        )
        meeting = closest_points(
            center(first), rays(first, pixels[0][0]), center(second), rays(second, pixels[1][0])
        )
        for found in meeting:
            torch.testing.assert_close(found, point, atol=2e-3, rtol=2e-3)

    def test_parallel_rays_and_meetings_behind_the_camera_are_left_out(self) -> None:
        origin, aside = torch.zeros(3), torch.tensor([1.0, 0, 0])
        forward = torch.tensor([[0.0, 0, 1]])
        assert len(closest_points(origin, forward, aside, forward)[0]) == 0
        diverging = torch.tensor([[0.3, 0, 1.0]])
        assert len(closest_points(origin, forward, aside, diverging)[0]) == 0
        assert len(closest_points(origin, forward, aside, diverging * torch.tensor([-1.0, 1, 1]))[0]) == 1


class TestMatchers:
    def test_tracks_match_the_points_that_both_see(self) -> None:
        points = torch.tensor([[0.0, 0, 4], [0.5, 0.2, 5], [0.3, -0.3, 4], [0, 0, -4]])
        views = RenderedViews(
            [view(0.0), view(0.5)],
            points=points,
            sightings=[torch.tensor([0, 1, 3]), torch.tensor([1, 2, 3])],
        )
        first, second = TrackMatcher().match(views, {}, 0, 1)
        assert torch.allclose(first, project(lens(0.0), points[1:2])[0])
        assert torch.allclose(second, project(lens(0.5), points[1:2])[0])

    def test_depth_matches_agree_with_the_geometry(self) -> None:
        views = RenderedViews([view(0.0), view(0.4)], sh_degree=0)
        first, second = DepthMatcher(stride=4).match(views, wall(4.0), 0, 1)
        assert len(first) > 100
        expected = first - torch.tensor([80.0 * 0.4 / 4.0, 0.0])
        assert (second - expected).norm(dim=1).max() < 0.5

    def test_what_is_hidden_in_the_other_view_has_no_match(self) -> None:
        """A board before the wall hides another part of the wall from each camera."""
        board = wall(2.0, x=(0.3, 0.9), step=0.06)
        views = RenderedViews([view(0.0), view(0.8)], sh_degree=0)
        first, second = DepthMatcher(stride=2).match(views, merged(wall(4.0), board), 0, 1)
        disparity = (first - second)[:, 0]
        on_wall = (disparity - 80 * 0.8 / 4).abs() < 1
        on_board = (disparity - 80 * 0.8 / 2).abs() < 1
        assert on_wall.sum() > 50
        assert on_board.sum() > 20
        assert (on_wall | on_board).all()
        # Of the wall, the second camera misses what is behind the board on the line of its sight.
        x = (first[on_wall, 0] - WIDTH / 2) / 80 * 4.0
        hidden = (x > 0.3 * 2 - 0.8 + 0.2) & (x < 0.9 * 2 - 0.8 - 0.2)
        assert not hidden.any()

    def test_transparent_places_have_no_depth_and_no_match(self) -> None:
        faint = wall(4.0)
        faint["opacities"] = torch.full_like(faint["opacities"], -5.0)
        views = RenderedViews([view(0.0), view(0.4)], sh_degree=0)
        assert len(DepthMatcher().match(views, faint, 0, 1)[0]) == 0

    def test_sources_can_be_combined(self) -> None:
        views = RenderedViews(
            [view(0.0), view(0.4)], 0, points=torch.tensor([[0.0, 0, 4]]), sightings=[torch.tensor([0])] * 2
        )
        both = BothMatchers([TrackMatcher(), DepthMatcher()])
        count = len(both.match(views, wall(4.0), 0, 1)[0])
        assert count == 1 + len(DepthMatcher().match(views, wall(4.0), 0, 1)[0])


class TestZones:
    def test_a_zone_holds_what_both_boxes_show(self) -> None:
        first, second = lens(0.0), lens(0.8, 0.15)
        cloud = torch.rand(200, 3, generator=torch.Generator().manual_seed(2)) * 0.4 + torch.tensor(
            [0, 0, 3.0]
        )
        boxes = [bounding_box(project(camera, cloud)[0]) for camera in (first, second)]
        found = zone(first, boxes[0], second, boxes[1], largest=10.0)
        assert len(found) == 1
        torch.testing.assert_close(found.lower[0, :2], cloud.amin(dim=0)[:2], atol=0.04, rtol=0)
        torch.testing.assert_close(found.upper[0, :2], cloud.amax(dim=0)[:2], atol=0.04, rtol=0)
        assert found.contain(cloud).float().mean() > 0.3
        assert not found.contain(torch.tensor([[0.2, 0.2, 5.0], [0.2, 0.2, 1.0], [2.0, 0, 3]])).any()

    def test_there_is_none_without_a_meeting_or_beyond_the_largest_size(self) -> None:
        first, second = lens(0.0), lens(0.8)
        box = torch.tensor([20.0, 20, 40, 40])
        assert len(zone(first, box, first, box, 10.0)) == 0  # one view has no depth
        assert len(zone(first, box, second, box + torch.tensor([30.0, 0, 30, 0]), 10.0)) == 0  # behind
        assert len(zone(first, box, second, torch.tensor([10.0, 20, 10, 40]), 10.0)) == 0  # no area
        shifted = box - torch.tensor([8.0, 0, 8, 0])
        assert len(zone(first, box, second, shifted, 100.0)) == 1
        assert len(zone(first, box, second, shifted, 0.1)) == 0

    def test_a_flat_region_has_a_zone_with_some_depth(self) -> None:
        first, second = lens(0.0), lens(0.8)
        square = torch.tensor([[-0.2, -0.2, 4.0], [0.2, 0.2, 4.0]])
        boxes = [bounding_box(project(camera, square)[0]) for camera in (first, second)]
        found = zone(first, boxes[0], second, boxes[1], largest=10.0)
        assert found.contain(torch.tensor([[0.1, 0.1, 4.0]])).all()
        assert found.radii[0] == pytest.approx(0.05 * 0.4 * 2**0.5, rel=1e-3)

    def test_in_front_is_the_cone_up_to_the_sphere(self) -> None:
        zones = Zones(torch.tensor([[-1.0, -1, 9]]), torch.tensor([[1.0, 1, 11]]))
        points = torch.tensor(
            [[0.0, 0, 5], [0.45, 0, 5], [0.55, 0, 5], [0, 0, 8.9], [0, 0, 9.1], [0, 0, -5], [0, 0, 12]]
        )
        expected = [True, True, False, True, False, False, False]
        assert in_front(zones, 0, torch.zeros(3), points).tolist() == expected


class Fixed:
    """A matcher that finds a grid of correspondences on the plane z = 4."""

    def match(self, views, params, first, second):  # type: ignore[no-untyped-def]
        y, x = torch.meshgrid(torch.arange(2.0, HEIGHT, 4), torch.arange(2.0, WIDTH, 4), indexing="ij")
        pixels = torch.stack([x.flatten(), y.flatten()], dim=1)
        points = center(views.lens(first)) + 4 * rays(views.lens(first), pixels)
        return pixels, project(views.lens(second), points)[0]


class Run:
    """Gaussians before two cameras; the first view's lower left quarter, around (-1.2, 0.8, 4), is wrong."""

    def __init__(self, lpm: LPM, means: list[list[float]], opacities: list[float]) -> None:
        n = len(means)
        params = {
            "means": torch.tensor(means),
            "quats": torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
            "scales": torch.full((n, 3), -4.0),
            "opacities": torch.logit(torch.tensor(opacities)),
        }
        self.params = {name: torch.nn.Parameter(value) for name, value in params.items()}
        self.extras = {"row": torch.arange(n)}
        self.store = ParameterStore(self.params, extras=self.extras)
        self.lpm = lpm
        lpm.initialize(n, "cpu")

    def step(self, gradient: list[float], step: int = 600, wrong: bool = True) -> list[int]:
        n = self.store.num
        grad = torch.zeros(1, n, 2)
        grad[0, :, 0] = torch.tensor(gradient) * 2e-4 / (WIDTH / 2)
        target = torch.full((1, HEIGHT, WIDTH, 3), 0.5)
        image = target.clone()
        if wrong:
            image[0, HEIGHT // 2 :, : WIDTH // 2] = torch.rand(
                HEIGHT // 2, WIDTH // 2, 3, generator=torch.Generator().manual_seed(0)
            )
        self.lpm.on_backward(
            step,
            RenderStats(
                grad, torch.ones(1, n, 2, dtype=torch.int32), WIDTH, HEIGHT, 1,
                images=image, targets=target, views=[0],
            ),
        )  # fmt: skip
        views = RenderedViews([view(0.0), view(0.8)])
        scene = SceneView(self.params, 5.0, {"means": 0.0}, views=views)
        self.lpm.follow(self.store.apply(self.lpm.on_step(step, scene)))
        return self.extras["row"].tolist()


CONFIG = LPMConfig(calibrate_every=0, error_quantile=0.7, significant=0.5, fill=False)
IN_ZONE, ELSEWHERE = [-1.2, 0.8, 4.0], [1.5, -0.9, 4.0]


def adc(**options: float) -> ADC:
    return ADC(ADCConfig(grow_scale=1.0, **options))


def test_in_zones_half_the_threshold_is_enough_over_adc() -> None:
    means = [IN_ZONE, ELSEWHERE, IN_ZONE, ELSEWHERE, ELSEWHERE]
    run = Run(LPM(adc(), CONFIG, Fixed()), means, [0.5, 0.5, 0.5, 0.5, 0.01])
    # Row 0 grows for the zone's sake, so row 4, the least opaque, goes; row 1 grows nowhere, row 3 anyway.
    assert run.step([0.6, 0.6, 0.4, 1.2, 0.0]) == [0, 1, 2, 3, 0, 3]


@pytest.mark.parametrize("cap", [5, 6, 7])
def test_at_a_cap_the_room_that_zones_make_goes_to_the_neediest(cap: int) -> None:
    """Row 0 may grow for the zone's sake, so row 3 goes, the least opaque that does not grow. In the zone
    need counts twice: row 2 with 1.2 goes before row 1 with 1.9, and row 0 with 0.9 comes last."""
    means = [IN_ZONE, ELSEWHERE, IN_ZONE, ELSEWHERE, ELSEWHERE]
    run = Run(LPM(adc(max_gaussians=cap), CONFIG, Fixed()), means, [0.3, 0.2, 0.2, 0.1, 0.5])
    grown = run.step([0.9, 1.9, 1.2, 0.0, 0.2])
    assert grown[:4] == [0, 1, 2, 4]
    assert grown[4:] == sorted([2, 1, 0][: cap - 4])


def test_without_errors_it_is_plain_adc() -> None:
    means = [IN_ZONE, ELSEWHERE, IN_ZONE]
    assert Run(LPM(adc(), CONFIG, Fixed()), means, [0.5] * 3).step([0.6, 1.2, 0], wrong=False) == [0, 1, 2, 1]


def test_in_zones_the_chance_is_twice_as_high_over_mcmc() -> None:
    n = 3000
    base = MCMC(MCMCConfig(growth=2.0))
    run = Run(LPM(base, CONFIG, Fixed()), [IN_ZONE] * n + [ELSEWHERE] * n, [0.5] * 2 * n)
    added = torch.tensor(run.step([0.0] * 2 * n)[2 * n :])
    assert (added < n).float().mean().item() == pytest.approx(2 / 3, abs=0.03)


def test_an_empty_zone_gets_a_gaussian_within_the_cap() -> None:
    config = LPMConfig(calibrate_every=0, error_quantile=0.7, significant=0.5)
    run = Run(LPM(adc(), config, Fixed()), [ELSEWHERE, [-3.0, 0.8, 4.0]], [0.5, 0.5])
    assert run.step([0.0, 0.0]) == [0, 1, 1]
    assert (run.params["means"][2] - torch.tensor(IN_ZONE)).norm() < 0.6
    full = Run(LPM(adc(max_gaussians=2), config, Fixed()), [ELSEWHERE, [-3.0, 0.8, 4.0]], [0.5, 0.5])
    assert full.step([0.0, 0.0]) == [0, 1]


def test_what_is_opaque_in_front_of_a_zone_becomes_transparent() -> None:
    config = LPMConfig(error_quantile=0.7, significant=0.5, fill=False)
    near_zone = [[-1.2 + d, 0.8, 4.0] for d in (-0.02, 0.0, 0.02)]
    means = [*near_zone, [-0.6, 0.4, 2.0], [-0.6, 0.4, 2.0], [0.6, 0.4, 2.0], [-2.4, 1.6, 8.0]]
    run = Run(LPM(adc(), config, Fixed()), means, [0.5, 0.4, 0.3, 0.9, 0.1, 0.9, 0.9])
    run.step([0.0] * 7)
    opacities = run.params["opacities"].sigmoid().tolist()
    assert opacities == pytest.approx([0.5, 0.4, 0.3, 0.01, 0.1, 0.9, 0.9])


def test_it_says_what_it_lacks() -> None:
    lpm = LPM(ADC(), matcher=Fixed())
    lpm.initialize(1, "cpu")
    with pytest.raises(ValueError, match=r"images, \.targets and \.views"):
        lpm.on_backward(600, RenderStats(torch.zeros(1, 1, 2), torch.zeros(1, 1, 2), 8, 8, 1))


def test_guidance_of_an_outer_plugin_goes_through() -> None:
    means = [IN_ZONE, ELSEWHERE, ELSEWHERE]
    run = Run(LPM(adc(), CONFIG, Fixed()), means, [0.5] * 3)
    seen = []
    original = run.lpm.base.on_step
    run.lpm.base.on_step = lambda step, v: seen.append(v.guidance) or original(step, v)  # type: ignore
    run.step([0.6, 0.0, 0.0])
    assert seen[0].eagerness.tolist() == [2.0, 1.0, 1.0]
    combined = Guidance(eagerness=torch.tensor([0.0, 1.0, 1.0])).also(eagerness=seen[0].eagerness)
    assert combined.eagerness.tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "wrong", [{"error_quantile": 0.0}, {"threshold_ratio": 0.0}, {"neighbors": 0}, {"matcher": "eyes"}]
)
def test_settings_out_of_range_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LPMConfig(**wrong)


def test_in_a_step_that_only_calibrates_the_strategy_behind_acts_as_ever() -> None:
    class Noting(ADC):
        """Asks for its refinements every 100 steps, and notes when it is asked."""

        def __init__(self) -> None:
            super().__init__(ADCConfig(grow_scale=1.0))
            self.asked: list[tuple[int, int]] = []

        def on_step(self, step: int, view: SceneView) -> list[Edit]:
            self.asked.append((step, view.num))
            return super().on_step(step, view)

    base = Noting()
    config = LPMConfig(calibrate_every=50, error_quantile=0.7, significant=0.5, fill=False)
    run = Run(LPM(base, config, Fixed()), [IN_ZONE, ELSEWHERE], [0.5, 0.5])
    for step in (640, 650, 700):
        run.step([0.0, 0.0], step)
    run.step([0.0, 0.0], 750, wrong=False)
    assert base.asked == [(640, 2), (650, 2), (700, 2), (750, 2)]
