"""sequence/gates.py: hard concrete gates."""

from __future__ import annotations

import math

import torch

from gsplat_core.sequence.gates import HIGH, LOW, TEMPERATURE, WIDE_OPEN, gates, logits_of, probabilities


def test_a_gate_is_not_shut_as_often_as_its_logit_says() -> None:
    draws = torch.rand(200_000, generator=torch.Generator().manual_seed(0))
    for probable in (0.1, 0.5, 0.9):
        logit = torch.tensor(math.log(probable / (1 - probable)) + TEMPERATURE * math.log(-LOW / HIGH))
        open_ = gates(logit.expand(len(draws)), draws)
        assert abs(float((open_ > 0).float().mean()) - probable) < 5e-3
        assert abs(float(probabilities(logit)) - probable) < 1e-6
    half = torch.tensor([-0.3, 0.1, 1.0])
    torch.testing.assert_close(gates(half), gates(half, torch.full((3,), 0.5)))


def test_gates_are_between_shut_and_open_and_what_is_far_beyond_is_so() -> None:
    found = gates(torch.tensor([-1e9, -WIDE_OPEN, WIDE_OPEN, 1e9]))
    assert found.tolist() == [0, 0, 1, 1]
    logits = torch.linspace(-3, 3, 61, dtype=torch.float64)
    assert bool((gates(logits).diff() >= 0).all())


def test_derivatives_are_those_of_finite_differences() -> None:
    logits = torch.tensor([-0.15, 0.0, 0.05, 0.1], dtype=torch.float64, requires_grad=True)
    assert bool(((gates(logits) > 0) & (gates(logits) < 1)).all())
    assert torch.autograd.gradcheck(gates, logits)
    assert torch.autograd.gradcheck(probabilities, logits)


def test_what_pulls_as_the_median_does_is_open_by_half() -> None:
    pulls = torch.tensor([0.0, 1.0, 2.0, 6.0, 1e9])
    found = probabilities(logits_of(pulls))
    torch.testing.assert_close(found[1:4], torch.tensor([1 / 3, 0.5, 0.75]))
    assert float(found[0]) < 2e-3
    assert float(found[4]) > 0.998
    assert len(logits_of(pulls[:0])) == 0


def test_where_nothing_changed_all_are_shut() -> None:
    assert not gates(logits_of(torch.zeros(4))).any()
    only_one = gates(logits_of(torch.tensor([0.0, 0.0, 0.0, 1e-9])))
    assert only_one.tolist() == [0, 0, 0, 1]
