"""Training with --sparse: Gaussians stay on their rays, then go free; it goes on to the bit; refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_runs import Run, assert_same_bits, interrupted_at

from gsplat_core.errors import UsageError
from gsplat_core.scene.pixel_aligned import pixel_rays
from trainers.cli import main
from trainers.config import TrainConfig, read_config
from trainers.few_views import advice, with_few_views
from trainers.parts.pixel_aligned import PixelAligned, PixelAlignedConfig
from trainers.parts.registry import create, refuse_second_order
from trainers.run_folder import RunFolder
from trainers.sources import load_photographs

SETTINGS = PixelAlignedConfig(until=0.5, spacing=4, rate=0.02)


@pytest.fixture
def few(config: TrainConfig) -> TrainConfig:
    """Two photographs of a ring of twelve, on which the others are not trained."""
    config = with_few_views(replace(config, steps=12, test_every=0))
    return replace(config, parts={**config.parts, "pixel_aligned": SETTINGS})


def on_rays(rays, means):
    return (rays.at(rays.depths(means)) - means).norm(dim=1).max()


def test_they_stay_on_their_rays_until_they_are_let_go(few, tmp_path) -> None:
    rays = pixel_rays(load_photographs(few).train, SETTINGS.spacing)
    depths, away, numbers = [], [], []

    def look(trainer):
        params = trainer.store.params
        numbers.append(trainer.num_gaussians)
        if len(params["means"]) == len(rays):
            means = params["means"].detach()
            away.append(float(on_rays(rays, means)))
            depths.append(rays.depths(means))
            if trainer.step <= 6:
                # Round, and as large as their depth says.
                sizes = params["scales"].detach().exp()
                expected = (0.5 * rays.widths * depths[-1])[:, None].expand(-1, 3)
                torch.testing.assert_close(sizes, expected, rtol=1e-4, atol=0)

    run = Run(few, tmp_path / "run", look)
    run.fit()
    assert numbers[:6] == [len(rays)] * 6
    assert max(away[:6]) < 1e-4
    assert away[7] > max(away[:6])
    # What is on one photograph moves together, and not all by the same factor.
    moved = depths[5] / depths[0]
    assert float((moved - 1).abs().max()) > 1e-3
    assert float(moved[: rays.fine[0]].std()) > 1e-5


def test_it_goes_on_to_the_bit(few, tmp_path) -> None:
    whole = Run(few, tmp_path / "whole")
    whole.fit()
    for step in (3, 8):
        resumed = interrupted_at(step, few, tmp_path / f"at{step}")
        assert_same_bits(resumed.state(), whole.state())


def test_depths_that_are_wrong_by_a_line_are_corrected_by_tracks(few, tmp_path) -> None:
    dataset = load_photographs(few)
    part = PixelAligned(replace(SETTINGS, tracks=1.0), few, dataset.train)
    rays = pixel_rays(dataset.train, SETTINGS.spacing)
    part.initialize(len(rays), torch.device("cpu"))
    part.prepare(dataset, lambda text: None)
    part._tracks = (torch.arange(len(rays)), torch.full((len(rays),), 0.25))
    params = {"means": rays.at(1 / torch.full((len(rays),), 0.25 * 1.2)), "quats": torch.zeros(len(rays), 4)}
    optimizer = torch.optim.Adam([group.tensor for group in part.parameters()], lr=0.02)
    for _ in range(30):
        optimizer.zero_grad()
        part.shown(1, params, None)
        part.loss(1, None, None).backward()
        optimizer.step()
    found = 1 / rays.depths(part.shown(1, params, None)["means"].detach())
    assert float((found / 0.25 - 1).abs().mean()) < 0.02


def test_from_the_command_line_and_again(tiny_scene, tmp_path) -> None:
    run = RunFolder(tmp_path / "run")
    options = ["train", str(tiny_scene), "-o", str(run.path), "--preset", "tiny", "--steps", "6", "--sparse"]
    options += ["--test-every", "3", "--set", "pixel_aligned.spacing=4"]
    assert main(options) == 0
    config = read_config(run.config)
    assert config.sh_degree == 1
    assert {"pixel_aligned", "smooth_depths"} <= config.parts.keys()
    assert main(["eval", str(run.path)]) == 0
    assert main([*options, "--resume"]) == 0


def test_what_it_does_not_go_with(few) -> None:
    with pytest.raises(UsageError, match="--sparse"):
        refuse_second_order(replace(few, optimizer="lm"))
    # A scene that is trained on, from a file, is on no rays.
    assert create(replace(few, start="scene.ply")).find(PixelAligned) is None


def test_it_is_advised_for_few_photographs(config) -> None:
    dataset = load_photographs(replace(config, test_every=0))
    assert advice(config, dataset) == ""
    dataset.train = dataset.train[:3]
    assert "--sparse" in advice(config, dataset)
    assert advice(with_few_views(config), dataset) == ""
    assert np.isfinite(dataset.scale.length)
