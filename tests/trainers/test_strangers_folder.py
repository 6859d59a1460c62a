"""In a run folder full of links no command writes outside of it: what it writes takes their place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gsplat_core.mesh import Mesh, save_mesh
from trainers.checkpoint import checkpoints
from trainers.cli import main
from trainers.run_folder import RunFolder

TRAINING = ["--preset", "tiny", "--steps", "12", "--test-every", "4", "--max-gaussians", "100"]
# A checkpoint after each step: the last but one is resumed from.
SETTINGS = ["--set", "checkpoint_seconds=0.0001"]
FILES = (
    "config.json", "metrics.json", "history.jsonl", "report.html", "point_cloud.ply", "point_cloud.gsz",
    "compression.json", "derived.json", "rest_mesh.ply", "crash_report.txt", "export.json", "orbit.gif",
    "orbit.mp4", "copy.ply", "copy.spz", "clean.ply", "both.ply", "eval.json", ".lock", "parts/exposure.json",
    "test/000/000.png", "test/004.png", "render_test/000/000.png", "checkpoints/step_00000012.json",
    "checkpoints/step_00000012.safetensors", "checkpoints/step_00000011.json",
    "checkpoints/step_00000011.safetensors",
)  # fmt: skip
FOLDERS = ("test", "test/000", "checkpoints", "parts", "render_test", "render_test/000")
# What commands read: a link that leads nowhere is an error there, and no danger.
READ = (
    "config.json", "point_cloud.ply", "derived.json", "parts/exposure.json", "checkpoints/step_00000011.json",
    "checkpoints/step_00000011.safetensors",
)  # fmt: skip


@pytest.fixture(scope="module")
def photographs(tiny_scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny scene with one photograph in a folder of its own, so that `test/` has one, too."""
    data = shutil.copytree(tiny_scene, tmp_path_factory.mktemp("data") / "data")
    (data / "images" / "000").mkdir()
    (data / "images" / "000.png").rename(data / "images" / "000" / "000.png")
    (data / "labels").mkdir()
    Image.new("L", (48, 36), 1).save(data / "labels" / "001.png")
    corners = np.array([[-1, -1, 0], [1, -1, 0], [0, 1, 0]], np.float32)
    save_mesh(data / "mesh.ply", Mesh(corners, np.array([[0, 1, 2]], np.int32), np.zeros((3, 3), np.uint8)))
    images = data / "sparse" / "0" / "images.txt"
    images.write_text(images.read_text().replace(" 000.png", " 000/000.png"))
    return data


@pytest.fixture(scope="module")
def unfinished(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with everything that a finished one has, whose last checkpoint is one step before the end."""
    run = RunFolder(tmp_path_factory.mktemp("runs") / "run")
    options = [*TRAINING, *SETTINGS, "--appearance", "affine"]
    assert main(["train", str(photographs), "-o", str(run.path), *options]) == 0
    run.derived.write_text("{}")
    newest = checkpoints(run.checkpoints)[-1]
    newest.unlink()
    newest.with_suffix(".safetensors").unlink()
    assert [path.stem for path in checkpoints(run.checkpoints)] == ["step_00000011"]
    return run


def copied(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.exists():
        shutil.copy(source, target)
    else:
        target.write_bytes(b"theirs")


def link_files(run: RunFolder, outside: Path, link: Callable[[Path, Path], None]) -> None:
    """Every file that a command may write becomes a link to one with its content."""
    for name in FILES:
        place, theirs = run.path / name, outside / name
        copied(place, theirs)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        link(place, theirs)


def link_to_nothing(run: RunFolder, outside: Path) -> None:
    for name in FILES:
        if name not in READ:
            place = run.path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            place.symlink_to(outside / "absent" / name)
    (outside / "absent").mkdir()


def link_folders(run: RunFolder, outside: Path, innermost: bool = False) -> None:
    for name in FOLDERS:
        place, theirs = run.path / name, outside / name
        if innermost == ("/" in name or name == "parts"):
            place.mkdir(parents=True, exist_ok=True)
            copied(place, theirs)
            shutil.rmtree(place)
            place.symlink_to(theirs)


TRAPS: dict[str, Callable[[RunFolder, Path], None]] = {
    "symbolic links": lambda run, outside: link_files(run, outside, Path.symlink_to),
    "hard links": lambda run, outside: link_files(run, outside, Path.hardlink_to),
    "links to nothing": link_to_nothing,
    "linked folders": link_folders,
    "linked folders in folders": lambda run, outside: link_folders(run, outside, innermost=True),
}

COMMANDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "resume": (
        "train DATA -o RUN --resume",
        (".lock", "history.jsonl", "metrics.json", "report.html", "point_cloud.ply", "test", "test/000",
         "test/000/000.png", "test/004.png", "checkpoints", "checkpoints/step_00000012.json",
         "checkpoints/step_00000012.safetensors", "parts", "parts/exposure.json"),
    ),
    "overwrite": (
        f"train DATA -o RUN --overwrite {' '.join(TRAINING)}",
        (".lock", "config.json", "history.jsonl", "metrics.json", "report.html", "point_cloud.ply",
         "test", "test/000", "test/000/000.png", "checkpoints", "checkpoints/step_00000012.json"),
    ),
    "eval": (
        "eval RUN",
        (".lock", "metrics.json", "report.html", "test", "test/000", "test/000/000.png", "test/004.png"),
    ),
    "eval into a file": ("eval RUN -o RUN/eval.json", ("eval.json",)),
    "compress": (
        "compress OTHER -o RUN --overwrite --steps 2 --max-loss-db 20",
        (".lock", "config.json", "metrics.json", "report.html", "point_cloud.gsz", "compression.json", "test",
         "test/000", "test/000/000.png", "parts", "parts/exposure.json"),
    ),
    "bind": (
        "bind OTHER DATA/mesh.ply -o RUN --overwrite",
        (".lock", "config.json", "metrics.json", "report.html", "point_cloud.ply", "derived.json",
         "rest_mesh.ply", "test", "test/000", "test/000/000.png", "parts", "parts/exposure.json"),
    ),
    "segment": (
        "segment OTHER -o RUN --masks DATA/labels --overwrite",
        (".lock", "config.json", "metrics.json", "report.html", "point_cloud.ply", "derived.json", "test",
         "test/000", "test/000/000.png", "parts", "parts/exposure.json"),
    ),
    "export": ("export RUN -o RUN/copy.ply", ("copy.ply", "export.json")),
    "export of what is measured": ("export RUN -o RUN/copy.spz", ("copy.spz", "export.json")),
    "clean": ("clean RUN -o RUN/clean.ply", ("clean.ply",)),
    "compose": ("compose RUN RUN -o RUN/both.ply", ("both.ply",)),
    "render of an orbit": ("render RUN -o RUN/orbit.gif --frames 2", ("orbit.gif",)),
    "render of an orbit where it is usual": ("render RUN --frames 2", ("orbit.mp4",)),
    "render of photographs": (
        "render RUN --path test",
        ("render_test", "render_test/000", "render_test/000/000.png"),
    ),
    "info": ("info RUN", ()),
}  # fmt: skip


def fingerprint(folder: Path) -> dict[str, tuple[bytes, int] | None]:
    """Content and time of all files, and the names of all folders, even of empty ones."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        if path.is_file()
        else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_outside_of_the_folder_changes(
    unfinished: RunFolder, photographs: Path, tmp_path: Path, trap: str, command: str
) -> None:
    run, outside = RunFolder(tmp_path / "run"), tmp_path / "outside"
    shutil.copytree(unfinished.path, run.path)
    outside.mkdir()
    TRAPS[trap](run, outside)
    before = fingerprint(outside)
    text, writes = COMMANDS[command]
    places = {"DATA": photographs, "RUN": run.path, "OTHER": unfinished.path}
    words = [os.path.join(places.get(head := word.split("/")[0], head), *word.split("/")[1:])
             for word in text.split()]  # fmt: skip
    assert main(words) == 0
    assert fingerprint(outside) == before
    for name in writes:
        place = run.path / name
        assert place.exists(), name
        assert not place.is_symlink(), name
        assert place.is_dir() or place.stat().st_nlink == 1, name
    assert not list(run.path.rglob(".tmp-*"))


def test_a_folder_that_is_a_link_as_a_whole_is_the_users_own_choice(
    unfinished: RunFolder, photographs: Path, tmp_path: Path
) -> None:
    shutil.copytree(unfinished.path, tmp_path / "elsewhere")
    (tmp_path / "run").symlink_to("elsewhere")
    run = RunFolder(tmp_path / "run")
    run.metrics.unlink()
    assert main(["eval", str(run.path)]) == 0
    assert run.path.is_symlink()
    assert (tmp_path / "elsewhere" / "metrics.json").is_file()


def test_a_crash_report_takes_the_place_of_a_link(tmp_path: Path) -> None:
    run, victim = RunFolder(tmp_path / "run"), tmp_path / "victim"
    run.path.mkdir()
    victim.write_text("theirs")
    for link in (run.crash_report.symlink_to, run.crash_report.hardlink_to):
        run.crash_report.unlink(missing_ok=True)
        link(victim)
        with pytest.raises(Exception, match=r"crash_report\.txt"), run.crash_reports():
            raise IndexError("this and that")
        assert "IndexError: this and that" in run.crash_report.read_text()
        assert not run.crash_report.is_symlink()
        assert victim.read_text() == "theirs"


def test_a_curve_goes_on_in_the_copy_of_a_linked_history(
    unfinished: RunFolder, photographs: Path, tmp_path: Path
) -> None:
    """As in runs that were copied with hard links, of which each then goes its own way."""
    run = RunFolder(tmp_path / "run")
    shutil.copytree(unfinished.path, run.path, copy_function=os.link)
    before = unfinished.history.read_bytes()
    assert main(["train", str(photographs), "-o", str(run.path), "--resume"]) == 0
    assert unfinished.history.read_bytes() == before
    assert run.history.read_bytes().splitlines()[0] == before.splitlines()[0]
