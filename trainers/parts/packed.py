"""Tensors in JSON, for results of parts that are more than a few numbers."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def packed(tensor: Tensor) -> str:
    """The float32 numbers of a tensor, little-endian, in base64."""
    return base64.b64encode(tensor.detach().cpu().numpy().astype("<f4").tobytes()).decode()


def unpacked(text: Any, shape: Sequence[int], what: str) -> Tensor:
    """The tensor of a shape that :func:`packed` made into text.

    Raises:
        ValueError: it is none, or has numbers that are not finite; `what` says what of.
    """
    try:
        values = np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float32)
        tensor = torch.from_numpy(values).reshape(list(shape))
    except (TypeError, ValueError, RuntimeError, binascii.Error):
        raise ValueError(f"{what}: expected {list(shape)} numbers, packed as base64") from None
    if not bool(tensor.isfinite().all()):
        raise ValueError(f"{what}: not all numbers are finite")
    return tensor
