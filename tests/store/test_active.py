from __future__ import annotations

import numpy as np
import torch
from scattered import anywhere, scattered

from gsplat_core.io.pieces import Pieces
from gsplat_core.render.scene import render
from gsplat_core.store.active import ActiveSet
from gsplat_core.store.filling import store_of
from gsplat_core.store.layout import Rows
from gsplat_core.store.store import SceneStore


def labels(store: SceneStore) -> list[int]:
    return sorted(store.read(store.cells)[0].scene.extras["label"].tolist())


def test_changes_in_memory_are_there_when_their_cells_come_back(tmp_path):
    """Rows move between cells that are in memory, such that are not and new ones, and none is lost."""
    random = torch.Generator().manual_seed(0)
    with store_of(tmp_path, Pieces.of(scattered(1000)), cell=0.5, moments=True) as store:
        active, expected = ActiveSet(store), scattered(1000).means.clone()
        for seed in range(12):
            active.look(anywhere(seed))
            mine = active.scene.extras["label"]
            moves = torch.rand(active.num, generator=random) < 0.5
            step = torch.randn(active.num, 3, generator=random) * moves[:, None]
            active.scene.means += step
            active.rows.moments["means"][0].add_(step)
            expected[mine] += step
            active.changed(moves)
        assert active.total == 1000
        active.commit()
        assert labels(store) == list(range(1000))
        rows, _ = store.read(store.cells)
        assert torch.equal(rows.scene.means, expected[rows.scene.extras["label"]])
        moved = expected - scattered(1000).means
        difference = rows.moments["means"][0] - moved[rows.scene.extras["label"]]
        assert difference.abs().max() < 1e-5


def test_what_has_changed_is_seen_where_it_is_now(tmp_path):
    with store_of(tmp_path, Pieces.of(scattered(1000)), cell=0.3) as store:
        active = ActiveSet(store)
        active.hold(store.cells[::3])
        active.scene.means.mul_(0.2)
        active.changed()
        rows = active.rows.scene.extras["label"]
        whole = scattered(1000)
        whole.means[rows] *= 0.2
        for seed in range(6):
            image, expected = active.render(anywhere(seed)).colors, render(whole, anywhere(seed)).colors
            # The same Gaussians; where depths are equal, in another order.
            assert (image - expected).abs().max() < 1e-5


def test_rows_are_inserted_in_memory_or_on_disk_and_removed(tmp_path):
    with store_of(tmp_path, Pieces.of(scattered(500)), cell=0.5) as store:
        active = ActiveSet(store)
        active.hold(store.cells[:50])
        there, more = active.num, scattered(100, seed=3)
        more.extras["label"] += 500
        active.insert(Rows(more))
        assert there < active.num < there + 100
        assert active.total == 600
        gone = active.scene.extras["label"] % 2 == 0
        kept = sorted({*range(600)} - {*active.scene.extras["label"][gone].tolist()})
        active.remove(gone)
        active.hold(np.zeros(0, np.int64))
        assert active.num == 0
        assert active.total == len(kept) == store.num
        active.commit()
        assert labels(store) == kept
