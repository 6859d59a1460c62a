"""What strategies are told of a rendering."""

from __future__ import annotations

import torch

from gsplat_core.densify import RenderStats


def stats(targets: torch.Tensor | None) -> RenderStats:
    return RenderStats(
        torch.zeros(1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int32), 4, 3, 1, targets=targets
    )


def test_photographs_are_fractions_whatever_they_were_stored_as() -> None:
    stored = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 1, 1, 3)
    found = stats(stored).photographs
    assert found is not None
    torch.testing.assert_close(found.flatten(), torch.tensor([0.0, 0.2, 1.0]))
    fractions = torch.rand(1, 3, 4, 3)
    assert stats(fractions).photographs is fractions
    assert stats(None).photographs is None
