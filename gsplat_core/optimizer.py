"""What optimizers are built on."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _plain(method: Callable[_P, _T]) -> Callable[_P, _T]:
    """PyTorch's method itself. What it puts around some keeps its compiler out of them, and loads that
    for it when one is called for the first time: two seconds at the start of every training."""
    plain: Callable[_P, _T] = getattr(method, "__wrapped__", method)
    return plain


class Optimizer(torch.optim.Optimizer):
    """``torch.optim.Optimizer``, which does not wait for PyTorch's compiler."""

    add_param_group = _plain(torch.optim.Optimizer.add_param_group)
    zero_grad = _plain(torch.optim.Optimizer.zero_grad)
    state_dict = _plain(torch.optim.Optimizer.state_dict)
    load_state_dict = _plain(torch.optim.Optimizer.load_state_dict)
