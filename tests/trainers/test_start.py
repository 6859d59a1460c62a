"""What a run starts with, and how many Gaussians it may have."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gsplat_core.densify.registry import STRATEGIES
from trainers.capacity import FEWEST, PIXELS_PER_GAUSSIAN, capacity, within_capacity
from trainers.presets import with_strategy
from trainers.sources import load_photographs
from trainers.start import initial_gaussians

WIDTH, HEIGHT = 48, 36  # of the tiny scene


@pytest.fixture
def dataset(config):
    return load_photographs(config)


def capped(config, strategy, limit):
    config = with_strategy(config, strategy)
    part = replace(config.densify[strategy], max_gaussians=limit)
    return replace(config, cap="none", densify={strategy: part})


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_cap_below_the_number_of_points_holds_from_the_start(config, dataset, strategy):
    notes = []
    start = initial_gaussians(capped(config, strategy, 30), dataset, notes.append)
    assert start.num == 30
    assert "80 points are more than the 30 Gaussians allowed" in notes[0]
    points = dataset.points.xyz
    assert torch.isin(start.means, points).all()


def test_photographs_bound_the_number_of_gaussians(config, dataset):
    views = 50 * dataset.train
    assert capacity(views) == len(views) * WIDTH * HEIGHT // PIXELS_PER_GAUSSIAN
    assert capacity(dataset.train[:1]) == FEWEST
    assert within_capacity(config, views).max_gaussians == capacity(views)
    assert within_capacity(replace(config, cap="none"), views) == replace(config, cap="none")


def test_the_lower_cap_counts(config, dataset):
    low = replace(capped(config, "mcmc", 50), cap="scene")
    high = replace(capped(config, "mcmc", 10**6), cap="scene")
    assert within_capacity(low, dataset.train).max_gaussians == 50
    assert within_capacity(high, dataset.train).max_gaussians == capacity(dataset.train)


def test_without_points_gaussians_start_at_random_and_it_is_said(config, dataset):
    dataset.points = dataset.points._replace(xyz=torch.zeros(0, 3), rgb=torch.zeros(0, 3))
    notes = []
    start = initial_gaussians(replace(config, random_points=123), dataset, notes.append)
    assert start.num == 123
    assert "no 3D points" in notes[0]


def test_a_scene_in_other_units_starts_alike(config, dataset):
    here = initial_gaussians(config, dataset)
    for view in dataset.train:
        view.camera.viewmat[:3, 3] *= 1000
    dataset.points = dataset.points._replace(xyz=1000 * dataset.points.xyz)
    dataset.scale = replace(
        dataset.scale,
        length=1000 * dataset.scale.length,
        center=1000 * dataset.scale.center,
        radius=1000 * dataset.scale.radius,
    )
    there = initial_gaussians(config, dataset)
    torch.testing.assert_close(there.means, 1000 * here.means)
    torch.testing.assert_close(there.scales.exp(), 1000 * here.scales.exp(), rtol=1e-5, atol=0)
