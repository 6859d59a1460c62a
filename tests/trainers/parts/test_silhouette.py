"""Outlines of objects: how much the scene covers is what photographs' transparency says."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from trainers.parts.crisp import Crisp, CrispConfig
from trainers.parts.silhouette import Silhouette, SilhouetteConfig


def seen(alpha):
    return SimpleNamespace(alpha=lambda: alpha)


def rendering_of(alphas):
    return SimpleNamespace(alphas=alphas[None, ..., None])


def target_of(size, mask=None):
    return SimpleNamespace(view=0, height=size[0], width=size[1], mask=mask)


def test_the_loss_is_the_mean_cross_entropy() -> None:
    g = torch.Generator().manual_seed(0)
    alphas, outline = (torch.rand(4, 6, generator=g) for _ in range(2))
    outline = (outline * 255).round()
    alphas[0, 0] = 1.0
    part = Silhouette(SilhouetteConfig(weight=0.5), None, [seen(outline.to(torch.uint8))])
    t, a = outline.double() / 255, alphas.double().clamp(1e-6, 1 - 1e-6)
    entropy = -(t * a.log() + (1 - t) * (1 - a).log())
    loss = part.loss(1, rendering_of(alphas), target_of((4, 6)))
    assert float(loss) == pytest.approx(0.5 * float(entropy.mean()), rel=1e-3)
    mask = torch.zeros(4, 6, dtype=torch.bool)
    mask[2:] = True
    loss = part.loss(1, rendering_of(alphas), target_of((4, 6), mask))
    assert float(loss) == pytest.approx(0.5 * float(entropy[2:].sum() / 24), rel=1e-3)


def test_photographs_that_are_whole_say_nothing_and_small_images_are_compared() -> None:
    assert Silhouette(SilhouetteConfig(), None, [seen(None)]).loss(1, None, target_of((4, 6))) is None
    half = torch.zeros(8, 12, dtype=torch.uint8)
    half[:, 6:] = 255
    alphas = torch.zeros(4, 6)
    alphas[:, 3:] = 1.0
    part = Silhouette(SilhouetteConfig(), None, [seen(half)])
    fitting = part.loss(1, rendering_of(alphas), target_of((4, 6)))
    assert float(fitting) < 0.1 < float(part.loss(1, rendering_of(1 - alphas), target_of((4, 6))))


def test_opacities_are_drawn_away_from_one_half_but_not_faint_ones() -> None:
    opacities = torch.tensor([0.3, 0.5, 0.52, 0.8, 0.999], requires_grad=True)
    loss = Crisp(CrispConfig(weight=2.0), None, ()).loss(
        1, SimpleNamespace(splats={"opacities": opacities}), None
    )
    expected = 2.0 * (torch.tensor([0.02, 0.3]).square() * -20).exp().sum() / 5
    assert float(loss.detach()) == pytest.approx(float(expected), rel=1e-5)
    loss.backward()
    assert opacities.grad.sign().tolist() == [0, 0, -1, -1, 0]
