"""antimatter15's .splat: the bytes of a record, its order, and a file that others made."""

import struct
from pathlib import Path

import pytest
import torch
from paths import real_scene
from splat_files import typical_scene

from gsplat_core.errors import DataError
from gsplat_core.io import DataWarning, load, save
from gsplat_core.scene.gaussians import Gaussians


def test_layout_of_a_record(tmp_path: Path) -> None:
    scene = Gaussians(
        means=torch.tensor([[1.0, 2, 3]]),
        quats=torch.tensor([[3.0, 0, -4, 0]]),
        scales=torch.tensor([[2.0, 4, 8]]).log(),
        opacities=torch.tensor([0.0]),
        sh0=torch.tensor([[[0.0, 9, -9]]]),
        shN=torch.zeros(1, 0, 3),
    )
    save(tmp_path / "a.splat", scene)
    record = struct.unpack("<6f8B", (tmp_path / "a.splat").read_bytes())
    assert record[:6] == pytest.approx((1, 2, 3, 2, 4, 8))
    assert record[6:10] == (128, 255, 0, 128)
    assert record[10:] == (205, 128, 26, 128)


def test_the_most_important_come_first(tmp_path: Path) -> None:
    scene = typical_scene(50, 0)
    save(tmp_path / "a.splat", scene)
    read = load(tmp_path / "a.splat")
    importance = (read.scales.sum(1) + read.opacities.sigmoid().log()).double()
    assert bool((importance.diff() <= 0.6).all())  # alpha has 8 bits
    assert importance[0] > importance[-1] + 3


def test_a_file_that_others_trained() -> None:
    read = load(real_scene("trained_ply") / "trained_22764.splat")
    assert (read.num, read.sh_degree) == (22_764, 0)
    assert (read.quats.norm(dim=1) - 1).abs().max() < 0.02
    assert read.scales.exp().median() > 0
    assert 0.01 < read.opacities.sigmoid().mean() < 0.99


def test_sizes_that_are_no_multiple_of_a_record_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.splat", typical_scene(3, 0))
    content = (tmp_path / "a.splat").read_bytes()
    (tmp_path / "a.splat").write_bytes(content[:-1])
    with pytest.raises(DataError, match=r"byte 64\): 95 bytes are not a multiple of 32"):
        load(tmp_path / "a.splat")


def test_damaged_records_are_dropped(tmp_path: Path) -> None:
    save(tmp_path / "a.splat", typical_scene(3, 0))
    content = bytearray((tmp_path / "a.splat").read_bytes())
    content[0:4] = struct.pack("<f", float("nan"))
    content[44:48] = struct.pack("<f", -1.0)
    (tmp_path / "a.splat").write_bytes(content)
    with pytest.warns(DataWarning, match="2 of 3 splats cannot be rendered"):
        assert load(tmp_path / "a.splat").num == 1
