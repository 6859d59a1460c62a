"""`gsplat-core report`: runs beside each other, on a page that shows what they differ in."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from trainers.cli import main
from trainers.comparison import Compared, names_of

TRAIN = ["--preset", "tiny", "--steps", "12", "--test-every", "3", "--max-gaussians", "60", "--set"]


@pytest.fixture(scope="module", autouse=True)
def blank_charts() -> None:
    """They are drawn here."""


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory, tiny_scene: Path) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("runs")
    for name, seed in (("first", "0"), ("<i>second", "1")):
        options = [*TRAIN, "evaluations=3", "--seed", seed]
        assert main(["train", str(tiny_scene), "-o", str(folder / name), *options]) == 0
    return folder / "first", folder / "<i>second"


def test_the_page_shows_results_differences_and_views(two_runs: tuple[Path, Path], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert main(["report", *map(str, two_runs), "-o", str(page)]) == 0
    text = page.read_text()
    for run in two_runs:
        assert f"{json.loads((run / 'metrics.json').read_text())['psnr']:.2f} dB" in text
    assert re.findall(r"<tr><td>(\w+)</td><td>0</td><td>1</td></tr>", text) == ["seed"]
    views = json.loads((two_runs[0] / "metrics.json").read_text())["per_image"]
    assert text.count("data:image/webp") == 2 * len(views)
    assert text.count("data:image/svg+xml") == 4
    assert "&lt;i&gt;second" in text
    assert "<i>" not in text


def test_unfinished_runs_are_compared_as_far_as_they_are(two_runs: tuple[Path, Path], tmp_path: Path) -> None:
    young = tmp_path / "young"
    shutil.copytree(two_runs[0], young)
    for name in ("metrics.json", "point_cloud.ply"):
        (young / name).unlink()
    page = tmp_path / "page.html"
    assert main(["report", str(young), str(two_runs[1]), "-o", str(page)]) == 0
    assert "unfinished" in page.read_text()
    assert "no measured view in common" in page.read_text()


def test_a_picture_that_is_missing_is_told(two_runs: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(two_runs[0], other)
    next((other / "test").iterdir()).write_bytes(b"no picture")
    page = tmp_path / "page.html"
    assert main(["report", str(other), str(two_runs[1]), "-o", str(page)]) == 0
    assert page.read_text().count("its picture is missing") == 1


def test_curves_over_time_follow_the_clock_of_training(two_runs: tuple[Path, Path]) -> None:
    run = Compared.of(two_runs[0], "first")
    times = [time for time, _ in run.over_time("test_psnr")]
    assert len(times) == len(run.curve("test_psnr")) > 1
    assert times == sorted(times)
    assert times[-1] == pytest.approx(run.curve("seconds")[-1][1])


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a/x", "b/y"], ["x", "y"]),
        (["a/x", "b/x"], ["a/x", "b/x"]),
        (["a/x", "a/x"], ["x (1)", "x (2)"]),
    ],
)
def test_names_are_as_long_as_it_takes(paths: list[str], names: list[str]) -> None:
    assert names_of([Path(path) for path in paths]) == names


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["RUN"], "two or more runs", 2),
        (["RUN", "nowhere"], "nowhere: there is no such file", 3),
        (["RUN", "EMPTY"], "not a run", 3),
        (["RUN", "RUN", "-o", "page.pdf"], "must end with .html", 2),
    ],
)
def test_what_cannot_be_compared_is_refused(
    two_runs: tuple[Path, Path],
    tmp_path: Path,
    arguments: list[str],
    message: str,
    code: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"RUN": str(two_runs[0]), "EMPTY": str(tmp_path)}
    assert main(["report", *(places.get(argument, argument) for argument in arguments)]) == code
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
