"""Gradients from renderings alone: parameters are moved by random signs, and what a pixel's loss does is put
down to the Gaussians in that pixel.

With signs s, a step e and the losses L_p of the pixels, one draw is

    g_i = s_i / (2 e) sum_{p in P(i)} (L_p(x + e s) - L_p(x - e s))

where P(i) are the pixels that list the Gaussian of the parameter i (Deliot, Heitz and Belcour, "Transforming
a Non-Differentiable Rasterizer into a Differentiable One with Stochastic Gradient Estimation", I3D 2024). The
other parameters of those pixels are its noise, whose mean is zero: the mean of many draws is the gradient, up
to the square of the step. Without lists P(i) is the whole image, and this is the simultaneous perturbation of
Spall (1992), whose noise grows with all parameters there are instead of with those in a pixel.

Only values are asked for, so it works for any renderer, whatever it can differentiate:
:class:`gsplat_core.spsa.SPSA` trains with it, :mod:`gsplat_core.gradient_check` compares derivatives with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor


class Pixels(NamedTuple):
    """What a rendering costs, and of which Gaussians it is made.

    Args:
        losses: [P], a loss for each pixel; what is minimized is their sum. lists: [P, K] integers, the
        numbers of the Gaussians in each pixel, each once, and -1 for none. What is
            missing there gets no gradient of the pixel. None if all pixels may depend on all parameters.
    """

    losses: Tensor
    lists: Tensor | None = None

    @staticmethod
    def of(measured: Pixels | Tensor | float) -> Pixels:
        """A loss alone is that of an image of one pixel.

        Raises:
            ValueError: shapes or types do not fit.
        """
        if not isinstance(measured, Pixels):
            loss = torch.as_tensor(measured)
            if loss.numel() != 1:
                raise ValueError(f"a loss must be one number or Pixels, got a tensor {list(loss.shape)}")
            return Pixels(loss.detach().reshape(1))
        losses, lists = measured
        if losses.dim() != 1:
            raise ValueError(f"losses of pixels must be [P], got {list(losses.shape)}")
        if lists is not None:
            if lists.dim() != 2 or len(lists) != len(losses):
                raise ValueError(f"lists of {len(losses)} pixels must be [P, K], got {list(lists.shape)}")
            if lists.is_floating_point() or lists.dtype == torch.bool:
                raise ValueError(f"lists must be integers, got {lists.dtype}")
        return measured


class Parameter(NamedTuple):
    """A tensor to differentiate with respect to.

    Args:
        value: of any shape; a row for each Gaussian unless it is `whole`.
        step: how far it is moved, in its own unit, all alike or [broadcast to the value].
        whole: whether all pixels depend on it, as on a camera's pose.
    """

    value: Tensor
    step: float | Tensor
    whole: bool = False


Measure: TypeAlias = Callable[[list[Tensor]], Pixels]
"""Values of the parameters in, the pixels of the rendering out."""


class Draw(NamedTuple):
    """One estimate of all gradients."""

    gradients: list[Tensor]
    """Like the parameters, in their own type."""
    loss: float
    """The mean of the two renderings."""


def draw(
    measure: Measure,
    parameters: Sequence[Parameter],
    generator: torch.Generator | None = None,
    trusted: Callable[[Pixels, Pixels], Tensor] | None = None,
) -> Draw:
    """Two renderings, and the gradients that they tell of.

    Args:
        measure: is called with moved copies of the values.
        generator: of the signs; None for PyTorch's own.
        trusted: which pixels [P] of two renderings count; None for all.

    Raises:
        ValueError: the renderings do not have the same pixels, or list rows that a parameter does not have.
    """
    moves = [parameter.step * signs(parameter.value, generator) for parameter in parameters]
    values = [parameter.value.detach() for parameter in parameters]
    with torch.no_grad():
        plus = Pixels.of(measure([value + move for value, move in zip(values, moves, strict=True)]))
        minus = Pixels.of(measure([value - move for value, move in zip(values, moves, strict=True)]))
        if plus.losses.shape != minus.losses.shape or (plus.lists is None) != (minus.lists is None):
            raise ValueError("all renderings must have the same pixels, and lists if one has them")
        changes = plus.losses.double() - minus.losses.double()
        if trusted is not None:
            changes = torch.where(trusted(plus, minus), changes, 0.0)
        gradients = []
        for parameter, move in zip(parameters, moves, strict=True):
            if parameter.whole or plus.lists is None or minus.lists is None:
                change = changes.sum()
            else:
                rows = of_rows(changes, torch.cat([plus.lists, minus.lists], dim=1), len(parameter.value))
                change = rows.reshape(-1, *[1] * (parameter.value.dim() - 1))
            gradients.append((change / (2 * move.double())).to(parameter.value.dtype))
        return Draw(gradients, float(plus.losses.double().sum() + minus.losses.double().sum()) / 2)


def signs(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Random ones and minus ones of this shape and type. With a generator they are drawn where that is."""
    device = like.device if generator is None else generator.device
    bits = torch.randint(0, 2, like.shape, generator=generator, device=device)
    return (2 * bits - 1).to(like.device, like.dtype)


def of_rows(changes: Tensor, lists: Tensor, num: int) -> Tensor:
    """[num] sums of the numbers [P] of the pixels that list a row, each pixel once.

    Args:
        lists: [P, K] integers, -1 for none; they may repeat themselves.

    Raises:
        ValueError: a number is not that of a row.
    """
    if lists.numel() and int(lists.max()) >= num:
        raise ValueError(
            f"a pixel lists number {int(lists.max())}, but a parameter has {num} rows; say whole=True of "
            "parameters whose rows are not the Gaussians"
        )
    ordered = lists.long().sort(dim=1).values
    again = torch.nn.functional.pad(ordered[:, 1:] == ordered[:, :-1], (1, 0))
    places = torch.where(again | (ordered < 0), num, ordered)
    sums = changes.new_zeros(num + 1)
    return sums.index_add_(0, places.flatten(), changes[:, None].expand_as(places).flatten())[:num]
