"""Codes of few bits are the nearest ones and stay within their range."""

from __future__ import annotations

import numpy as np

from gsplat_core.io.quantize import ALPHA_MARGIN, LOGITS, alpha_bytes, bytes_of, unit_codes


def test_alphas_are_the_nearest_bytes() -> None:
    alpha = np.linspace(0.0005, 0.9995, 4001)
    logits = np.log(alpha / (1 - alpha)).astype(np.float32)
    assert np.abs(alpha_bytes(logits) / 255.0 - alpha).max() <= 1 / 510 + 1e-6
    assert alpha_bytes(np.array([-1e4, 1e4], np.float32)).tolist() == [0, 255]


def test_every_alpha_byte_has_a_finite_logit_that_gives_it_back() -> None:
    assert (alpha_bytes(LOGITS) == np.arange(256)).all()
    assert np.isfinite(LOGITS).all()
    ends = 1 / (1 + np.exp(-LOGITS[[0, 255]].astype(np.float64)))
    np.testing.assert_allclose(ends, [ALPHA_MARGIN, 1 - ALPHA_MARGIN], rtol=1e-6)


def test_bytes_are_rounded_and_clipped() -> None:
    values = np.array([-300.0, -0.6, 0.4, 0.6, 254.6, 255.4, 700.0])
    assert bytes_of(values).tolist() == [0, 0, 0, 1, 255, 255, 255]


def test_codes_of_some_bits_are_the_nearest() -> None:
    for bits in (1, 5, 10, 11):
        top = (1 << bits) - 1
        codes = np.arange(top + 1)
        assert (unit_codes((codes / top).astype(np.float32), bits) == codes).all()
        nearly = ((codes[:-1] + 0.49) / top).astype(np.float32)
        assert (unit_codes(nearly, bits) == codes[:-1]).all()
        assert unit_codes(np.array([-1.0, 2.0], np.float32), bits).tolist() == [0, top]
