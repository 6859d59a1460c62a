"""How far pictures have moved from each other, by phase correlation of blocks.

The shift of a block is where the inverse transform of the product of its two spectra, each number divided
by its size, has its peak (Kuglin and Hines 1975). The median over the blocks is the camera's: what moves in
front of a camera that stands still is less than half of the picture.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BLOCK = 32  # pixels a side; shifts of up to half of it are told
_LEAST_CONTRAST = 2.0  # standard deviation in levels of 255, below which a block shows nothing


class Spectra:
    """What is remembered of a picture to compare others with it.

    Args:
        picture: [H, W] grey, of at least `BLOCK` pixels a side.
    """

    def __init__(self, picture: npt.NDArray[np.generic]) -> None:
        blocks = _blocks(np.asarray(picture, np.float32))
        self.clear = blocks.std(axis=(1, 2)) >= _LEAST_CONTRAST
        blocks = blocks - blocks.mean(axis=(1, 2), keepdims=True)
        window = np.hanning(BLOCK + 2)[1:-1].astype(np.float32)
        self.values = np.fft.rfft2(blocks * window[:, None] * window)

    def moved(self, other: Spectra) -> float:
        """Pixels between the two pictures; where nothing can be compared, 0."""
        clear = self.clear & other.clear
        if not clear.any():
            return 0.0
        product = self.values[clear] * other.values[clear].conj()
        peaks = np.fft.irfft2(product / np.abs(product).clip(min=1e-6), s=(BLOCK, BLOCK))
        down, right = np.divmod(peaks.reshape(len(peaks), -1).argmax(axis=1), BLOCK)
        shifts = np.stack([down, right], axis=1)
        shifts = (shifts + BLOCK // 2) % BLOCK - BLOCK // 2
        return float(np.median(np.linalg.norm(shifts, axis=1)))


def _blocks(picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """[B, 32, 32], spread evenly over the picture and overlapping where they do not fit."""
    rows, columns = (_starts(size) for size in picture.shape)
    return np.stack([picture[y : y + BLOCK, x : x + BLOCK] for y in rows for x in columns])


def _starts(size: int) -> list[int]:
    number = max(-(-size // BLOCK), 1)
    return np.linspace(0, size - BLOCK, number).round().astype(int).tolist()
