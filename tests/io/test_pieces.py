"""A scene that comes piece by piece is the same as all of it at once: read, written and refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch
from splat_files import typical_scene

from gsplat_core.errors import DataError, NumericalError, ResourceError, UsageError
from gsplat_core.io import (
    DataWarning,
    compressed_ply,
    export,
    export_pieces,
    load,
    load_pieces,
    ply,
    save,
    splat,
    spz,
)  # fmt: skip
from gsplat_core.io import pieces as pieces_module
from gsplat_core.io.pieces import Pieces
from gsplat_core.io.usable import UnusableWarning
from gsplat_core.scene.gaussians import Gaussians

PIECE = 100


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pieces_module, ply):
        monkeypatch.setattr(module, "PIECE", PIECE)


def labelled_scene(num: int = 1050, degree: int = 2) -> Gaussians:
    scene = typical_scene(num, degree)
    scene.extras |= {
        "label": torch.arange(num, dtype=torch.int32) % 7,
        "frozen": torch.arange(num) % 2 == 0,
        "feature": torch.arange(6.0 * num).reshape(num, 2, 3),
    }
    return scene.with_metadata(antialiased=True, offset=(1000.0, 2.0, 3.0))


def assert_same(a: Gaussians, b: Gaussians) -> None:
    first, second = a.state_dict(), b.state_dict()
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def east(scene: Gaussians) -> Gaussians:
    return scene.subset(scene.means[:, 0] > 0)


def test_pieces_are_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    save(path, labelled_scene())
    pieces = load_pieces(path)
    parts = list(pieces.open())
    assert [part.num for part in parts] == [PIECE] * 10 + [50]
    assert len(parts) == pieces.count
    assert_same(Gaussians.merge(parts), load(path))
    assert_same(pieces.whole(), load(path))
    assert_same(pieces.template, load(path).subset(slice(0, 0)))


@pytest.mark.parametrize("coordinates", ["run", "original"])
def test_original_coordinates_are_read_piece_by_piece(tmp_path: Path, coordinates: str) -> None:
    path = tmp_path / "a.ply"
    save(path, labelled_scene(), coordinates=coordinates)
    assert len(list(load_pieces(path).open())) == 11
    assert_same(load_pieces(path).whole(), load(path))


def test_a_file_of_which_all_rows_are_needed_is_read_as_a_whole(tmp_path: Path) -> None:
    """Text, and 64-bit positions whose offset follows from all of them."""
    path = tmp_path / "a.ply"
    scene = typical_scene(300, 0)
    save(path, scene.with_metadata(offset=(5e5, 0.0, 0.0)), coordinates="original")
    path.write_bytes(path.read_bytes().replace(b"comment original_coordinates 500000.0 0.0 0.0\n", b""))
    assert ply.load_pieces(path) is None
    with pytest.warns(UserWarning, match="far from the origin"):
        pieces = load_pieces(path)
    assert [part.num for part in pieces.open()] == [100, 100, 100]
    assert pieces.template.metadata.offset[0] == pytest.approx(5e5, abs=10)
    names = [f"property float {name}" for name in ply._SPLAT_PROPERTIES]
    rows = np.stack([column for column in ply._columns(ply.arrays_of(scene)).values()], 1)
    head = ["ply", "format ascii 1.0", f"element vertex {scene.num}", *names, "end_header"]
    path.write_text("\n".join([*head, *(" ".join(map(repr, row)) for row in rows.tolist()), ""]))
    assert ply.load_pieces(path) is None
    assert_same(load_pieces(path).whole(), scene)


@pytest.mark.parametrize("ending", ["ply", "compressed.ply", "spz", "splat", "gsz"])
def test_the_file_is_the_one_that_save_writes(tmp_path: Path, ending: str) -> None:
    """With fewer digits in its number of rows than was thought, too."""
    path, known = tmp_path / "a.ply", tmp_path / f"expected.{ending}"
    scene = typical_scene(1050, 2 if ending != "splat" else 0)
    save(path, scene)
    for change in (east, lambda piece: piece, lambda piece: piece.subset(piece.means[:, 0] > 7)):
        save(known, change(scene))
        written = tmp_path / f"b.{ending}"
        assert export_pieces(written, load_pieces(path).mapped(change)) == change(scene).num
        assert written.read_bytes() == known.read_bytes()


@pytest.mark.parametrize(
    ("ending", "options"), [("spz", {"axes": "ply", "version": 4}), ("compressed.ply", {})]
)
def test_a_lossy_file_is_read_piece_by_piece(tmp_path: Path, monkeypatch, ending: str, options: dict) -> None:
    path = tmp_path / f"a.{ending}"
    for module in (spz, compressed_ply):
        monkeypatch.setattr(module, "PIECE", 512)  # whole chunks
    export_pieces(path, Pieces.of(typical_scene(1050, 2)), **options)
    read = {name: value for name, value in options.items() if name == "axes"}
    pieces = load_pieces(path, **read)
    assert [part.num for part in pieces.open()] == [512, 512, 26]
    assert_same(pieces.whole(), load(path, **read))


def test_options_of_lossy_formats_are_those_of_their_files(tmp_path: Path) -> None:
    scene, options = typical_scene(250, 1), {"version": 4, "sh1_bits": 8}
    save(tmp_path / "a.spz", scene, **options)
    export_pieces(tmp_path / "b.spz", Pieces.of(scene), **options)
    assert (tmp_path / "a.spz").read_bytes() == (tmp_path / "b.spz").read_bytes()
    with pytest.raises(UsageError, match="sh_bits must be from 1 to 8, not 9"):
        export_pieces(tmp_path / "b.spz", Pieces.of(scene), sh_bits=9)


def test_what_a_format_has_no_place_for_is_told_once(tmp_path: Path) -> None:
    with pytest.warns(DataWarning) as told:
        export_pieces(tmp_path / "a.splat", Pieces.of(labelled_scene()))
    assert len(told) == 1
    assert "the field 'label'" in str(told[0].message)
    assert "harmonics beyond degree 0" in str(told[0].message)


def test_a_lossy_file_that_lost_splats_is_noticed(tmp_path: Path, monkeypatch) -> None:
    def faulty(file: BinaryIO, path: Path, pieces: Pieces) -> int:
        return splat.save_pieces(file, path, pieces) + 1

    monkeypatch.setattr(export, "format_of", lambda path: replace(splat.FORMAT, save_pieces=faulty))
    with pytest.raises(ResourceError, match="faulty"):
        export_pieces(tmp_path / "a.splat", Pieces.of(typical_scene(250, 0)))
    assert not list(tmp_path.iterdir())


def test_fields_follow_their_rows(tmp_path: Path) -> None:
    path, written = tmp_path / "a.ply", tmp_path / "b.ply"
    save(path, labelled_scene())
    export_pieces(written, load_pieces(path).mapped(east))
    assert_same(load(written), east(labelled_scene()))


def test_merging_pieces_is_merging_scenes(tmp_path: Path) -> None:
    scenes = [typical_scene(150, 0), labelled_scene(320, 3).with_metadata(antialiased=False)]
    scenes = [scene.with_metadata(offset=(0.0, 0.0, 0.0)) for scene in scenes]
    for name, scene in zip("ab", scenes, strict=True):
        save(tmp_path / f"{name}.ply", scene)
    merged = Pieces.merge([load_pieces(tmp_path / "a.ply"), load_pieces(tmp_path / "b.ply")])
    assert (merged.most, merged.count) == (470, 6)
    assert_same(merged.whole(), Gaussians.merge(scenes))
    assert_same(merged.template, Gaussians.merge(scenes).subset(slice(0, 0)))


def test_what_cannot_be_rendered_is_dropped_or_repaired_and_told_once(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    scene = typical_scene(300, 1)
    scene.means[[5, 250], 0] = torch.nan
    scene.opacities[120] = torch.inf
    save(path, scene)
    with pytest.warns(UnusableWarning) as told:
        whole = load(path)
    with pytest.warns(UnusableWarning) as told_of_pieces:
        parts = load_pieces(path).whole()
    assert_same(parts, whole)
    assert [w.message.num for w in (*told, *told_of_pieces)] == [3, 3]
    assert str(told[0].message) == str(told_of_pieces[0].message)


def test_nothing_is_written_if_something_comes_out_that_cannot_be_rendered(tmp_path: Path) -> None:
    def spoil(piece: Gaussians) -> Gaussians:
        return replace(piece, scales=piece.scales + 1000)

    path = tmp_path / "a.ply"
    path.write_bytes(b"as before")
    with pytest.raises(NumericalError, match="scale infinite"):
        export_pieces(path, Pieces.of(typical_scene(250, 0)).mapped(spoil))
    assert path.read_bytes() == b"as before"
    assert [p.name for p in tmp_path.iterdir()] == ["a.ply"]


def test_nothing_is_written_if_the_pieces_end_in_an_error(tmp_path: Path) -> None:
    source, path = tmp_path / "a.ply", tmp_path / "b.ply"
    save(source, typical_scene(250, 0))
    pieces = load_pieces(source)

    def cut() -> Iterator[Gaussians]:
        for piece in pieces.open():
            yield piece
            source.write_bytes(source.read_bytes()[:-100])

    with pytest.raises(DataError, match="became shorter"):
        export_pieces(path, replace(pieces, open=cut))
    assert not path.exists()


@pytest.mark.parametrize("place", [-1, -100 * 68, b"vertex 250"])
def test_one_wrong_byte_of_what_was_written_is_noticed(tmp_path: Path, monkeypatch, place) -> None:
    def faulty(file: BinaryIO, path: Path, pieces: Pieces) -> int:
        num = ply.save_pieces(file, path, pieces)
        file.seek(0)
        content = bytearray(file.read())
        content[place if isinstance(place, int) else content.index(place) + len(place) - 1] ^= 1
        file.seek(0)
        file.write(content)
        file.flush()
        return num

    monkeypatch.setattr(export, "format_of", lambda path: replace(ply.FORMAT, save_pieces=faulty))
    with pytest.raises(ResourceError, match="faulty"):
        export_pieces(tmp_path / "a.ply", Pieces.of(typical_scene(250, 0)))
    assert not list(tmp_path.iterdir())
