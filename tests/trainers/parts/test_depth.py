"""Training with what is known of depths: the loss against its formula, what reaches it, and what it does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from part_renderings import drawn, leaves, target
from training_runs import Run, assert_same_bits, interrupted_at

from gsplat_core.densify.strategy import Wants
from gsplat_core.errors import DataError, UsageError
from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import render
from gsplat_core.scene.known_depths import KnownDepth
from trainers.cli import main
from trainers.config import read_config
from trainers.parts.depth import Depth, DepthConfig
from trainers.parts.registry import refuse_second_order, with_folder
from trainers.sources import load_photographs

LENGTH = 3.0
STEADY = DepthConfig(weight=0.5, weight_final=0.5)


def part_of(config, values, kind=None, settings=STEADY):
    part = Depth(settings, replace(config, steps=30), ())
    part._known = {0: KnownDepth(lambda width, height: values, kind)}
    part._length = LENGTH
    return part


def some_q(seed=1):
    q = 1 / (3 + 2 * torch.rand(24, 32, generator=torch.Generator().manual_seed(seed)))
    q[4:8, 4:20] = torch.nan
    return q


@pytest.mark.parametrize("kind", ["gaussian", "2dgs", "ray"])
def test_the_loss_is_that_of_the_formula(kind, config) -> None:
    mask = torch.ones(24, 32, dtype=torch.bool)
    mask[:, :10] = False
    seen, q = target(mask), some_q()
    rendering = drawn(kind, leaves(), seen)
    counts = torch.where(mask & q.isfinite(), rendering.alphas[0, ..., 0].double(), 0)
    found = 1 / (rendering.depths[0].double() + seen.near)
    apart = (found - q.double()).abs() * LENGTH
    expected = 0.5 * (apart * counts).nansum() / counts.sum()
    loss = part_of(config, q).loss(1, rendering, seen)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=0)

    there = counts > 0
    pairs = torch.stack([found[there], q.double()[there]])
    correlation = torch.cov(pairs, aweights=counts[there])
    expected = 0.5 * (1 - correlation[0, 1] / (correlation[0, 0] * correlation[1, 1]).sqrt())
    loss = part_of(config, q, settings=replace(STEADY, loss="pearson")).loss(1, rendering, seen)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["gaussian", "2dgs"])
@pytest.mark.parametrize("loss", ["inverse", "pearson"])
def test_going_down_the_slope_of_the_loss_lowers_it(kind, loss, config) -> None:
    params, seen = leaves(), target()
    plane = 1 / torch.linspace(3, 6, 32).expand(24, 32)
    part = part_of(config, plane, settings=replace(STEADY, loss=loss))
    optimizer = torch.optim.Adam(params.values(), lr=1e-2)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        value = part.loss(1, drawn(kind, params, seen), seen)
        value.backward()
        optimizer.step()
        losses.append(float(value.detach()))
    assert losses[-1] < 0.8 * losses[0]
    assert all(bool(param.grad is None or param.grad.isfinite().all()) for param in params.values())


@pytest.mark.parametrize("kind", ["relative", "disparity"])
def test_numbers_that_are_a_line_of_what_the_scene_shows_cost_nothing(kind, config) -> None:
    seen = target()
    rendering = drawn("gaussian", leaves(), seen)
    depths = rendering.depths[0].detach()
    values = 3 * (depths if kind == "relative" else 1 / (depths + seen.near)) + 7
    values[:5] = torch.nan
    loss = part_of(config, values, kind).loss(1, rendering, seen)
    assert loss < 1e-5 < 1e-4 < part_of(config, values**3, kind).loss(1, rendering, seen)
    # Turned the other way round they say nothing.
    assert part_of(config, -values, kind).loss(1, rendering, seen) is None


def test_without_anything_visible_or_known_there_is_no_gradient(config) -> None:
    params, seen = leaves(), target()
    for values in (torch.full((24, 32), torch.nan), some_q()):
        for shift in (0.0, -50.0):
            moved = {**params, "means": params["means"] + torch.tensor([0.0, 0.0, shift])}
            loss = part_of(config, values).loss(1, drawn("gaussian", moved, seen), seen)
            if shift or bool(values.isnan().all()):
                assert loss == 0


def test_it_counts_between_its_start_and_its_end_with_a_weight_that_falls(config) -> None:
    seen, q = target(), some_q()
    rendering = drawn("gaussian", leaves(), seen)
    settings = DepthConfig(weight=1.0, weight_final=0.01, start=0.2, end=0.8)
    part = part_of(config, q, settings=settings)
    losses = {step: part.loss(step, rendering, seen) for step in (1, 6, 15, 24, 25)}
    assert losses[1] is losses[25] is None
    assert float(losses[6].detach() / losses[24].detach()) == pytest.approx(100 ** (18 / 30), rel=1e-4)
    assert [part.wants(step).depth for step in (1, 6, 24, 25)] == [False, True, True, False]
    other = replace(seen, view=1)
    assert part.loss(6, rendering, other) is None


def test_who_does_not_prepare_it_gets_nothing_of_it(config) -> None:
    part = Depth(DepthConfig(folder="nowhere"), config, ())
    assert part.wants(1) == Wants()


@pytest.fixture
def maps(config, tmp_path: Path) -> Path:
    """Depths by the points that the tiny scene is made of, and one map is missing."""
    dataset = load_photographs(config)
    for view in dataset.train[1:]:
        local = (
            dataset.points.xyz.double().numpy() @ view.camera.viewmat[:3, :3].T + view.camera.viewmat[:3, 3]
        )
        uv = (local @ view.camera.K.T)[:, :2] / local[:, 2:]
        y, x = np.mgrid[: view.camera.height, : view.camera.width] + 0.5
        nearest = ((x[..., None] - uv[:, 0]) ** 2 + (y[..., None] - uv[:, 1]) ** 2).argmin(-1)
        np.save(tmp_path / Path(view.name).with_suffix(".npy"), local[nearest, 2])
    return tmp_path


def test_a_person_is_told_what_there_is(config, maps: Path) -> None:
    def told(**settings):
        run = Run(replace(config, parts={"depth": DepthConfig(folder=str(maps), **settings)}), maps / "run")
        run.loop()
        return " ".join(run.notes)

    assert "8 of 9 training photographs have a map" in told()
    assert "1, such as '001.png', have none" in told()
    assert "depths in the capture's units, as the 3D points say" in told()
    for path in maps.glob("*.npy"):
        np.save(path, 5 - 2 / np.load(path))  # falls with the inverse depth
    assert "depths up to a factor and an offset" in told()
    assert "8 maps are aligned to the 3D points" in told()
    assert "0 maps are aligned to the 3D points of their photographs, 8 to what" in told(align="rendering")
    for path in maps.glob("*.npy"):
        np.save(path, np.random.default_rng(0).uniform(1, 2, (36, 48)))
    assert "warning: that is no better than one depth" in told(kind="disparity")
    np.save(maps / "002.npy", np.full((36, 48), np.nan))
    with pytest.raises(DataError, match=r"002\.npy: no pixel of this depth map is known"):
        told()


def test_maps_without_points_need_their_kind(config, maps: Path, tiny_scene: Path) -> None:
    dataset = load_photographs(config)
    dataset.points = dataset.points._replace(xyz=torch.zeros(0, 3))
    dataset.sightings = [torch.zeros(0, dtype=torch.int64) for _ in dataset.train]
    part = Depth(DepthConfig(folder=str(maps)), config, dataset.train)
    with pytest.raises(UsageError, match=r"--set depth\.kind=metric"):
        part.prepare(dataset, print)
    Depth(DepthConfig(folder=str(maps), kind="disparity"), config, dataset.train).prepare(dataset, print)
    with pytest.raises(UsageError, match="no training photograph shows any 3D point"):
        Depth(DepthConfig(), config, dataset.train).prepare(dataset, print)


def depth_error(run, config):
    errors = []
    for view in load_photographs(config).test:
        scene = run.trainer.gaussians.detached()
        drawn = render(scene, view.camera, outputs=Outputs(depth="expected"))
        local = torch.from_numpy(view.camera.viewmat).float()
        known = load_photographs(config).points.xyz @ local[:3, :3].T + local[:3, 3]
        uv = (known @ torch.from_numpy(view.camera.K).float().T)[:, :2] / known[:, 2:]
        inside = ((uv >= 0) & (uv < torch.tensor([48.0, 36.0]))).all(-1)
        found = drawn.depths[0][uv[inside, 1].long(), uv[inside, 0].long()]
        errors.append(((found - known[inside, 2]).abs() / known[inside, 2]).median())
    return float(torch.stack(errors).mean())


def test_depths_of_views_that_nobody_trained_on_come_out_better(config, maps: Path, tmp_path: Path) -> None:
    settings = DepthConfig(folder=str(maps), weight=3.0, weight_final=3.0)
    plain, known = (
        Run(config, tmp_path / "a"),
        Run(replace(config, parts={"depth": settings}), tmp_path / "b"),
    )
    plain.fit()
    known.fit()
    assert depth_error(known, config) < 0.9 * depth_error(plain, config)


@pytest.mark.parametrize("folder", ["sparse", "maps"])
def test_an_interrupted_run_goes_on_to_the_bit(config, maps: Path, tmp_path: Path, folder: str) -> None:
    settings = DepthConfig(
        folder=str(maps) if folder == "maps" else folder, align="rendering", kind="relative"
    )
    config = replace(config, parts={"depth": settings})
    whole = Run(config, tmp_path / "whole")
    whole.fit()
    assert_same_bits(interrupted_at(18, config, tmp_path / "parts").state(), whole.state())


def test_the_second_order_optimizer_knows_no_depths(config) -> None:
    with pytest.raises(UsageError, match=r"--optimizer lm knows no depths; leave out --depth"):
        refuse_second_order(replace(with_folder(config, "depth", "sparse"), optimizer="lm"))


def test_a_command_trains_with_it_and_the_same_command_goes_on(tiny_scene, maps, tmp_path, capsys) -> None:
    run = tmp_path / "run"
    words = ["train", str(tiny_scene), "-o", str(run), "--depth", str(maps)]
    start = ["--preset", "tiny", "--steps", "2", "--set", "depth.weight=0.5", "--sky", "never"]
    assert main([*words, *start]) == 0
    written = read_config(run / "config.json").parts["depth"]
    assert (written.folder, written.weight) == (str(maps), 0.5)
    told = " ".join(capsys.readouterr().out.split())
    assert "The maps hold depths in the capture's units, as the 3D points say." in told
    assert main([*words, "--resume"]) == 0
    assert main([*words[:-1], "sparse", "--resume"]) == 2
    assert "was started with --depth" in capsys.readouterr().err
    assert main([*words[:-1], "nowhere", "-o", str(tmp_path / "other")]) == 3
    assert "the folder of depth maps does not exist" in " ".join(capsys.readouterr().err.split())
