"""Surfaces that stay as they were from frame to frame: where it counts, and what it does to a scene."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from training_runs import Run, assert_same_bits, interrupted_at, tensors

from gsplat_core.errors import DataError, UsageError
from gsplat_core.io import save
from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import render
from gsplat_core.sequence.curvature import curvature
from trainers.parts.coherence import Coherence, CoherenceConfig, check_flow
from trainers.sources import load_photographs
from trainers.start import initial_gaussians


@pytest.fixture
def before(config, tmp_path):
    """The settings of a frame that starts as the one before, where nothing moves."""
    dataset = load_photographs(config)
    scene = initial_gaussians(config, dataset)
    save(tmp_path / "before.ply", scene)
    (tmp_path / "flow").mkdir()
    for view in dataset.train:
        flow = np.zeros((view.camera.height, view.camera.width, 2))
        np.save(tmp_path / "flow" / f"{view.name[:-4]}.backward.npy", flow)
    settings = CoherenceConfig(before=str(tmp_path / "before.ply"), flow=str(tmp_path / "flow"))
    return SimpleNamespace(scene=scene, views=dataset.train, settings=settings, flow=tmp_path / "flow")


def rendering_of(scene, view):
    rendered = render(scene, view.camera, outputs=Outputs(further=("normals",)))
    return SimpleNamespace(alphas=rendered.alphas, meta=rendered.meta)


def target_of(view, number=0, mask=None):
    return SimpleNamespace(view=number, width=view.camera.width, height=view.camera.height, mask=mask)


def test_the_same_scene_costs_nothing_and_another_what_its_curvature_differs_by(config, before) -> None:
    part = Coherence(before.settings, replace(config, steps=10), before.views)
    view = before.views[0]
    same = part.loss(1, rendering_of(before.scene, view), target_of(view))
    assert float(same) < 1e-9
    turned = replace(before.scene, scales=before.scene.scales + torch.tensor([0.0, 0.3, -0.8]))
    now = rendering_of(turned, view)
    first, last = (float(part.loss(step, now, target_of(view))) for step in (0, 10))
    assert first == pytest.approx(2 * last)  # 0.04 and 0.02
    was = rendering_of(before.scene, view)
    apart = (curvature(now.meta["normals"][0]) - curvature(was.meta["normals"][0])).square()
    covered = (now.alphas[0, ..., 0] > 0.1).numpy()
    padded = np.pad(covered, 4, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (9, 9)).all((2, 3))
    assert windows.any()
    assert first == pytest.approx(0.04 * float(apart[torch.from_numpy(windows.copy())].mean()), rel=1e-3)
    nothing = torch.zeros(view.camera.height, view.camera.width, dtype=torch.bool)
    assert float(part.loss(0, now, target_of(view, mask=nothing))) == 0


def test_flow_tells_where_it_was_and_where_it_does_not_count(config, before) -> None:
    view, stem = before.views[0], before.views[0].name[:-4]
    shape = (view.camera.height, view.camera.width, 2)
    backward = np.zeros(shape)
    backward[..., 0] = 3
    np.save(before.flow / f"{stem}.backward.npy", backward)
    part = Coherence(before.settings, config, before.views)
    found = part._before(0)
    was = curvature(rendering_of(before.scene, view).meta["normals"][0])
    torch.testing.assert_close(found.curvature[2:-2, 2:-6], was[2:-2, 5:-3])
    assert not found.counts[:, -3:].any()
    assert found.counts[:, :-3].all()
    np.save(before.flow / f"{stem}.forward.npy", -5 * backward)  # leads elsewhere
    assert not Coherence(before.settings, config, before.views)._before(0).counts.any()
    (before.flow / f"{stem}.backward.npy").unlink()
    part = Coherence(before.settings, config, before.views)
    assert part.loss(1, rendering_of(before.scene, view), target_of(view)) is None


def test_flow_of_another_size_and_none_at_all_are_refused(config, before) -> None:
    view = before.views[0]
    np.save(before.flow / f"{view.name[:-4]}.backward.npy", np.zeros((3, 4, 2)))
    with pytest.raises(DataError, match=r"has the shape \[3, 4, 2\]"):
        Coherence(before.settings, config, before.views)._before(0)
    with pytest.raises(DataError, match=r"there is no flow, such as 000\.backward\.npy"):
        check_flow(before.flow, "t2", ["000.png"])
    with pytest.raises(UsageError, match="--temporal-normals"):
        Coherence(CoherenceConfig(), config, ())


def test_an_interrupted_run_goes_on_to_the_bit(config, before, tmp_path) -> None:
    training = replace(config, steps=16, parts={"coherence": replace(before.settings, weight=5.0)})
    whole = Run(training, tmp_path / "whole")
    whole.fit()
    assert_same_bits(interrupted_at(9, training, tmp_path / "parts").state(), whole.state())
    plain = Run(replace(training, parts={}), tmp_path / "plain")
    plain.fit()
    found, without = (dict(tensors(run.state()["gaussians"])) for run in (whole, plain))
    assert any(not torch.equal(found[name], without[name]) for name in found)
