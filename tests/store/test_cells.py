from __future__ import annotations

import numpy as np

from gsplat_core.store.cells import LEVELS, boxes_of, cells_of


def test_a_gaussian_is_in_the_smallest_cell_that_is_as_large_as_what_is_seen_of_it():
    random = np.random.default_rng(0)
    means = random.normal(0, 10, (500, 3)).astype(np.float32)
    reach = np.exp(random.normal(-1, 2, 500)).astype(np.float32)
    low, side = boxes_of(cells_of(means, reach, 0.25), 0.25)
    assert (low <= means + 1e-6).all()
    assert (means <= low + side[:, None] + 1e-6).all()
    assert (side >= reach).all()
    assert ((side == 0.25) | (side / 2 < reach)).all()


def test_places_without_end_and_sizes_without_end_have_cells():
    means = np.array([[1e30, -1e30, 0], [0, 0, 0], [0, 0, 0]], np.float32)
    keys = cells_of(means, np.array([1, np.inf, 0], np.float32), 1.0)
    low, side = boxes_of(keys, 1.0)
    assert (keys >= 0).all()
    assert len(set(keys.tolist())) == 3
    assert side.tolist() == [1, 2 ** (LEVELS - 1), 1]
    assert np.isfinite(low).all()
