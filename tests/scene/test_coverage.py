"""Which parts of a photograph have no points, and whether they lie between or beyond them."""

from __future__ import annotations

import numpy as np
import pytest

from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.coverage import coverage, coverages, has_gaps, has_sky

# 24 cells of 10 pixels along the longer side, 16 along the other one.
WIDTH, HEIGHT, FOCAL = 240, 160, 200.0
ROWS, COLUMNS = 16, 24


def camera(width: int = WIDTH, height: int = HEIGHT) -> Camera:
    K = np.array([[FOCAL, 0, width / 2], [0, FOCAL, height / 2], [0, 0, 1]])
    return Camera(np.eye(4), K, width, height)


def points(cells: np.ndarray, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A point at depth 2 in the middle of each cell [rows, columns] that is set."""
    rows, columns = np.nonzero(cells)
    side = max(width, height) / 24
    x, y = (columns + 0.5) * side - width / 2, (rows + 0.5) * side - height / 2
    return np.stack([2 * x / FOCAL, 2 * y / FOCAL, np.full(len(x), 2.0)], axis=1)


def test_everywhere_points_leave_nothing_open() -> None:
    found = coverage(camera(), points(np.ones((ROWS, COLUMNS))))
    assert found.side == 10
    assert found.open.shape == found.enclosed.shape == (ROWS, COLUMNS)
    assert not found.open.any()
    assert not found.enclosed.any()
    assert len(found.pixels) == len(found.depths) == ROWS * COLUMNS
    np.testing.assert_allclose(found.depths, 2.0)


def test_above_all_points_is_the_sky() -> None:
    ground = np.zeros((ROWS, COLUMNS))
    ground[9:] = 1
    found = coverage(camera(), points(ground))
    assert found.open[:8].all()
    assert not found.open[8:].any()  # cells beside a point are not empty
    assert not found.enclosed.any()
    assert has_sky([found])
    assert not has_gaps([found])


@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), (HEIGHT, WIDTH)])
def test_a_hole_between_points_is_enclosed(size: tuple[int, int]) -> None:
    width, height = size
    wall = np.ones((height // 10, width // 10))
    wall[5:11, 6:13] = 0
    found = coverage(camera(width, height), points(wall, width, height))
    expected = np.zeros_like(wall, dtype=bool)
    expected[6:10, 7:12] = True
    assert (found.enclosed == expected).all()
    assert not found.open.any()
    assert has_gaps([found])
    assert not has_sky([found])
    centers = found.centers(found.enclosed)
    assert centers.min(axis=0).tolist() == [75.0, 65.0]
    assert centers.max(axis=0).tolist() == [115.0, 95.0]


def test_the_shares_are_those_of_all_photographs() -> None:
    """5 percent open make a sky, 1 percent enclosed a gap."""
    everywhere = coverage(camera(), points(np.ones((ROWS, COLUMNS))))
    sky = np.ones((ROWS, COLUMNS))
    sky[:3] = 0  # two rows of sixteen are open
    above = coverage(camera(), points(sky))
    assert above.open.mean() == 2 / 16
    assert has_sky([above, everywhere])
    assert not has_sky([above, everywhere, everywhere])
    hole = np.ones((ROWS, COLUMNS))
    hole[4:9, 4:9] = 0  # nine cells of 384
    around = coverage(camera(), points(hole))
    assert around.enclosed.sum() == 9
    assert has_gaps([around, everywhere])
    assert not has_gaps([around, everywhere, everywhere])


def test_every_photograph_is_covered_by_the_points_it_sees() -> None:
    xyz = points(np.ones((ROWS, COLUMNS)))
    behind = Camera(np.diag([-1.0, 1.0, -1.0, 1.0]), camera().K, WIDTH, HEIGHT)
    ahead, nothing = coverages([camera(), behind], xyz)
    assert len(ahead.depths) == len(xyz)
    assert len(nothing.depths) == 0
    assert nothing.open.all()
