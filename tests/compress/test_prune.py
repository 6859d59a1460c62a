"""Rules of pruning by name: what they leave, and what they are asked for."""

from __future__ import annotations

import pytest
import torch
from compress.scenes import scene

from gsplat_core.compress.prune import RULES, Pruning
from gsplat_core.errors import UsageError
from gsplat_core.scene.cameras import Camera


@pytest.fixture
def cameras() -> list[Camera]:
    pose = torch.eye(4)
    pose[2, 3] = 4.0
    pose[:2, 3] = -5.0
    K = torch.tensor([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]])
    return [Camera(pose.double().numpy(), K.double().numpy(), 64, 48)]


@pytest.mark.parametrize("rule", RULES)
def test_what_is_left_are_rows_of_the_scene_in_their_order(rule: str, cameras: list[Camera]) -> None:
    gaussians = scene(200)
    gaussians.extras["row"] = torch.arange(200)
    left = Pruning(rule, 0.7).applied(gaussians, cameras)
    rows = left.extras["row"]
    assert left.num == 60
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert torch.equal(left.means, gaussians.means[rows])
    assert Pruning(rule, 0.999).applied(gaussians, cameras).num == 1


def test_by_opacity_the_faint_ones_go() -> None:
    gaussians = scene(50)
    left = Pruning("opacity", 0.5).applied(gaussians)
    assert left.opacities.min() >= gaussians.opacities.median()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("spectral", "RULE:RATE"),
        ("spectral:", "RULE:RATE"),
        ("spectral:half", "RULE:RATE"),
        ("spectral:0", "between 0 and 1"),
        ("spectral:1", "between 0 and 1"),
        ("spectral:-0.5", "between 0 and 1"),
        ("spectral:nan", "between 0 and 1"),
        ("magic:0.5", "there are: spectral, opacity, contribution"),
    ],
)
def test_what_says_nothing_is_refused(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Pruning.of(text)
    assert Pruning.of("spectral:0.25") == Pruning("spectral", 0.25)
