from __future__ import annotations

import numpy as np
import pytest
from scattered import anywhere, scattered

from gsplat_core.errors import UsageError
from gsplat_core.io.pieces import Pieces
from gsplat_core.store.filling import store_of
from trainers.active_set.visits import next_visit, round_of, turns


def test_visits_go_over_all_photographs_and_fit(tmp_path):
    cameras = [anywhere(seed) for seed in range(12)]
    with store_of(tmp_path, Pieces.of(scattered(1500)), cell=0.5) as store:
        waiting, visits = round_of(3, len(cameras), seed=1), []
        assert sorted(waiting) == list(range(12))
        while waiting:
            visit = next_visit(store, cameras, waiting, 700, "More.")
            assert waiting[0] in visit.views
            seen = np.unique(np.concatenate([store.seen_by(cameras[number]) for number in visit.views]))
            assert seen.tolist() == visit.cells.tolist()
            assert store.rows_of(visit.cells).sum() <= 700
            waiting = [number for number in waiting if number not in visit.views]
            visits.append(visit)
        assert 1 < len(visits) < 12
        everything = next_visit(store, cameras, range(12), 1500, "More.")
        assert everything.views == list(range(12))
        with pytest.raises(UsageError, match=r"room for 10. More\."):
            next_visit(store, cameras, [4], 10, "More.")


def test_visits_are_long_unless_the_run_is_short():
    assert turns(30_000, 200, 20) == 5
    assert turns(30_000, 200, 200) == 1
    assert turns(3_000, 200, 20) == 3
    assert turns(10, 200, 20) == 1
