"""Codes of few bits for numbers, as several file formats share them."""

from __future__ import annotations

import numpy as np

ALPHA_MARGIN = 1e-6

_alphas = np.clip(np.arange(256) / 255.0, ALPHA_MARGIN, 1 - ALPHA_MARGIN)
LOGITS = np.log(_alphas / (1 - _alphas)).astype(np.float32)
"""Opacity logit of every alpha byte. 0 and 255 stand for 1e-6 and 1 - 1e-6: their logits are infinite, and
infinite parameters can be neither trained nor compared."""


def alpha_bytes(logits: np.ndarray) -> np.ndarray:
    """Opacity logits -> round(255 sigmoid(logit)), uint8; error of alpha at most 1/510."""
    with np.errstate(over="ignore"):
        return np.rint(255.0 / (1.0 + np.exp(-logits, dtype=np.float32))).astype(np.uint8)


def bytes_of(values: np.ndarray) -> np.ndarray:
    """Rounded and clipped to 0 .. 255, uint8."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def unit_codes(values: np.ndarray, bits: int) -> np.ndarray:
    """Values of [0, 1] -> unsigned codes of `bits` bits (uint32), rounded and clipped; code / (2^bits - 1)
    decodes."""
    top = np.float32((1 << bits) - 1)
    return np.clip(values * top + np.float32(0.5), 0, top).astype(np.uint32)
