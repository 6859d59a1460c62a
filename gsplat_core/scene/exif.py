"""What a photograph's EXIF data say about its lens."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

from gsplat_core.scene.images import read_exif

_EXIF_IFD, _FOCAL_IN_35MM = 0x8769, 0xA405
_DIAGONAL = math.hypot(36, 24)  # of a 35 mm film's frame, in millimetres
_LONGEST = 1e5


def exif_focal(path: Path, width: int, height: int) -> float | None:
    """The focal length in pixels of an image file of this size, from its equivalent on 35 mm film, which is
    one of equal diagonals (CIPA DCG-001); None where it does not say.

    Raises:
        DataError: as `gsplat_core.scene.images.read_exif`.
    """
    exif = read_exif(path)
    with suppress(Exception):  # Pillow reads damaged data only now
        equivalent = float(exif.get_ifd(_EXIF_IFD)[_FOCAL_IN_35MM])
        if 0 < equivalent < _LONGEST:
            return equivalent / _DIAGONAL * math.hypot(width, height)
    return None
