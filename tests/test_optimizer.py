"""gsplat_core/optimizer.py: nothing of an optimizer waits for PyTorch's compiler."""

from __future__ import annotations

import torch

from gsplat_core.optim import Adam
from gsplat_core.spsa import SPSA


def loading_the_compiler(kind: type) -> set[str]:
    """The methods that load it when they are called for the first time."""
    decorated = torch._disable_dynamo(print).__code__
    return {name for name in dir(kind) if getattr(getattr(kind, name), "__code__", None) is decorated}


def test_no_method_loads_the_compiler() -> None:
    assert {"add_param_group", "zero_grad", "state_dict"} <= loading_the_compiler(torch.optim.Adam)
    assert not loading_the_compiler(Adam)
    assert not loading_the_compiler(SPSA)
