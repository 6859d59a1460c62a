"""Fake kernel and derivative of ``gsplat_core::l1_ssim``, the training loss.

The kernel computes the gradient together with the value (``needs_grad``), so that the derivative only has to
scale it. Only ``loss`` can be differentiated; ``l1`` and ``ssim`` are there for the log.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gsplat_core.ops.forward_mode import differentiable
from gsplat_core.ops.once import is_differentiated, only


def l1_ssim(
    image: Tensor, target: Tensor, lambda_dssim: float, valid: bool, needs_grad: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``(1 - lambda_dssim) * mean |image - target| + lambda_dssim * (1 - mean SSIM)`` of a batch of images.

    Args:
        image: [B, H, W, 3] float32.
        target: [B, H, W, 3] float32, or uint8 which stands for value / 255. Never differentiated.
        lambda_dssim: share of the SSIM term.
        valid: average SSIM only where the window lies inside the image, at least 5 pixels from the border.
        needs_grad: also compute the gradient of the loss with respect to the image.

    Returns:
        The scalars loss, l1 and ssim, and the gradient [B, H, W, 3] (shape [0] unless asked for).
    """
    return _l1_ssim(image, target, lambda_dssim, valid, needs_grad)


@torch.library.register_fake("gsplat_core::l1_ssim")
def _fake(
    image: Tensor, target: Tensor, lambda_dssim: float, valid: bool, needs_grad: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    grad = image.new_empty(image.shape if needs_grad else (0,))
    return image.new_empty(()), image.new_empty(()), image.new_empty(()), grad


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    _, l1, ssim, grad = output
    ctx.needs_grad = inputs[4]
    ctx.mark_non_differentiable(l1, ssim, grad)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(inputs[0], grad)


def _backward(ctx: Any, v_loss: Tensor | None, *_: Any) -> tuple[Tensor | None, None, None, None, None]:
    if v_loss is None or not ctx.needs_input_grad[0]:
        return None, None, None, None, None
    image, grad = ctx.saved_tensors
    grad = _known(ctx.needs_grad, image, grad)
    # loss.backward() starts with one; a pass over the whole image is saved then. The type is another one
    # where the graph is being traced and no value is known, and asking a GPU would mean waiting for it.
    known = type(v_loss) is Tensor and v_loss.device.type == "cpu" and not is_differentiated((v_loss,))
    if known and v_loss.item() == 1.0:
        return grad, None, None, None, None
    return grad * v_loss, None, None, None, None


def _jvp(
    inputs: tuple[Any, ...], outputs: tuple[Tensor, ...], tangents: tuple[Any, ...]
) -> tuple[Tensor | None, ...]:
    grad = _known(inputs[4], inputs[0], outputs[3])
    return (grad * tangents[0]).sum(), None, None, None


def _known(needs_grad: bool, image: Tensor, grad: Tensor) -> Tensor:
    """The gradient, which is a function of the image that cannot be differentiated."""
    if not needs_grad:
        raise RuntimeError("l1_ssim was called with needs_grad=False, so its gradient is not known")
    slope: Tensor = only(torch.ops.gsplat_core.l1_ssim.default, grad, (image,))
    return slope


_l1_ssim = differentiable("l1_ssim", _setup_context, _backward, _jvp)
