"""Needles cost something, what is rounder nothing."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from trainers.parts.roundness import Roundness, RoundnessConfig


def test_only_what_is_longer_than_asked_is_made_shorter_and_thicker() -> None:
    scales = torch.tensor([[1.0, 2.0, 3.0], [1.0, 40.0, 2.0], [0.5, 0.1, 0.7]], requires_grad=True)
    part = Roundness(RoundnessConfig(ratio=10.0, weight=3.0), None, ())  # type: ignore[arg-type]
    loss = part.loss(1, SimpleNamespace(splats={"scales": scales}), None)  # type: ignore[arg-type]
    assert loss is not None
    assert float(loss) == pytest.approx(3 * math.log(4) / 3, rel=1e-6)
    loss.backward()
    assert scales.grad is not None
    assert torch.equal(scales.grad.sign(), torch.tensor([[0.0, 0, 0], [-1, 1, 0], [0, 0, 0]]))
