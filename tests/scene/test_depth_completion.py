"""Numbers between known ones: they follow the photograph, and leave out who contradicts all others."""

from __future__ import annotations

import pytest
import torch

from gsplat_core.scene.depth_completion import completed


def two_colors():
    photograph = torch.zeros(20, 30, 3)
    photograph[:, 15:] = 0.9
    return photograph


def known_at(places, values):
    found = torch.full((20, 30), torch.nan)
    for (row, column), value in zip(places, values, strict=True):
        found[row, column] = value
    return found


def test_each_thing_is_as_far_away_as_what_is_known_of_it() -> None:
    values = known_at([(10, 5), (3, 25)], [1.0, 2.0])
    dense = completed(values, torch.ones(20, 30), two_colors())
    torch.testing.assert_close(dense[:, :15], torch.full((20, 15), 1.0), rtol=0.05, atol=0)
    torch.testing.assert_close(dense[:, 15:], torch.full((20, 15), 2.0), rtol=0.05, atol=0)


def test_between_known_numbers_of_one_thing_it_is_between() -> None:
    values = torch.full((20, 30), torch.nan)
    values[:, 0], values[:, -1] = 1.0, 1.2
    dense = completed(values, torch.full((20, 30), 1e3), torch.zeros(20, 30, 3))
    torch.testing.assert_close(dense, torch.linspace(1.0, 1.2, 30).expand(20, 30), rtol=2e-3, atol=0)


def test_one_who_contradicts_all_others_is_not_believed() -> None:
    values = torch.full((20, 30), torch.nan)
    values[::3, ::3] = 1.0
    values[9, 9] = 3.0
    dense = completed(values, torch.ones(20, 30), torch.zeros(20, 30, 3))
    assert float((dense - 1).abs().max()) < 0.02


def test_what_is_not_trusted_is_not_known() -> None:
    values = known_at([(2, 2), (15, 20)], [1.0, 5.0])
    trust = torch.ones(20, 30)
    trust[15, 20] = 0
    torch.testing.assert_close(
        completed(values, trust, torch.zeros(20, 30, 3)), torch.ones(20, 30), rtol=1e-3, atol=0
    )
    with pytest.raises(ValueError, match="no pixel"):
        completed(values, torch.zeros(20, 30), torch.zeros(20, 30, 3))
    assert completed(torch.ones(1, 1), torch.ones(1, 1), torch.zeros(1, 1, 3)).item() == pytest.approx(1)
