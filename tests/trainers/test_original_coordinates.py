"""A capture in surveyed coordinates trains near the origin, and its results find back."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

import gsplat_core.io
from gsplat_core.quaternions import rotation_matrix
from gsplat_core.scene.original_coordinates import with_origin_at
from trainers.checkpoint import read_checkpoint
from trainers.cli import main
from trainers.coordinates import share_coordinates
from trainers.evaluation import evaluate, mean
from trainers.run_folder import RunFolder
from trainers.sources import load_photographs, load_scene, run_config

PLACE = np.array([448262.37, 5411932.11, 143.5])  # UTM, in metres
TRAINING = ["--preset", "tiny", "--steps", "30", "--test-every", "4"]


def moved(scene, folder, place):
    """The capture with its origin elsewhere, computed from the text of the model."""
    shutil.copytree(scene, folder)
    model = folder / "sparse" / "0"
    lines = []
    for line in (model / "images.txt").read_text().split("\n"):
        words = line.split()
        if len(words) == 10 and not line.startswith("#"):
            numbers = np.array(words[1:8], float)
            numbers[4:] -= rotation_matrix(numbers[:4]) @ place
            line = " ".join([words[0], *map(repr, numbers.tolist()), *words[8:]])
        lines.append(line)
    (model / "images.txt").write_text("\n".join(lines))
    lines = []
    for line in (model / "points3D.txt").read_text().split("\n"):
        words = line.split()
        if words and not line.startswith("#"):
            words[1:4] = map(repr, (np.array(words[1:4], float) + place).tolist())
        lines.append(" ".join(words))
    (model / "points3D.txt").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def near(tiny_scene, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "near"
    assert main(["train", str(tiny_scene), "-o", str(folder), *TRAINING]) == 0
    return RunFolder(folder)


@pytest.fixture(scope="module")
def far(tiny_scene, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    capture = moved(tiny_scene, folder / "capture", PLACE)
    assert main(["train", str(capture), "-o", str(folder / "far"), *TRAINING]) == 0
    return RunFolder(folder / "far")


def test_it_trains_as_well_as_at_the_origin(near, far):
    assert far.read_metrics()["psnr"] == pytest.approx(near.read_metrics()["psnr"], abs=0.3)


def test_result_checkpoints_and_measurements_keep_the_offset(far):
    offset = gsplat_core.io.load(far.point_cloud).metadata.offset
    np.testing.assert_allclose(offset, PLACE, atol=2)
    assert far.read_metrics()["offset"] == list(offset)
    state = read_checkpoint(sorted(far.checkpoints.glob("*.json"))[-1]).state["trainer"]["gaussians"]
    assert state["metadata.offset"].tolist() == list(offset)
    assert f"{offset[0]!r}".encode() in far.point_cloud.read_bytes()[:500]


def test_formats_of_32_bits_refuse_what_they_cannot_hold(far, tmp_path, capsys):
    target = tmp_path / "a.gsz"
    assert main(["export", str(far.path), "-o", str(target), "--coordinates", "original"]) == 2
    assert "move the original positions by up to 0.25" in capsys.readouterr().err
    assert not target.exists()


def test_a_ply_has_original_positions_of_64_bits(near, far, tmp_path):
    target = tmp_path / "a.ply"
    assert main(["export", str(far.path), "-o", str(target), "--coordinates", "original"]) == 0
    header, body = target.read_bytes().split(b"end_header\n")
    assert b"property double x\nproperty double y\nproperty double z\n" in header
    scene = load_scene(far.path, print)
    row = len(body) // scene.num
    positions = np.stack([np.frombuffer(body[i * row : i * row + 24], "<f8") for i in range(scene.num)])
    np.testing.assert_allclose(positions - scene.metadata.offset, scene.means.double(), atol=2e-9)
    middle = np.median(load_scene(near.path, print).means.numpy(), axis=0)
    np.testing.assert_allclose(np.median(positions, axis=0) - PLACE, middle, atol=0.1)
    # And back: the file is again a scene near the origin that fits the photographs.
    again = gsplat_core.io.load(target)
    assert again.metadata == scene.metadata
    torch.testing.assert_close(again.means, scene.means, atol=2e-9, rtol=0)


def test_positions_that_32_bits_hold_are_written_so_everywhere(tiny_scene, tmp_path):
    place = np.array([5000.0, 300.0, 0.0])
    capture = moved(tiny_scene, tmp_path / "capture", place)
    assert main(["train", str(capture), "-o", str(tmp_path / "run"), *TRAINING]) == 0
    scene = load_scene(tmp_path / "run", print)
    for name in ("a.ply", "a.spz", "a.glb"):
        with_offset = ["export", str(tmp_path / "run"), "-o", str(tmp_path / name)]
        assert main([*with_offset, "--coordinates", "original"]) == 0
        written = gsplat_core.io.load(tmp_path / name)
        assert not any(written.metadata.offset)
        error = written.means.mean(0).double() - torch.tensor(scene.metadata.offset) - scene.means.mean(0)
        assert error.abs().max() < 1e-3
        record = json.loads((tmp_path / "export.json").read_text())[name]
        assert record["original_offset"] == list(scene.metadata.offset)
        if "psnr_between" in record and record["psnr_between"] is not None:
            assert record["psnr_between"] > 40


def test_a_scene_without_an_offset_is_told(near, tmp_path, capsys):
    assert main(["export", str(near.path), "-o", str(tmp_path / "a.ply"), "--coordinates", "original"]) == 0
    assert "its coordinates are the original ones" in capsys.readouterr().err
    assert (tmp_path / "a.ply").read_bytes() == near.point_cloud.read_bytes()


@pytest.mark.parametrize("offset", [None, (448260.0, 5411930.0, 140.0)])
def test_photographs_meet_a_scene_in_its_coordinates(far, offset):
    scene = load_scene(far.path, print)
    if offset is not None:
        scene = with_origin_at(scene, offset)
    dataset = load_photographs(run_config(far.path))
    share_coordinates(dataset, scene)
    assert dataset.offset == pytest.approx(scene.metadata.offset)
    measured = mean(view.psnr for view in evaluate(scene, dataset.test))
    assert measured == pytest.approx(far.read_metrics()["psnr"], abs=0.01)


def test_a_file_that_lost_the_offset_is_known_by_where_it_lies(far):
    dataset = load_photographs(run_config(far.path))
    scene = load_scene(far.path, print)
    share_coordinates(dataset, scene.with_metadata(offset=(0.0, 0.0, 0.0)))
    assert tuple(dataset.offset) == scene.metadata.offset
    share_coordinates(dataset, with_origin_at(scene, (0.0, 0.0, 0.0)))
    assert not dataset.offset.any()
