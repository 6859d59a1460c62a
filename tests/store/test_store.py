from __future__ import annotations

import errno
import os
import shutil

import numpy as np
import pytest
import torch
from scattered import scattered

from gsplat_core.errors import DataError, ResourceError, UsageError
from gsplat_core.io import export_pieces, load, save
from gsplat_core.io.pieces import Pieces
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.store import store as stores
from gsplat_core.store.cells import cells_of
from gsplat_core.store.filling import store_of, store_of_file
from gsplat_core.store.layout import Rows
from gsplat_core.store.reach import reach_of
from gsplat_core.store.store import SceneStore


def content(store: SceneStore) -> dict[str, torch.Tensor]:
    """All rows, by their labels."""
    scene = store.read(store.cells)[0].scene
    return scene.subset(scene.extras["label"].argsort()).state_dict()


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def changed(rows: Rows) -> Rows:
    """Moved, so that many are in other cells, and with moments."""
    means = rows.scene.means + 0.5
    scene = Gaussians.of({**rows.scene.params, "means": means}, extras=rows.scene.extras)
    moments = {name: (mean + 1, square + 2) for name, (mean, square) in rows.moments.items()}
    return Rows(scene, moments)


@pytest.mark.parametrize("primitive", ["gaussian", "ges"])
def test_a_store_holds_the_bits_of_a_scene_and_gives_them_back(primitive, tmp_path):
    scene = scattered(700, primitive)
    with store_of(tmp_path, Pieces.of(scene), cell=0.5) as store:
        assert store.num == 700
        assert store.rows_of(store.cells).sum() == 700
        assert_same(content(store), scene.state_dict())
    with SceneStore(tmp_path) as store:
        assert_same(content(store), scene.state_dict())
        assert store.template.primitive == primitive


def test_a_file_goes_in_and_out_piece_by_piece(tmp_path, monkeypatch):
    monkeypatch.setattr("gsplat_core.io.ply.PIECE", 100)
    monkeypatch.setattr(stores, "PIECE", 64)
    scene = scattered(500, degree=3)
    save(tmp_path / "a.ply", scene)
    with store_of_file(tmp_path / "store", tmp_path / "a.ply") as store:
        assert [piece.num for piece in store.pieces().open()] == [64] * 7 + [52]
        assert export_pieces(tmp_path / "b.ply", store.pieces()) == 500
    read = load(tmp_path / "b.ply")
    read = read.subset(read.extras["label"].argsort())
    assert_same(read.state_dict(), load(tmp_path / "a.ply").state_dict())


def test_rows_that_are_replaced_go_where_they_belong_now_with_their_moments(tmp_path):
    with store_of(tmp_path, Pieces.of(scattered(400)), cell=0.5, moments=True) as store:
        rows, homes = store.read(store.cells[::2])
        assert not any(tensor.any() for pair in rows.moments.values() for tensor in pair)
        new = changed(rows)
        store.replace(np.unique(homes), new)
        assert store.num == 400
        everything, cells = store.read(store.cells)
        reach = reach_of(everything.scene).numpy()
        assert (cells == cells_of(everything.scene.means.numpy(), reach, 0.5)).all()
        assert len(cells) == 400
        order = everything.scene.extras["label"].argsort()
        mine = torch.isin(everything.scene.extras["label"][order], rows.scene.extras["label"])
        found = everything.subset(order[mine])
        expected = new.subset(new.scene.extras["label"].argsort())
        assert_same(found.scene.state_dict(), expected.scene.state_dict())
        for name, (mean, square) in expected.moments.items():
            assert torch.equal(found.moments[name][0], mean)
            assert torch.equal(found.moments[name][1], square)


def test_a_process_that_dies_leaves_the_state_of_the_last_commit(tmp_path):
    folder, dead = tmp_path / "store", tmp_path / "dead"
    with store_of(folder, Pieces.of(scattered(400)), cell=0.5) as store:
        before = content(store)
        store.replace(store.cells, changed(store.read(store.cells)[0]))
        shutil.copytree(folder, dead)  # what another process would find, now dead
        store.commit({"step": 7})
        after = content(store)
    with SceneStore(dead, writable=True) as store:
        assert_same(content(store), before)
        store.add(Rows(scattered(10, seed=1)))  # over what was cut off
        store.commit()
        assert store.num == 410
    with SceneStore(folder) as store:
        assert_same(content(store), after)
        assert store.facts == {"step": 7}


def test_outdated_rows_are_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "_LEAST_OUTDATED", 0)
    with store_of(tmp_path, Pieces.of(scattered(300)), cell=0.5) as store:
        for _ in range(5):
            store.replace(store.cells, store.read(store.cells)[0])
            store.commit({"kept": True})
            assert store.log_bytes <= 2 * 300 * store.row_bytes
        assert_same(content(store), scattered(300).state_dict())
        (tmp_path / "rows_000999.log").touch()
    with SceneStore(tmp_path, writable=True) as store:
        assert_same(content(store), scattered(300).state_dict())
        assert store.facts == {"kept": True}
    assert len(list(tmp_path.glob("rows_*"))) == 1


OPERATIONS = {
    "replace": lambda store: store.replace(store.cells, Rows(scattered(300, seed=2))),
    "compact": lambda store: store.compact(),
    "commit": lambda store: store.commit(),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_full_disk_changes_nothing(operation, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with store_of(tmp_path, Pieces.of(scattered(300)), cell=0.5) as store:
        before = content(store)
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite" if operation != "commit" else "fsync", full)
            with pytest.raises(ResourceError, match="No space left"):
                OPERATIONS[operation](store)
        assert_same(content(store), before)
    with SceneStore(tmp_path) as store:
        assert_same(content(store), before)


def test_one_process_writes_at_a_time(tmp_path):
    with store_of(tmp_path, Pieces.of(scattered(20)), cell=0.5) as store:
        with pytest.raises(UsageError, match="in use"):
            SceneStore(tmp_path, writable=True)
        with SceneStore(tmp_path) as reader, pytest.raises(UsageError, match="for reading"):
            reader.commit()
        with pytest.raises(UsageError, match="already"):
            SceneStore.create(tmp_path, store.template, 1.0)
    SceneStore(tmp_path, writable=True).close()


def test_damage_is_told_with_its_place(tmp_path):
    store_of(tmp_path, Pieces.of(scattered(100)), cell=0.5).close()
    index, log = tmp_path / "index", next(tmp_path.glob("rows_*"))
    good = index.read_bytes()
    other = good.replace(b'"cell": 0.5', b'"cell": 0.6')
    for damaged in (good[:-7], good[:40], b"", other, b"[]\n", b"{}\n"):
        index.write_bytes(damaged)
        with pytest.raises(DataError, match="index"):
            SceneStore(tmp_path)
    index.write_bytes(good)
    log.write_bytes(log.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"rows_\d+\.log.*cut off"):
        SceneStore(tmp_path)
    os.link(log, tmp_path / "elsewhere")
    log.write_bytes(log.read_bytes() + b"1")
    with pytest.raises(DataError, match="elsewhere"):
        SceneStore(tmp_path, writable=True)
    log.unlink()
    log.symlink_to(index)
    with pytest.raises(DataError):
        SceneStore(tmp_path)
    with pytest.raises(DataError, match="no index"):
        SceneStore(tmp_path / "nowhere")


def test_rows_of_another_scene_are_refused(tmp_path):
    with store_of(tmp_path, Pieces.of(scattered(20)), cell=0.5) as store:
        with pytest.raises(ValueError, match="label"):
            store.add(Rows(scattered(5).without_extras()))
        with pytest.raises(ValueError):
            store.add(Rows(scattered(5, degree=2)))
        assert store.num == 20
