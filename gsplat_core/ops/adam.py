"""Fake kernel of ``gsplat_core::adam_step_``, one Adam step of one parameter in place."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from gsplat_core.ops import library as library


class Update(NamedTuple):
    """What a step of one parameter takes besides its gradient."""

    exp_avg: Tensor
    exp_avg_sq: Tensor
    step: int
    lr: float
    options: tuple[float, float, float, bool]
    """beta1, beta2, eps, bias_correction"""
    others_at_rest: bool = False
    """Whether the entries that have no gradients have no moments either."""


class StepsOneByOne(Protocol):
    """An optimizer whose step of a parameter an operator may carry out (`gsplat_core.optim.Adam`)."""

    def next_update(self, param: Tensor, moved: int | None = None) -> Update:
        """Begins a step of this parameter alone.

        Args:
            param: [N, ...]
            moved: of a parameter [N, K, ...], only entries [:, :moved] have gradients in this step; None: all
                may have.

        Raises:
            ValueError: the parameter is not one of this optimizer's.
        """


def adam_step_(
    param: Tensor,
    grad: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    visible: Tensor | None,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    bias_correction: bool = True,
) -> None:
    """Updates ``param``, ``exp_avg`` and ``exp_avg_sq`` by Adam's formulas (Kingma and Ba 2015, algorithm 1).

    Args:
        param: [N, ...] float32, contiguous; so are the moments. Written in place.
        grad: its gradient, same shape.
        exp_avg, exp_avg_sq: running means of the gradient and of its square. Written in place.
        visible: bool [N]; where False, the row of all three stays as it is. None: all rows.
        step: the number of this step, from 1, for the bias correction.
        lr, beta1, beta2, eps: as in torch.optim.Adam.
        bias_correction: divide the moments by 1 - beta^step, as Adam does.
    """
    torch.ops.gsplat_core.adam_step_(
        param, grad, exp_avg, exp_avg_sq, visible, step, lr, beta1, beta2, eps, bias_correction
    )


@torch.library.register_fake("gsplat_core::adam_step_")
def _fake(
    param: Tensor,
    grad: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    visible: Tensor | None,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    bias_correction: bool = True,
) -> None:
    return None
