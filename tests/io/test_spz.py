"""Niantic's .spz: bits of every attribute, all versions, axes, and files that claim too much."""

import gzip
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from splat_files import assert_same_covariances, typical_scene

from gsplat_core.errors import DataError, UsageError
from gsplat_core.io import DataWarning, load, save, spz
from gsplat_core.io.deflate import gzip_compress, gzip_stream
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import sh_basis


def one(**changes: Any) -> Gaussians:
    parameters = {
        "means": torch.tensor([[1.0, -2, 0.5]]),
        "quats": torch.tensor([[0.8, 0.6, 0, 0]]),
        "scales": torch.tensor([[-10.0, 0, 5.9375]]),
        "opacities": torch.tensor([0.0]),
        "sh0": torch.tensor([[[0.0, 10 / 3, -10 / 3]]]),
        "shN": torch.tensor([[[0.0, 0.5, -0.5], [1, -1, 0.04], [0.02, 0.07, 0.12]]]),
    }
    return Gaussians(**(parameters | changes))


def test_layout_of_version_3(tmp_path: Path) -> None:
    save(tmp_path / "a.spz", one(), axes="ply", antialiased=True)
    content = gzip.decompress((tmp_path / "a.spz").read_bytes())
    assert struct.unpack("<4sIIBBBB", content[:16]) == (b"NGSP", 3, 1, 1, 12, 1, 0)
    body = content[16:]
    fixed = [int.from_bytes(body[i : i + 3], "little", signed=True) for i in (0, 3, 6)]
    assert fixed == [4096, -8192, 2048]
    assert list(body[9:16]) == [128, 128, 255, 0, 0, 160, 255]
    (rotation,) = struct.unpack("<I", body[16:20])
    x = round(511 * 0.6 * math.sqrt(2))
    assert rotation == 3 << 30 | x << 20  # (x, y, z, w): w is the largest
    assert list(body[20:]) == [128, 192, 64, 255, 0, 132, 132, 136, 144]  # steps of 4
    assert len(body) == 29


@pytest.mark.parametrize(("bits", "step"), [((5, 4), (8, 16)), ((8, 1), (1, 128))])
def test_precision_of_coefficients_can_be_chosen(
    tmp_path: Path, bits: tuple[int, int], step: tuple[int, int]
) -> None:
    save(tmp_path / "a.spz", typical_scene(200, 2), axes="ply", sh1_bits=bits[0], sh_bits=bits[1])
    codes = torch.from_numpy(
        np.frombuffer(gzip.decompress((tmp_path / "a.spz").read_bytes())[-200 * 24 :], np.uint8).copy()
    ).reshape(200, 8, 3)
    for part, size in ((codes[:, :3], step[0]), (codes[:, 3:], step[1])):
        assert bool((part[part < 255] % size == 0).all())
        assert len(part.unique()) > 1
    with pytest.raises(UsageError, match="sh_bits must be from 1 to 8, not 9"):
        save(tmp_path / "a.spz", typical_scene(2, 2), sh_bits=9)


def test_negative_components_have_a_sign_bit(tmp_path: Path) -> None:
    save(tmp_path / "a.spz", one(quats=torch.tensor([[-0.8, 0.0, 0.6, 0]])), axes="ply")
    (rotation,) = struct.unpack("<I", gzip.decompress((tmp_path / "a.spz").read_bytes())[32:36])
    assert rotation == 3 << 30 | (512 + round(511 * 0.6 * math.sqrt(2))) << 10


def test_identity_rotations_and_zeros_are_exact(tmp_path: Path) -> None:
    save(tmp_path / "a.spz", one(quats=torch.tensor([[1.0, 0, 0, 0]]), shN=torch.zeros(1, 3, 3)))
    read = load(tmp_path / "a.spz")
    assert read.quats.abs().tolist() == [[1, 0, 0, 0]]
    assert read.shN.abs().max() == 0


def test_version_4_has_plain_sizes(tmp_path: Path) -> None:
    save(tmp_path / "a.spz", typical_scene(100, 2), version=4)
    content = (tmp_path / "a.spz").read_bytes()
    header = struct.unpack("<4sIIBBBBI12x", content[:32])
    assert header == (b"NGSP", 4, 100, 2, 12, 0, 6, 32)
    table = struct.unpack("<12Q", content[32 : 32 + 96])
    assert table[1::2] == (900, 100, 300, 300, 400, 2400)
    assert sum(table[0::2]) + 128 == len(content)


def test_version_1_has_half_floats(tmp_path: Path) -> None:
    header = struct.pack("<4sIIBBBB", b"NGSP", 1, 1, 0, 0, 0, 0)
    body = np.array([1.5, -2.0, 3.25], "<f2").tobytes() + bytes(
        [255, 128, 128, 128, 160, 160, 160, 128, 128, 255]
    )
    (tmp_path / "a.spz").write_bytes(gzip.compress(header + body))
    read = load(tmp_path / "a.spz", axes="ply")
    assert read.means.tolist() == [[1.5, -2.0, 3.25]]
    assert read.scales.tolist() == [[0, 0, 0]]
    assert read.quats[0, 3] == pytest.approx(1, abs=1e-4)


def test_the_frame_of_the_file_shows_the_same_scene(tmp_path: Path) -> None:
    """Half a turn about x: colours seen along a turned direction are the ones seen along it before."""
    scene = typical_scene(20, 4)
    save(tmp_path / "a.spz", scene, axes="rub")
    ours, raw = load(tmp_path / "a.spz", axes="rub"), load(tmp_path / "a.spz", axes="ply")
    turn = torch.tensor([1.0, -1, -1])
    assert torch.equal(raw.means, ours.means * turn)
    direction = torch.nn.functional.normalize(torch.randn(20, 3, dtype=torch.float64), dim=1)
    seen = [
        (sh_basis(d, 4)[:, 1:, None] * s.shN.double()).sum(1)
        for s, d in ((ours, direction), (raw, direction * turn))
    ]
    assert torch.allclose(seen[0], seen[1])
    raw.means *= turn
    raw.quats *= torch.tensor([1.0, 1, -1, -1])
    assert_same_covariances(ours, raw)


def test_an_extension_record_about_the_axes_is_obeyed(tmp_path: Path) -> None:
    """Behind the attributes before version 4, ahead of them in it; unknown records are passed over."""
    scene = typical_scene(3, 1)
    records = struct.pack("<IIfff", 0xADBE0002, 12, 1, 2, 3) + struct.pack("<IIB", 0xADBE0003, 1, 6)
    save(tmp_path / "a.spz", scene, axes="ply")
    content = bytearray(gzip.decompress((tmp_path / "a.spz").read_bytes()))
    content[14] |= 2
    (tmp_path / "a.spz").write_bytes(gzip.compress(bytes(content) + records))
    save(tmp_path / "b.spz", scene, axes="ply", version=4)
    four = bytearray((tmp_path / "b.spz").read_bytes())
    four[14] |= 2
    four[16:20] = struct.pack("<I", 32 + len(records))
    (tmp_path / "b.spz").write_bytes(four[:32] + records + four[32:])
    for name in ("a.spz", "b.spz"):
        read = load(tmp_path / name, axes="rub")
        assert torch.allclose(read.means.sort(0).values, scene.means.sort(0).values, atol=2e-4)


def test_far_positions_get_coarser_steps_and_say_so(tmp_path: Path) -> None:
    with pytest.warns(DataWarning, match=r"positions reach 5000, so they are stored in steps of 0.000976562"):
        save(tmp_path / "a.spz", one(means=torch.tensor([[5000.0, 1, -4000]])))
    assert (load(tmp_path / "a.spz").means - torch.tensor([[5000.0, 1, -4000]])).abs().max() < 0.0005
    with pytest.raises(ValueError, match="do not fit"):
        save(tmp_path / "a.spz", one(means=torch.tensor([[1e8, 0, 0]])))


def test_gzip_in_blocks_is_one_ordinary_member() -> None:
    rng = np.random.default_rng(0)
    for size in (0, 1, 1 << 20, (1 << 20) + 1):
        data = rng.integers(0, 200, size // 4, dtype=np.uint8).repeat(4).tobytes() + bytes(size % 4)
        packed = gzip_compress(data)
        assert gzip.decompress(packed) == data
    assert len(packed) < 1.002 * len(gzip.compress(data, 6))
    parts = (data[start : start + 99_999] for start in range(0, len(data), 99_999))
    assert b"".join(gzip_stream(parts)) == packed


def test_noise_of_few_symbols_is_not_searched_for_repetitions() -> None:
    """What zlib finds there costs more than it saves; what repeats is still found."""
    rng = np.random.default_rng(0)
    noise = (rng.normal(8, 1.5, 1 << 19).round().clip(0, 15) * 16).astype(np.uint8).tobytes()
    assert len(gzip_compress(noise)) < 0.92 * len(gzip.compress(noise, 6))
    rows = rng.integers(0, 256, 1 << 10, dtype=np.uint8).tobytes() * 512
    assert len(gzip_compress(rows)) < 1.1 * len(gzip.compress(rows, 6))


def changed(content: bytes, **fields: int) -> bytes:
    names = ["magic", "version", "count", "degree", "bits", "flags", "streams"]
    header = dict(zip(names, struct.unpack("<IIIBBBB", content[:16]), strict=True)) | fields
    return struct.pack("<IIIBBBB", *header.values()) + content[16:]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"count": 101}, "positions|alphas|colors|scales|rotations|sh"),
        ({"count": 99}, "too many for 99 splats"),
        ({"count": 0}, "too many for 0 splats"),
        ({"count": 2**32 - 1}, "compressed bytes claim to hold"),
        ({"degree": 5}, "SH degree 5"),
        ({"version": 5}, "version 5; this program knows 1 to 4"),
        ({"version": 0}, "version 0"),
        ({"version": 4}, "version 4 must not be inside gzip"),
        ({"magic": 1}, "something compressed with gzip, not a splat file"),
        ({"bits": 24}, "24 fractional bits"),
        ({"flags": 128}, "level-of-detail file of Spark"),
    ],
)
def test_headers_that_contradict_the_file_are_refused(
    tmp_path: Path, fields: dict[str, int], problem: str
) -> None:
    path = tmp_path / "a.spz"
    save(path, typical_scene(100, 1))
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(changed(content, **fields)))
    with pytest.raises(DataError, match=problem):
        load(path)


@pytest.mark.parametrize(
    ("at", "layout", "value", "problem"),
    [
        (8, "<I", 101, "positions: 900 bytes announced, 101 splats have 909"),
        (8, "<I", 2**32 - 1, "compressed bytes claim to hold"),
        (15, "<B", 5, "5 streams, expected 6"),
        (16, "<I", 31, "table of sizes is at byte 31"),
        (16, "<I", 2**31, "table of sizes is at byte"),
        (4, "<I", 3, "version 3 must be inside gzip"),
        (32, "<Q", 2**63, "positions: 9,223,372,036,854,775,808 bytes are needed"),
        (32, "<Q", 3, "bytes after the last stream"),
    ],
)
def test_version_4_that_contradicts_itself_is_refused(
    tmp_path: Path, at: int, layout: str, value: int, problem: str
) -> None:
    path = tmp_path / "a.spz"
    save(path, typical_scene(100, 1), version=4)
    content = bytearray(path.read_bytes())
    struct.pack_into(layout, content, at, value)
    path.write_bytes(content)
    with pytest.raises(DataError, match=problem):
        load(path)


def test_bombs_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content that goes on beyond what the header says is looked at no further than that."""
    path = tmp_path / "a.spz"
    header = struct.pack("<4sIIBBBB", b"NGSP", 3, 1, 0, 12, 0, 0)
    path.write_bytes(gzip.compress(header + bytes(50_000_000)))
    with pytest.raises(DataError, match="too many for 1 splats"):
        load(path)
    frame = spz.zstd.compress(bytes(50_000_000))
    sizes = [9, 1, 3, 3, 4]
    good = [spz.zstd.compress(bytes(size)) for size in sizes[1:]]
    table = b"".join(struct.pack("<QQ", len(f), s) for f, s in zip([frame, *good], sizes, strict=True))
    four = struct.pack("<4sIIBBBBI12x", b"NGSP", 4, 1, 0, 12, 0, 5, 32) + table + b"".join([frame, *good])
    path.write_bytes(four)
    with pytest.raises(DataError, match=r"\(positions\): the stream does not have exactly 9 bytes"):
        load(path)


def test_an_empty_scene_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one Gaussian"):
        save(tmp_path / "a.spz", typical_scene(1).subset(slice(0, 0)))
