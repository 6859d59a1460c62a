"""`reconstruct`, and `train` of photographs without poses: one command from a camera's folder to a scene."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sfm.conftest import FAKE, Journal, write_photograph

from gsplat_core.scene.dataset import Dataset
from trainers.cli import main
from trainers.config import TrainConfig


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_scene: Path) -> Journal:
    """A worker that finds the poses of the tiny scene, in the place of pycolmap."""
    monkeypatch.setattr("gsplat_core.sfm.process.WORKER", FAKE)
    monkeypatch.setattr("gsplat_core.sfm.reconstruct.require_pycolmap", lambda: None)
    journal = Journal(tmp_path / "journal.jsonl", monkeypatch)
    journal.tell(SPARSE=str(tiny_scene / "sparse" / "0"))
    return journal


@pytest.fixture
def photographs(tmp_path: Path, tiny_scene: Path) -> Path:
    """Those of the tiny scene, and nothing else."""
    return shutil.copytree(tiny_scene / "images", tmp_path / "cup")


def test_photographs_become_a_capture(
    photographs: Path, tmp_path: Path, journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    given = [
        "reconstruct",
        str(photographs),
        "-o",
        str(data),
        "--camera-model",
        "PINHOLE",
        "--quality",
        "low",
    ]
    assert main(given) == 0
    told = capsys.readouterr()
    assert "photographs placed" in told.out
    assert f"train {data}" in told.out
    assert "placing photographs: 1 of 2" in told.err
    request = journal.requests()[0]
    assert (request["camera_model"], request["image_size"], request["features"]) == ("PINHOLE", 1000, 2048)
    assert main(["info", str(data)]) == 0
    assert main(given) == 0
    assert journal.requests() == []


def test_one_flag_goes_on_to_a_scene(
    photographs: Path, tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []
    monkeypatch.setattr("trainers.commands.train.train", given.append)
    options = ["-o", str(tmp_path / "data"), "--train", "--preset", "tiny", "--run", str(tmp_path / "run")]
    assert main(["reconstruct", str(photographs), *options]) == 0
    [options_of_train] = given
    assert options_of_train.data == tmp_path / "data"  # type: ignore[attr-defined]
    assert options_of_train.output == tmp_path / "run"  # type: ignore[attr-defined]
    assert options_of_train.preset == "tiny"  # type: ignore[attr-defined]


def test_train_of_photographs_reconstructs_them_once(
    photographs: Path, tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[TrainConfig] = []

    def train(config: TrainConfig, *_: object, **__: object) -> dict[str, object]:
        Dataset.load(config.data, require_points=True)
        trained.append(config)
        return {"split": "test", "psnr": 30.0, "ssim": 0.9, "num_gaussians": 1, "train_seconds": 1.0}

    monkeypatch.setattr("trainers.session.train", train)
    before = {path: path.read_bytes() for path in photographs.rglob("*")}
    assert main(["train", str(photographs), "-o", str(tmp_path / "runs" / "a"), "--preset", "tiny"]) == 0
    assert "poses" in journal.stages()
    assert main(["train", str(photographs), "-o", str(tmp_path / "runs" / "b"), "--preset", "tiny"]) == 0
    assert journal.requests() == []
    assert [config.data for config in trained] == [str(tmp_path / "runs" / "cup_reconstructed")] * 2
    assert before == {path: path.read_bytes() for path in photographs.rglob("*")}


def test_options_that_cannot_be_are_told_before_anything_is_reconstructed(
    photographs: Path, tmp_path: Path, journal: Journal
) -> None:
    run = ["-o", str(tmp_path / "run")]
    assert main(["train", str(photographs), *run, "--strategy", "nothing"]) == 2
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    assert main(["train", str(photographs), *run]) == 2
    assert journal.requests() == []


def test_folders_of_the_photographs_are_found_from_the_reconstruction(
    tmp_path: Path, tiny_scene: Path
) -> None:
    from trainers.commands.train import TrainOptions, without_poses

    data = tmp_path / "cup"
    for name in ("input", "inside"):
        (data / name).mkdir(parents=True)
    options = TrainOptions(data, images=Path("input"), masks=Path("inside"), normals=Path("nowhere"))
    source, changed = without_poses(options, tmp_path / "runs" / "a")
    assert source == data / "input"
    assert changed.data == tmp_path / "runs" / "cup_reconstructed"
    assert changed.images is None
    assert changed.masks == data / "inside"
    assert changed.normals == Path("nowhere")


def test_a_video_is_one_too(tmp_path: Path, journal: Journal, capsys: pytest.CaptureFixture[str]) -> None:
    video = tmp_path / "walk.mp4"
    video.write_bytes(b"no video")
    assert main(["train", str(video), "-o", str(tmp_path / "run")]) == 3
    assert "walk.mp4: cannot be read as a video" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "walk_reconstructed").exists()


def test_without_pycolmap_it_is_told_what_to_install(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for command in ("train", "reconstruct"):
        assert main([command, str(photographs), "-o", str(tmp_path / "out")]) == 2
        assert "pip install 'gsplat-core[sfm]'" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cup"]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--run", "runs/a"], 2, "--run is for the training: add --train"),
        (["--preset", "tiny"], 2, "--preset is for the training: add --train"),
        (["--frames", "1"], 2, "--frames must be from 2"),
        (["--max-image-size", "1"], 2, "--max-image-size must be from 64"),
        (["--matcher", "vocabulary"], 2, "matcher"),
        (["-o", "{photographs}"], 2, "never written to"),
        (["-o", "{other}"], 2, "something else in it"),
    ],
)
def test_mistakes_are_told_and_write_nothing(
    photographs: Path, tmp_path: Path, journal: Journal, capsys: pytest.CaptureFixture[str],
    options: list[str], code: int, message: str,
) -> None:  # fmt: skip
    write_photograph(tmp_path / "other" / "mine.jpg")
    before = sorted(tmp_path.rglob("*"))
    places = {"photographs": photographs, "other": tmp_path / "other"}
    given = [option.format(**places) for option in options]
    try:
        result = main(["reconstruct", str(photographs), "-o", str(tmp_path / "out"), *given])
    except SystemExit as error:
        result = int(error.code or 0)
    assert result == code
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("how", "code"), [("abort", 3), ("killed", 4)])
def test_a_stage_that_fails_has_an_exit_code_and_goes_on_later(
    photographs: Path,
    tmp_path: Path,
    journal: Journal,
    capsys: pytest.CaptureFixture[str],
    how: str,
    code: int,
) -> None:
    journal.tell(FAILURE=f"matches:{how}")
    given = ["reconstruct", str(photographs), "-o", str(tmp_path / "data")]
    assert main(given) == code
    assert "matching features" in capsys.readouterr().err
    journal.forget("FAILURE")
    journal.requests()
    assert main(given) == 0
    assert journal.stages()[0] == "matches"
