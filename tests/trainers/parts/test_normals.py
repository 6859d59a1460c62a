"""Training with maps of normals: the loss against its formula, and that it turns what is seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from part_renderings import drawn, leaves, target
from training_runs import Run, assert_same_bits, interrupted_at

from gsplat_core.densify.strategy import Wants
from gsplat_core.errors import UsageError
from gsplat_core.render.surfaces import normals_of_depths
from trainers.parts.normals import Normals, NormalsConfig
from trainers.parts.registry import refuse_second_order, with_folder
from trainers.sources import load_photographs

SETTINGS = NormalsConfig(folder="normals", weight=0.5, weight_final=0.5)


def part_of(config, normals, settings=SETTINGS):
    part = Normals(settings, replace(config, steps=30), ())
    part._known = {0: normals}
    return part


def some_normals():
    normals = torch.randn(24, 32, 3, generator=torch.Generator().manual_seed(3)) - torch.tensor([0, 0, 3.0])
    normals = torch.nn.functional.normalize(normals, dim=-1)
    normals[3:9, 4:12] = 0
    return normals


@pytest.mark.parametrize("kind", ["gaussian", "2dgs"])
def test_the_loss_is_that_of_the_formula(kind, config) -> None:
    mask = torch.ones(24, 32, dtype=torch.bool)
    mask[:, :10] = False
    seen, normals = target(mask), some_normals()
    rendering = drawn(kind, leaves(), seen)
    there = mask & (normals != 0).any(-1)
    alphas = rendering.alphas[0, ..., 0].double()
    expected = (alphas - (rendering.meta["normals"][0].double() * normals).sum(-1))[there].mean()
    loss = part_of(config, normals).loss(1, rendering, seen)
    torch.testing.assert_close(loss.double(), 0.5 * expected, rtol=1e-5, atol=1e-7)
    depths = (rendering.hits[..., 0] / rendering.alphas[..., 0].clamp(min=1e-10)).double()
    found = normals_of_depths(depths, seen.viewmat.double(), seen.K.double())[0]
    inner = there & (found != 0).any(-1)
    expected = expected + 2 * (alphas * (1 - (found * normals).sum(-1)))[inner].mean()
    loss = part_of(config, normals, replace(SETTINGS, depths=2.0)).loss(1, rendering, seen)
    torch.testing.assert_close(loss.double(), 0.5 * expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", ["gaussian", "2dgs"])
def test_going_down_the_slope_of_the_loss_lowers_it(kind, config) -> None:
    params, seen, part = leaves(), target(), part_of(config, torch.tensor([0.6, 0.0, -0.8]).expand(24, 32, 3))
    optimizer = torch.optim.Adam(params.values(), lr=1e-2)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = part.loss(1, drawn(kind, params, seen), seen)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_it_needs_a_folder_and_who_does_not_prepare_it_gets_nothing(config) -> None:
    assert Normals(SETTINGS, config, ()).wants(1) == Wants()
    with pytest.raises(UsageError, match="--normals FOLDER"):
        Normals(NormalsConfig(), config, ())
    with pytest.raises(UsageError, match=r"--optimizer lm knows no normals; leave out --normals"):
        refuse_second_order(replace(with_folder(config, "normals", "x"), optimizer="lm"))


def test_an_interrupted_run_goes_on_to_the_bit(config, tmp_path: Path) -> None:
    for view in load_photographs(config).train[2:]:
        vectors = np.zeros((36, 48, 3)) - [0.0, 0.6, 0.8]
        np.save(tmp_path / Path(view.name).with_suffix(".npy"), vectors)
    config = with_folder(config, "normals", str(tmp_path))
    whole = Run(config, tmp_path / "whole")
    whole.fit()
    assert any("7 of 9 training photographs have a map" in note for note in whole.notes)
    assert_same_bits(interrupted_at(18, config, tmp_path / "parts").state(), whole.state())
