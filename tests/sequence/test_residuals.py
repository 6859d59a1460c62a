"""sequence/residuals.py: a frame from the one before it, and derivatives through what is rounded."""

from __future__ import annotations

import torch
from splat_files import typical_scene

from gsplat_core.sequence.residuals import LATENTS, as_stored, changed, rounded


def test_rounding_passes_gradients_straight_through() -> None:
    values = torch.tensor([0.2, 0.6, -1.7], requires_grad=True)
    assert rounded(values).tolist() == [0, 1, -2]
    (rounded(values) * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [1, 2, 3]
    decoder = torch.tensor([0.1234567], requires_grad=True)
    assert torch.equal(as_stored(decoder), as_stored(decoder).half().float())
    as_stored(decoder).sum().backward()
    assert decoder.grad is not None
    assert decoder.grad.tolist() == [1]


def test_derivatives_are_those_of_finite_differences() -> None:
    before = {name: value.double() for name, value in typical_scene(3, 1).params.items()}
    random = torch.Generator().manual_seed(0)
    inputs = []
    for name, size in LATENTS.items():
        inputs.append(torch.randn(3, size, generator=random, dtype=torch.float64, requires_grad=True))
        columns = before[name][0].numel()
        inputs.append(torch.randn(size, columns, generator=random, dtype=torch.float64, requires_grad=True))
    shifts = torch.randn(3, 3, generator=random, dtype=torch.float64, requires_grad=True)

    def now(shifts: torch.Tensor, *numbers: torch.Tensor) -> tuple[torch.Tensor, ...]:
        latents, decoders = (dict(zip(LATENTS, some, strict=True)) for some in (numbers[::2], numbers[1::2]))
        found = changed(before, latents, decoders, shifts)
        return tuple(found.values())

    assert torch.autograd.gradcheck(now, (shifts, *inputs))
