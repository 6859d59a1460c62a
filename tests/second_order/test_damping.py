"""The damping of Levenberg-Marquardt."""

from __future__ import annotations

import torch

from gsplat_core.second_order.damping import Kinds, damping, floored


def test_each_kind_is_damped_in_proportion_to_its_diagonal() -> None:
    diagonal = {"means": torch.tensor([[1.0, 2.0]]), "shN": torch.tensor([[4.0]])}
    added = damping(diagonal, 0.5, Kinds(means=3.0, shN=10.0), floor=0.1)
    assert torch.equal(added["means"], 1.5 * diagonal["means"])
    assert torch.equal(added["shN"], 5 * diagonal["shN"])


def test_the_floor_is_a_share_of_the_mean_of_what_is_seen() -> None:
    diagonal = torch.tensor([[1.0, 3.0], [0.0, 0.0], [2.0, 2.0]])
    assert floored(diagonal, 0.75).tolist() == [[1.5, 3.0], [1.5, 1.5], [2.0, 2.0]]
    assert (floored(torch.zeros(3, 2), 0.1) > 0).all()
