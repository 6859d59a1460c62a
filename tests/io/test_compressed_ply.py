"""PlayCanvas' compressed PLY: the bits of its words, old files, and headers that contradict themselves."""

import math
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from splat_files import assert_within, typical_scene

from gsplat_core.errors import DataError
from gsplat_core.io import load, save
from gsplat_core.morton import morton_order
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import SH_C0


def header_and_body(path: Path) -> tuple[bytes, bytes]:
    content = path.read_bytes()
    end = content.index(b"end_header\n") + 11
    return content[:end], content[end:]


def test_layout_of_two_splats(tmp_path: Path) -> None:
    """The second splat is at the chunk's maximum everywhere, the first at its minimum."""
    scene = Gaussians(
        means=torch.tensor([[-1.0, 0, 0], [3, 8, 5]]),
        quats=torch.tensor([[1.0, 0, 0, 0], [0, 0, -2, 0]]),
        scales=torch.tensor([[-5.0, -4, -3], [-1, 0, 1]]),
        opacities=torch.tensor([-20.0, 20]),
        sh0=torch.tensor([[[-1.0, 0, 1]], [[2, 1, 1]]]),
        shN=torch.arange(18).reshape(2, 3, 3) / 16 - 0.5,
    )
    save(tmp_path / "a.compressed.ply", scene)
    header, body = header_and_body(tmp_path / "a.compressed.ply")
    assert b"element chunk 1\nproperty float min_x\nproperty float min_y\n" in header
    assert header.endswith(
        b"element sh 2\n" + b"".join(b"property uchar f_rest_%d\n" % i for i in range(9)) + b"end_header\n"
    )
    bounds = struct.unpack("<18f", body[:72])
    colors = [0.5 - SH_C0, 0.5, 0.5 + SH_C0, 0.5 + 2 * SH_C0, 0.5 + SH_C0, 0.5 + SH_C0]
    assert bounds == pytest.approx([-1, 0, 0, 3, 8, 5, -5, -4, -3, -1, 0, 1, *colors])
    first, second = struct.unpack("<4I", body[72:88]), struct.unpack("<4I", body[88:104])
    assert (first[0], second[0]) == (0, 2**32 - 1)
    assert (first[2], second[2]) == (0, 2**32 - 1)
    assert first[3] == 0
    assert second[3] == 0xFFFF00FF  # blue is the same for both: its code is 0 of an empty range
    middle = 512  # zero lies between 511 and 512
    assert first[1] == 0 << 30 | middle << 20 | middle << 10 | middle
    assert second[1] >> 30 == 2
    codes = np.frombuffer(body[104:], np.uint8).reshape(2, 9)
    expected = np.floor((scene.shN.numpy() / 8 + 0.5) * 256).transpose(0, 2, 1).reshape(2, 9)
    assert np.array_equal(codes, expected)


def test_old_files_have_no_bounds_of_colour(tmp_path: Path) -> None:
    scene = typical_scene(300, 0)
    scene.sh0.clamp_(-1.7, 1.7)
    scene = scene.subset(morton_order(scene.means))
    path = tmp_path / "a.compressed.ply"
    save(path, scene)
    header, body = header_and_body(path)
    bounds = np.frombuffer(body[: 2 * 72], "<f4").reshape(2, 18)
    words = np.frombuffer(body[2 * 72 :], "<u4").reshape(300, 4).copy()
    rgb = np.floor((0.5 + SH_C0 * scene.sh0[:, 0].numpy()) * 255 + 0.5).astype(np.uint32)
    words[:, 3] = rgb[:, 0] << 24 | rgb[:, 1] << 16 | rgb[:, 2] << 8 | (words[:, 3] & 255)
    for end in ("min", "max"):
        for name in "rgb":
            header = header.replace(f"property float {end}_{name}\n".encode(), b"")
    path.write_bytes(header + bounds[:, :12].tobytes() + words.tobytes())
    read = load(path)
    assert_within(scene, read, {"means": 1, "scales": 1, "alpha": 1, "degrees": 1, "sh0": 1 / (510 * SH_C0)})


def test_a_plain_name_and_an_element_without_properties_are_no_obstacle(tmp_path: Path) -> None:
    save(tmp_path / "a.compressed.ply", typical_scene(10, 0))
    header, body = header_and_body(tmp_path / "a.compressed.ply")
    (tmp_path / "b.ply").write_bytes(header.replace(b"end_header", b"element sh 10\nend_header") + body)
    a, b = load(tmp_path / "a.compressed.ply"), load(tmp_path / "b.ply")
    assert all(torch.equal(a.params[name], b.params[name]) for name in a.params)


def test_ends_of_the_coefficients_stand_for_themselves(tmp_path: Path) -> None:
    scene = typical_scene(1, 1)
    scene.shN[0] = torch.tensor([[-9.0, -4, 4], [9, 3.9, -3.9], [0, 1 / 32, -1 / 32]])
    save(tmp_path / "a.compressed.ply", scene)
    read = load(tmp_path / "a.compressed.ply").shN[0]
    assert read[:2].tolist() == [[-4, -4, 4], [4, 3.890625, -3.890625]]
    assert read[2].tolist() == [1 / 64, 3 / 64, -1 / 64]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"element chunk 2", b"element chunk 3", "300 splats need 2 chunks of 256, not 3"),
        (b"element vertex 300", b"element vertex 512", "300 rows for 512 splats"),
        (b"element vertex 300", b"element vertex 999999999999", "chunks of 256, not 2"),
        (b"uint packed_scale", b"float packed_scale", "packed_scale (uint)"),
        (b"property float min_y\n", b"", "min_y (float)"),
        (b"uchar f_rest_3", b"uchar f_rest_9", "expected 9, 24 or 45 properties"),
        (b"element sh 300", b"element sh 299", "299 rows for 300 splats"),
        (b"float max_b", b"list uchar int max_b", "has lists"),
        (b"little", b"big", "must be binary_little_endian"),
    ],
)
def test_headers_that_contradict_the_file_are_refused(
    tmp_path: Path, old: bytes, new: bytes, problem: str
) -> None:
    path = tmp_path / "a.compressed.ply"
    save(path, typical_scene(300, 1))
    content = path.read_bytes()
    assert old in content
    if new.startswith(b"big"):
        old, new = b"binary_little_endian", b"binary_big_endian"
    path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(DataError) as error:
        load(path)
    assert problem in str(error.value)


def test_bounds_that_are_not_finite_drop_their_chunk(tmp_path: Path) -> None:
    path = tmp_path / "a.compressed.ply"
    save(path, typical_scene(300, 0))
    header, body = header_and_body(path)
    path.write_bytes(header + struct.pack("<f", math.nan) + body[4:])
    with pytest.warns(UserWarning, match="256 of 300 splats cannot be rendered"):
        assert load(path).num == 44
