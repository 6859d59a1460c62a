"""What a camera may be: of a model that the rasterizer knows, without skew, of a size that images have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gsplat_core.scene.cameras import Camera

K = np.array([[60.0, 0, 32], [0, 61, 24], [0, 0, 1]])


def changed(matrix: np.ndarray, row: int, column: int, value: float) -> np.ndarray:
    matrix = matrix.copy()
    matrix[row, column] = value
    return matrix


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"K": changed(K, 0, 1, 3)}, "K must have no skew"),
        ({"model": "nowhere"}, "model must be one of 'pinhole', .*, got 'nowhere'"),
        ({"lens": (0.1,)}, "lens must have 0 coefficients for a camera of the model 'pinhole', got 1"),
        ({"K": changed(K, 1, 0, -3)}, "K must have no skew"),
        ({"K": changed(K, 2, 2, 0)}, r"K must have the last row \(0, 0, 1\)"),
        ({"K": changed(K, 0, 0, -60)}, "K must have positive focal lengths"),
        ({"K": changed(K, 1, 1, 0)}, "K must have positive focal lengths"),
        ({"K": changed(K, 0, 2, np.nan)}, "K must be finite"),
        ({"K": np.eye(4)}, r"K: expected shape \[3, 3\], got \[4, 4\]"),
        ({"viewmat": changed(np.eye(4), 3, 0, 1)}, r"viewmat must have the last row \(0, 0, 0, 1\)"),
        ({"viewmat": changed(np.eye(4), 0, 3, np.inf)}, "viewmat must be finite"),
        ({"viewmat": np.eye(3)}, r"viewmat: expected shape \[4, 4\], got \[3, 3\]"),
        ({"width": 0}, "width and height must be positive, got 0 x 48"),
        ({"height": -1}, "width and height must be positive, got 64 x -1"),
    ],
)
def test_what_is_no_pinhole_camera_is_refused(changes: dict[str, Any], message: str) -> None:
    arguments = {"viewmat": np.eye(4), "K": K, "width": 64, "height": 48}
    Camera(**arguments)
    with pytest.raises(ValueError, match=message):
        Camera(**arguments | changes)


def test_another_size_keeps_the_field_of_view() -> None:
    camera = Camera(np.eye(4), K, 64, 48, "a").resized(32, 12)
    assert pytest.approx(np.array([[30, 0, 16], [0, 15.25, 6], [0, 0, 1]])) == camera.K
    assert (camera.width, camera.height, camera.name) == (32, 12, "a")
