"""`segment`: a run with masks becomes a run with labels, whole or in parts; mistakes write nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from apps.labelled_scene import arc, labelled_scene, write_capture
from PIL import Image

import gsplat_core.io
from gsplat_core.labels import LABEL, counts, label_image, labelled
from gsplat_core.scene.gaussians import Gaussians
from trainers.cli import main
from trainers.run_folder import RunFolder
from trainers.sources import load_scene

VIEWS = 9


class Case:
    """A splat file without labels, its photographs, their masks, and what the labels are."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data, self.masks, self.file = (
            folder, folder / "data", folder / "labels", folder / "scene.ply",
        )  # fmt: skip
        self.truth = labelled_scene(60)
        cameras = arc(VIEWS)
        (self.data / "images").mkdir(parents=True)
        self.masks.mkdir()
        write_capture(self.data, self.truth, cameras)
        gsplat_core.io.save(self.file, self.truth.without_extras())
        names = torch.tensor([0, 3, 700])
        for camera in cameras:
            mask = names[label_image(self.truth, camera)].numpy().astype(np.uint16)
            Image.fromarray(mask).save(self.masks / camera.name)

    def segment(self, output: Path, *options: str, source: Path | None = None) -> int:
        where = [] if source else ["--scene", str(self.data)]
        given = [str(source or self.file), "--masks", str(self.masks), "-o", str(output), *where, *options]
        return main(["segment", *given, "--device", "cpu"])


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp("segment"))


@pytest.fixture(scope="module")
def first(case: Case) -> RunFolder:
    run = RunFolder(case.folder / "first")
    assert case.segment(run.path) == 0
    return run


def test_a_run_has_the_labels_and_what_they_are_worth(case: Case, first: RunFolder) -> None:
    scene = load_scene(first.path, print)
    known = torch.tensor([0, 3, 700])[case.truth.extras[LABEL].long()]
    seen = scene.extras[LABEL] >= 0
    assert (scene.extras[LABEL] == known)[seen].double().mean() > 0.95
    assert torch.equal(scene.means, case.truth.means)
    metrics = json.loads(first.metrics.read_text())
    done = metrics["derived"]
    assert done["command"] == "segment"
    assert done["masks"] == VIEWS - 2
    assert (done["masks_split"], done["masks_measured"]) == ("test", 2)
    assert list(done["iou"]) == ["0", "3", "700"]
    assert done["miou"] == pytest.approx(sum(done["iou"].values()) / 3)
    assert done["miou"] > 0.95
    assert done["labels"] == {str(k): n for k, n in counts(scene.extras[LABEL]).items()}
    assert metrics["num_gaussians"] == scene.num
    assert first.report.exists()
    assert len(list(first.test.rglob("*.png"))) == 2


def test_objects_are_extracted_and_removed(case: Case, first: RunFolder, tmp_path: Path) -> None:
    whole = load_scene(first.path, print)
    label = whole.extras[LABEL]
    for options, kept in {
        ("--extract", "3"): label == 3,
        ("--extract", "3", "700"): (label == 3) | (label == 700),
        ("--remove", "700"): label != 700,
        ("--remove", "0", "3"): (label != 0) & (label != 3),
    }.items():
        output = tmp_path / "_".join(options).strip("-")
        # The run's own photographs are where it says.
        assert case.segment(output, *options, source=first.path) == 0
        part = load_scene(output, print)
        assert torch.equal(part.means, whole.means[kept])
        assert torch.equal(part.extras[LABEL], label[kept])
        assert json.loads((output / "metrics.json").read_text())["num_gaussians"] == int(kept.sum())


def test_settings_decide_what_an_object_is(case: Case, tmp_path: Path) -> None:
    sizes = []
    for i, options in enumerate((["--bias", "-0.8"], [], ["--bias", "0.8"])):
        rule = ["--rule", "overlap", "--norm", "l2", "--extract", "3"]
        assert case.segment(tmp_path / str(i), *rule, *options) == 0
        sizes.append(load_scene(tmp_path / str(i), print).num)
    assert sizes[0] > sizes[1] > sizes[2]
    hidden = case.truth.subset(slice(0, 3)).without_extras().cloned()
    hidden.opacities[:] = -12.0
    gsplat_core.io.save(tmp_path / "more.ply", Gaussians.merge([case.truth.without_extras(), hidden]))
    scene = ["--scene", str(case.data)]
    assert case.segment(tmp_path / "a", *scene, source=tmp_path / "more.ply") == 0
    assert case.segment(tmp_path / "b", *scene, "--fill", source=tmp_path / "more.ply") == 0
    without, filled = (load_scene(tmp_path / name, print).extras[LABEL] for name in "ab")
    assert without[-3:].tolist() == [-1] * 3
    assert filled[-3:].tolist() == [0] * 3


def test_labels_that_were_there_are_replaced(case: Case, first: RunFolder, tmp_path: Path) -> None:
    old = labelled(case.truth, torch.full((case.truth.num,), 9))
    gsplat_core.io.save(tmp_path / "old.ply", old)
    assert case.segment(tmp_path / "new", "--scene", str(case.data), source=tmp_path / "old.ply") == 0
    expected = load_scene(first.path, print).extras[LABEL]
    assert torch.equal(load_scene(tmp_path / "new", print).extras[LABEL], expected)


def test_some_masks_are_enough(case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of training views; those of test views alone say nothing."""
    few = tmp_path / "few"
    few.mkdir()
    for i in (2, 5):
        shutil.copy(case.masks / f"{i:03d}.png", few)
    options = ["--scene", str(case.data), "-o", str(tmp_path / "out")]
    assert main(["segment", str(case.file), "--masks", str(few), *options]) == 0
    assert "2 masks, " in capsys.readouterr().out
    done = json.loads((tmp_path / "out" / "metrics.json").read_text())["derived"]
    assert (done["masks"], done["masks_split"], done["masks_measured"]) == (2, "training", 2)
    for path in few.iterdir():
        path.unlink()
    shutil.copy(case.masks / "000.png", few)
    assert main(["segment", str(case.file), "--masks", str(few), *options, "--overwrite"]) == 3
    assert "the only masks are those of test views" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--extract", "3", "--remove", "0"], 2, "--extract and --remove exclude each other"),
        (["--extract", "5"], 2, "No mask has the label 5; there are 0, 3, 700"),
        (["--extract", "-1"], 2, "No mask has the label -1"),
        (["--remove", "0", "3", "700", "--fill"], 2, "No Gaussian would be left"),
        (["--bias", "1"], 2, "--bias must be between -1 and 1"),
        (["--rule", "most"], 2, "rule"),
        (["--masks", "nowhere"], 3, "nowhere"),
        (["--masks", "{data}/images"], 3, "PNG of mode RGB"),
        (["--masks", "{empty}"], 3, "this folder of masks has none for any photograph: it is empty"),
        (["--masks", "{large}"], 3, "this mask is 96 x 96 pixels, but its photograph is 96 x 72"),
        (["-o", "{first}"], 2, "already holds a run"),
        (["-o", "{file}"], 2, "needs a folder of its own"),
    ],
)
def test_mistakes_are_told_and_write_nothing(
    case: Case, first: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    options: list[str], code: int, message: str,
) -> None:  # fmt: skip
    for name in ("empty", "large"):
        (tmp_path / name).mkdir()
    Image.fromarray(np.zeros((96, 96), np.uint8)).save(tmp_path / "large" / "001.png")
    known = {"data": case.data, "first": first.path, "file": case.file}
    places = known | {name: tmp_path / name for name in ("empty", "large")}
    before = {path: path.read_bytes() for path in case.folder.rglob("*") if path.is_file()}
    try:
        given = case.segment(tmp_path / "out", *(option.format(**places) for option in options))
    except SystemExit as error:
        given = int(error.code or 0)
    assert given == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert {path: path.read_bytes() for path in case.folder.rglob("*") if path.is_file()} == before


def test_a_file_needs_its_photographs(case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["segment", str(case.file), "--masks", str(case.masks), "-o", str(tmp_path / "out")]
    assert main(given) == 2
    assert "add --scene DATA" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
