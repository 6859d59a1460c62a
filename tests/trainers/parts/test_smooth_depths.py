"""The total variation of what a scene shows of depths: against its formula, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from part_renderings import drawn, leaves, target

from gsplat_core.densify.strategy import Wants
from trainers.parts.smooth_depths import SmoothDepths, SmoothDepthsConfig

LENGTH = 3.0


def part_of(config, **settings):
    return SmoothDepths(SmoothDepthsConfig(**settings), replace(config, steps=30), ())


def photographed(mask=None):
    """With an edge in its middle."""
    seen = target(mask)
    image = seen.image.clone()
    image[:, 16:] = 51
    return replace(seen, image=image)


def test_the_loss_is_that_of_the_formula(config) -> None:
    mask = torch.ones(24, 32, dtype=torch.bool)
    mask[:, :6] = False
    seen = photographed(mask)
    rendering = drawn("gaussian", leaves(60), seen, LENGTH)
    loss = part_of(config, weight=0.7, weight_final=0.7, edge=0.1, jump=0.2).loss(1, rendering, seen)
    alphas = rendering.alphas[0, ..., 0].detach().double() * mask
    q = (LENGTH / (rendering.depths[0].detach().double() + seen.near)).tolist()
    total = 0.0
    for y in range(24):
        for x in range(32):
            for v, u in ((y, x + 1), (y + 1, x)):
                if v < 24 and u < 32 and abs(q[y][x] - q[v][u]) <= 0.2 * max(q[y][x], q[v][u]):
                    edge = float((seen.image[y, x] / 255 - seen.image[v, u] / 255).abs().mean())
                    count = min(float(alphas[y, x]), float(alphas[v, u]))
                    total += abs(q[y][x] - q[v][u]) * count * torch.tensor(-edge / 0.1).exp().item()
    assert float(loss.detach()) == pytest.approx(0.7 * total / float(alphas.sum()), rel=1e-4)


def test_going_down_its_slope_makes_surfaces_smooth(config) -> None:
    params, seen = leaves(60), target()
    part = part_of(config, jump=1.0)
    optimizer = torch.optim.Adam([params["means"]], lr=1e-2)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        value = part.loss(1, drawn("gaussian", params, seen), seen)
        value.backward()
        optimizer.step()
        losses.append(float(value.detach()))
    assert losses[-1] < 0.7 * losses[0]


def test_nothing_is_stretched_over_a_jump(config) -> None:
    seen = target()
    rendering = drawn("gaussian", leaves(), seen)
    steps = torch.ones(24, 32)
    steps[:, 16:] = 2.0
    rendering = replace(rendering, depths=steps[None].requires_grad_(), alphas=torch.ones(1, 24, 32, 1))
    assert part_of(config, jump=0.1).loss(1, rendering, seen) == 0
    assert part_of(config, jump=0.9).loss(1, rendering, seen) > 0


def test_where_nothing_is_seen_gradients_are_finite(config) -> None:
    params, seen = leaves(), target()
    moved = {**params, "means": params["means"] - 50.0}
    loss = part_of(config).loss(1, drawn("gaussian", moved, seen), seen)
    assert loss == 0


def test_it_counts_in_its_part_of_the_run(config) -> None:
    part = part_of(config, start=0.5)
    assert [part.wants(step) for step in (14, 15, 30)] == [Wants(), Wants(depth=True), Wants(depth=True)]
    seen = target()
    assert part.loss(14, drawn("gaussian", leaves(), seen), seen) is None
