"""What small files may claim to hold, for every reader: bounded by the file's size, with a way out."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from damage import at_most_more_memory, in_gzip, rezipped, unzipped
from splat_files import typical_scene

from gsplat_core.compress.container import BYTES_PER_GAUSSIAN
from gsplat_core.errors import DataError, GsplatError
from gsplat_core.expansion import FREE_GAUSSIANS, ExpansionError, check_density, check_expansion, check_json
from gsplat_core.io import DataWarning, export_verified, load, save
from gsplat_core.scene.colmap import text
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.transforms import read_transforms

MIB = 1 << 20


def equal_splats(count: int) -> Gaussians:
    return typical_scene(1, 0).subset(torch.zeros(count, dtype=torch.long))


@contextlib.contextmanager
def refused_within(size: int) -> Iterator[None]:
    """What is inside is refused with a remedy, before so much memory was taken."""
    with pytest.raises(DataError, match=r"\. [A-Z]"), at_most_more_memory(size):
        yield


# The rules


def test_content_may_be_four_times_what_is_stored() -> None:
    check_expansion("a", 10 * MIB, 41 * MIB)
    with pytest.raises(ExpansionError, match="claim to hold 42,991,617; at most 42,991,616 are accepted"):
        check_expansion("a", 10 * MIB, 41 * MIB + 1)


def test_a_gaussian_needs_two_bytes_where_there_are_many() -> None:
    check_density("a", 0, FREE_GAUSSIANS)
    check_density("a", 2000, FREE_GAUSSIANS + 1000)
    with pytest.raises(ExpansionError, match=r"at most 263,144 are accepted.* trusted=true"):
        check_density("a", 2000, FREE_GAUSSIANS + 1001)
    check_density("a", 2000, 10**12, trusted=True)


def test_json_may_hold_what_captures_and_scenes_do() -> None:
    frame = {"file_path": "images/0001.png", "transform_matrix": [[0.5, -0.25, 0.125, 1.0]] * 4}
    check_json("a", json.dumps({"frames": [frame] * 50_000}, separators=(",", ":")).encode())
    with pytest.raises(ExpansionError, match="bytes of JSON would take"):
        check_json("a", b"[" + b"{}," * MIB + b"{}]")


# Files


def test_equal_splats_are_read_on_demand_only(tmp_path: Path) -> None:
    """An honest file that looks like an attack: told when it is written, and read when that is asked for."""
    scene = equal_splats(FREE_GAUSSIANS + 20_000)
    with pytest.warns(DataWarning, match="so much alike that readers with a bound refuse it"):
        export_verified(tmp_path / "a.spz", scene)
    with pytest.raises(ExpansionError, match="trusted=true"):
        load(tmp_path / "a.spz")
    assert load(tmp_path / "a.spz", trusted=True).num == scene.num


def test_an_spz_file_that_claims_a_billion_splats(tmp_path: Path) -> None:
    save(tmp_path / "a.spz", typical_scene(5, 0))
    inner, put_back = in_gzip((tmp_path / "a.spz").read_bytes())[0]
    (tmp_path / "a.spz").write_bytes(put_back(inner[:8] + struct.pack("<I", 10**9) + inner[12:]))
    with refused_within(50 * MIB):
        load(tmp_path / "a.spz")


def test_a_sog_file_of_a_few_kilobytes_with_millions_of_splats(tmp_path: Path) -> None:
    save(tmp_path / "a.sog", typical_scene(5, 0))
    content = (tmp_path / "a.sog").read_bytes()
    files = unzipped(content)
    meta = json.loads(files["meta.json"]) | {"count": 13_000_000}
    (tmp_path / "a.sog").write_bytes(rezipped(content, {"meta.json": json.dumps(meta).encode()}))
    with refused_within(50 * MIB):
        load(tmp_path / "a.sog")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_that_cannot_be_unpacked_within_a_bound(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.sog", "w", method) as archive:
        archive.writestr("meta.json", b" " * 1000)
    with pytest.raises(DataError, match="a method that these archives do not have"):
        load(tmp_path / "a.sog")


def test_an_archive_that_lies_about_the_size_of_its_files(tmp_path: Path) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("meta.json", b"{" + b" " * (200 * MIB))
    size = struct.pack("<I", 200 * MIB + 1)
    (tmp_path / "a.sog").write_bytes(target.getvalue().replace(size, struct.pack("<I", 100)))
    with pytest.raises(DataError), at_most_more_memory(50 * MIB):
        load(tmp_path / "a.sog")


def test_one_mesh_in_many_nodes(tmp_path: Path) -> None:
    save(tmp_path / "a.glb", typical_scene(2000, 0))
    content = (tmp_path / "a.glb").read_bytes()
    length = int.from_bytes(content[12:16], "little")
    tree = json.loads(content[20 : 20 + length])
    tree["nodes"] = [{"mesh": 0}] * 5000
    tree["scenes"] = [{"nodes": list(range(5000))}]
    new = json.dumps(tree).encode()
    new += b" " * (-len(new) % 4)
    total = struct.pack("<I", len(content) - length + len(new))
    whole = content[:8] + total + struct.pack("<I", len(new)) + content[16:20] + new + content[20 + length :]
    (tmp_path / "a.glb").write_bytes(whole)
    with refused_within(50 * MIB):
        load(tmp_path / "a.glb")


@pytest.mark.parametrize("separator", [b" ", b"\r "])
def test_a_text_of_one_line(tmp_path: Path, separator: bytes) -> None:
    names = [*"xyz", *(f"f_dc_{i}" for i in range(3)), "opacity", *(f"scale_{i}" for i in range(3))]
    names += [f"rot_{i}" for i in range(4)]
    head = "ply\nformat ascii 1.0\nelement vertex 1000\n" + "".join(f"property float {n}\n" for n in names)
    (tmp_path / "a.ply").write_bytes(head.encode() + b"end_header\n" + (b"1" + separator) * (8 * MIB))
    with (
        pytest.raises(DataError, match=r"a line of more than|expected 14 numbers, found 1"),
        at_most_more_memory(30 * MIB),
    ):
        load(tmp_path / "a.ply")


def test_lines_that_are_no_records_cost_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "points3D.txt"
    path.write_bytes(b"1 0 0 0 9 9 9 0.5\n")
    text.read_points(path, [])  # what reads numbers is in memory from the first time on
    path.write_bytes(b"x\n" * 200_000)
    with pytest.raises(DataError, match="line 1"), at_most_more_memory(20 * MIB):
        text.read_points(path, [])


def test_a_line_that_no_image_has(tmp_path: Path) -> None:
    path = tmp_path / "images.txt"
    path.write_bytes(b"1 " * (3 * MIB))
    with (
        pytest.raises(DataError, match="more than 4,194,304 bytes, the most that is accepted"),
        at_most_more_memory(20 * MIB),
    ):
        text.read_images(path, [])


def test_brackets_for_a_capture(tmp_path: Path) -> None:
    path = tmp_path / "transforms.json"
    path.write_bytes(b'{"frames": [' + b"[]," * (2 * MIB) + b"[]]}")
    with refused_within(50 * MIB):
        read_transforms(path)


def test_frames_that_are_none_cost_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "transforms.json"
    path.write_bytes(b'{"frames": [' + b"0, " * 200_000 + b"0]}")
    with pytest.raises(DataError, match=r"frames\[0\]"), at_most_more_memory(40 * MIB):
        read_transforms(path)


# What honest programs write


@pytest.mark.parametrize("name", ["a.spz", "a.sog", "a.gsz", "a.glb", "a.compressed.ply"])
def test_a_usual_scene_of_the_largest_degree_is_far_from_every_bound(tmp_path: Path, name: str) -> None:
    """It would pass if nothing were free, with half its bytes."""

    scene = typical_scene(4000, 3)
    save(tmp_path / name, scene)
    size = (tmp_path / name).stat().st_size
    assert size >= 2 * BYTES_PER_GAUSSIAN * scene.num
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(tmp_path / name).num == scene.num


def test_the_error_is_one_of_data() -> None:
    assert issubclass(ExpansionError, DataError)
    assert issubclass(ExpansionError, GsplatError)
