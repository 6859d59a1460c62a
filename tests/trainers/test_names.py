"""Names of files and folders, whatever they are, reach a terminal as text: not as marks, not as its codes."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT
from PIL import Image
from splat_files import typical_scene

import gsplat_core.io
from gsplat_core.shown import shown
from trainers.camera_paths import Orbit, default_lens
from trainers.cli import main
from trainers.run_folder import RunFolder
from trainers.viewer import server

NAMES = (
    "scan [/2024] x", "a[", "o[bold]x", "[link=https:]x[", "\x1b[31mred", "\x1b]0;title\x07", "\x9b31m",
    "new\nline", "tab\tx", "back\x08\r", "\u202egnp", ":smile:", "%s{0}{x}", "$(touch x)`'\"", "<b>&",
    " blank ", "…", "-o", "\udcff",
)  # fmt: skip
WIDTH, HEIGHT = 24, 18
TRAINING = ["--preset", "tiny", "--steps", "2", "--test-every", "3", "--max-gaussians", "60"]


@pytest.fixture(scope="module")
def everything() -> str:
    """One name with all of them in it."""
    return "x".join(NAMES)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory, everything: str) -> Path:
    """A capture in a folder of this name, with a photograph for each name, and one that is missing."""
    folder = tmp_path_factory.mktemp("data") / everything
    folder.mkdir(parents=True)
    orbit = Orbit(np.zeros(3), np.array([0.0, 0, 1]), radius=4.0, elevation=0.4)
    lens = default_lens(WIDTH, HEIGHT)
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    frames = []
    names = [f"{name}.png" for name in NAMES]
    for camera, name in zip(orbit.cameras(len(names), lens), names, strict=True):
        pose = np.linalg.inv(camera.viewmat) @ np.diag([1.0, -1, -1, 1])
        frames.append({"file_path": name, "transform_matrix": pose.tolist()})
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
    frames.append({**frames[0], "file_path": f"missing{NAMES[4]}.png"})
    intrinsics = {"fl_x": lens.K[0, 0], "fl_y": lens.K[1, 1], "w": WIDTH, "h": HEIGHT}
    (folder / "transforms.json").write_text(json.dumps({**intrinsics, "frames": frames}))
    return folder


@pytest.fixture(scope="module")
def run(photographs: Path, tmp_path_factory: pytest.TempPathFactory, everything: str) -> RunFolder:
    folder = tmp_path_factory.mktemp("runs") / everything
    assert main(["train", str(photographs), "-o", str(folder), *TRAINING]) == 0
    return RunFolder(folder)


def assert_harmless(text: str) -> None:
    kinds = {unicodedata.category(character) for character in text if character != "\n"}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}


def with_places(words: list[str], places: dict[str, Path]) -> list[str]:
    """The words of a command, with what words in capitals stand for."""
    return [re.sub("|".join(places), lambda match: str(places[match[0]]), word) for word in words]


def as_printed(text: str) -> str:
    """Without the ends of lines, which a table makes where it is narrow."""
    return "".join(text.split())


@pytest.mark.parametrize(
    "words",
    [
        ["train", "DATA", "-o", "NEW", *TRAINING],
        ["train", "DATA", "-o", "COPY", "--resume"],
        ["eval", "RUN"],
        ["eval", "RUN/point_cloud.ply", "--data", "DATA", "-o", "NEW.json"],
        ["export", "RUN", "-o", "NEW.ply"],
        ["export", "RUN", "-o", "NEW.splat"],
        ["render", "RUN", "--path", "test", "-o", "NEW"],
        ["render", "RUN", "--frames", "1", "-o", "NEW.gif"],
        ["compress", "RUN", "-o", "NEW", "--steps", "1", "--max-loss-db", "30"],
        ["clean", "RUN", "-o", "NEW.ply"],
        ["compose", "RUN", "RUN/point_cloud.ply", "-o", "NEW.ply"],
        ["info", "RUN"],
        ["info", "DATA"],
        ["info", "RUN/point_cloud.ply"],
    ],
    ids=" ".join,
)
def test_commands_do_their_work_and_show_names_as_they_are(
    run: RunFolder, photographs: Path, tmp_path: Path, everything: str, words: list[str], capsys
) -> None:
    copy = tmp_path / "copy" / everything
    if "COPY" in words:
        shutil.copytree(run.path, copy)
    new = tmp_path / f"n{everything}"
    new.parent.mkdir()
    places = {"DATA": photographs, "RUN": run.path, "COPY": copy, "NEW": new}
    named = with_places(words, places)
    capsys.readouterr()
    assert main(named) == 0
    printed = capsys.readouterr()
    for text in printed:
        assert_harmless(text)
    assert as_printed(shown(everything)) in as_printed("".join(printed)) or words[:2] == ["eval", "RUN"]
    if words[0] == "eval":
        every = 3 if words == ["eval", "RUN"] else 8
        assert all(f"{shown(name)}.png" in printed.out for name in of_test_views(every))


@pytest.mark.parametrize("long", ["n" * 300, "/".join(["d" * 100] * 60)], ids=["name", "path"])
@pytest.mark.parametrize(
    "words",
    [
        ["train", "LONG", "-o", "NEW"],
        ["train", "DATA", "-o", "LONG"],
        ["train", "DATA", "-o", "NEW", "--images", "LONG"],
        ["train", "DATA", "-o", "NEW", "--config", "LONG"],
        ["eval", "LONG"],
        ["eval", "RUN/point_cloud.ply", "--data", "LONG"],
        ["export", "RUN", "-o", "LONG/a.ply"],
        ["render", "RUN", "--frames", "1", "-o", "LONG"],
        ["compress", "RUN", "-o", "LONG"],
        ["info", "LONG"],
    ],
    ids=" ".join,
)
def test_names_longer_than_a_file_can_have_are_refused(
    run: RunFolder, photographs: Path, tmp_path: Path, words: list[str], long: str, capsys
) -> None:
    places = {"DATA": photographs, "RUN": run.path, "NEW": tmp_path / "new", "LONG": tmp_path / long}
    assert main(with_places(words, places)) in (2, 3, 4)
    told = capsys.readouterr().err
    assert told.startswith("gsplat-core: ")
    assert "too long" in told.lower() or "longer" in told or "more than a file's name can have" in told
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"] == []


def of_test_views(every: int) -> list[str]:
    """Of the names, those of the test views."""
    return sorted(NAMES, key=lambda name: f"{name}.png")[::every]


def test_views_have_pictures_of_their_own(run: RunFolder) -> None:
    pictures = {os.fspath(path.relative_to(run.test)) for path in run.test.rglob("*.png")}
    assert pictures == {f"{name}.png" for name in of_test_views(3)}


@pytest.mark.parametrize(
    "words",
    [
        ["train", "NONE"],
        ["train", "DATA", "-o", "RUN"],
        ["train", "DATA", "-o", "RUN", "--resume", "--steps", "9"],
        ["train", "DATA", "--config", "NONE"],
        ["train", "DATA", "--images", "NONE"],
        ["train", "DATA", "--set", "NONE=1"],
        ["eval", "NONE"],
        ["eval", "NONE.ply", "--data", "DATA"],
        ["render", "NONE.ply"],
        ["export", "NONE.ply", "-o", "NEW.ply"],
        ["export", "RUN", "-o", "FILE/NONE.ply"],
        ["export", "RUN", "-o", "NEW.of"],
        ["export", "RUN", "-o", "NEW.ply", "--option", "NONE=1"],
        ["compress", "NONE", "-o", "NEW"],
        ["clean", "NONE.ply", "-o", "NEW.ply"],
        ["compose", "RUN", "-o", "NEW.ply", "--transform", "EMPTY"],
        ["info", "NONE"],
        ["info", "EMPTY"],
        ["view", "NONE.ply"],
        ["NONE"],
    ],
    ids=" ".join,
)
def test_errors_show_names_as_they_are(
    run: RunFolder, photographs: Path, tmp_path: Path, everything: str, words: list[str], capsys
) -> None:
    (empty := tmp_path / f"e{everything}").mkdir(parents=True)
    places = {"DATA": photographs, "RUN": run.path, "NEW": tmp_path / "new", "EMPTY": empty}
    places["FILE"] = run.point_cloud
    places["NONE"] = Path(
        f"n{everything}" if words == ["NONE"] or "=1" in words[-1] else tmp_path / everything
    )
    named = with_places(words, places)
    assert main(named) in (2, 3, 4)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert_harmless(printed.err)
    assert len(printed.err.splitlines()) == 1
    assert shown(NAMES[0]) in printed.err or "NEW.of" in words


@pytest.mark.parametrize("name", NAMES)
def test_words_that_no_command_expects_are_shown_as_they_are(tmp_path: Path, name: str, capfd) -> None:
    """As when a shell replaces * by what strangers put into a folder."""
    with pytest.raises(SystemExit) as end:
        main(["info", str(tmp_path), f"x{name}"])
    assert end.value.code == 2
    assert_harmless(capfd.readouterr().err)


def test_a_scene_is_viewed_by_any_name(
    tmp_path: Path, everything: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    class Ended:
        url = "http://127.0.0.1:8080/token/"

        def __init__(self, *shown: object) -> None:
            pass

        def stop(self) -> None:
            pass

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(server, "Viewer", Ended)
    monkeypatch.setattr("time.sleep", interrupt)
    path = tmp_path / f"{everything}.ply"
    path.parent.mkdir()
    gsplat_core.io.save(path, typical_scene(5, 0))
    assert main(["view", str(path)]) == 0
    printed = capsys.readouterr().out
    assert_harmless(printed)
    assert shown(everything) in printed
    assert f" {Ended.url} " in printed  # nothing beside it that would become a part of the link


@pytest.mark.parametrize(
    "path", sorted((ROOT / "trainers").rglob("*.py")), ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_only_messages_print(path: Path) -> None:
    """What is printed elsewhere is known to have no names in it: help, versions, JSON, measurements."""
    if path.name in ("messages.py", "bench.py"):
        return
    allowed = {"overview", "json_text", "table"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
        if name == "print" or (name == "write" and isinstance(getattr(function, "value", None), ast.Attribute)
                               and function.value.attr in ("stdout", "stderr")):  # fmt: skip
            (argument,) = node.args
            what = argument.func if isinstance(argument, ast.Call) else argument
            constant = isinstance(argument, ast.JoinedStr) and "__version__" in ast.unparse(argument)
            assert constant or (isinstance(what, ast.Name) and what.id in allowed), ast.unparse(node)
