"""The report shows what a run's files say and runs none of it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from trainers import report
from trainers.config import TrainConfig
from trainers.evaluation import PROTOCOL, Scored
from trainers.report import ERROR_COLORS, data_uri, error_image, write_report
from trainers.results import summarize
from trainers.run_folder import RunFolder

ATTACKS = (
    "<script>document.title='ran'</script>",
    "</script><script>document.title='ran'</script>",
    '"><img src=x onerror="document.title=\'ran\'">',
    "' onmouseover='document.title=`ran`' x='",
    "</title></style></h1><svg onload=document.title='ran'>",
    "&lt;b&gt; <!-- ]]> {{7*7}} \x1b[31m \x00 \u202e",
    "javascript:document.title='ran'",
)
HISTORY = (
    {"step": 1, "loss": 0.5, "psnr": 12.0, "num_gaussians": 100},
    {"step": 2, "loss": 0.4, "psnr": 13.0, "num_gaussians": 120, "test_psnr": 12.5},
    {"step": 2, "event": "loss", "before": 100, "after": 10},
    {"step": 1, "event": "rollback", "failed_step": 2, "lr_factor": 0.5},
    {"step": 2, "event": "adam", "tried": 1},
    {"step": 3, "event": "adam", "tried": 0},
)


@pytest.fixture(scope="module", autouse=True)
def blank_charts() -> None:
    """They are drawn here."""


def written(folder: Path, text: str, history: list[Any]) -> str:
    """The report of a run whose every name and text contains `text`."""
    run = RunFolder(folder)
    folder.mkdir(exist_ok=True)
    run.history.write_text("".join(json.dumps(entry) + "\n" for entry in history))
    random = torch.Generator().manual_seed(0)
    views = [
        Scored(f"{number}{text}.png", *torch.rand(2, 12, 16, 3, generator=random), 12.0 + number, 0.5)
        for number in range(26)
    ]
    metrics = {
        **summarize(views),
        **{"num_gaussians": 100, "steps": 2, "train_seconds": 3.0, "split": "test" + text},
        **{"device": "cpu" + text, "version": "1" + text, "torch": "2" + text, "machine": "m" + text},
        "protocol": {**PROTOCOL, "key" + text: "value" + text},
    }
    config = replace(TrainConfig(), data="/data/scene" + text.replace("/", "|"), preset="fast" + text)
    write_report(run, config, metrics, views)
    return run.report.read_text(encoding="utf-8")


class Structure(HTMLParser):
    """The elements of a page with the names of their attributes, and the values of what can run or load."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.loaded: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attributes)))
        self.loaded += [
            value or "" for name, value in attributes if name in ("src", "href", "srcset", "action", "data")
        ]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(tmp_path_factory.mktemp("runs"), "", list(HISTORY))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report whose texts and history are full of attacks: each in the place of each entry, too."""
    values = [*ATTACKS, [], {}, None, True, 10**400, "1"]
    keys = sorted({key for entry in HISTORY for key in entry})
    changed = [{**entry, key: value} for entry in HISTORY for key in keys if key in entry for value in values]
    folder = tmp_path_factory.mktemp("runs")
    written(folder, "".join(ATTACKS), [*HISTORY, *changed, *values])
    return folder / "report.html"


def test_texts_of_files_stay_texts(harmless: str, hostile: Path) -> None:
    """The page has the elements that it has with harmless names, and what was written can be read in it."""
    page = Structure(hostile.read_text(encoding="utf-8"))
    assert page.elements == Structure(harmless).elements
    assert all(value.startswith("data:image/") for value in page.loaded)
    shown = "".join(page.texts)
    for start in ("25", "cpu", "value"):
        assert start + "".join(ATTACKS).replace("\0", "\ufffd") in shown.replace("\0", "\ufffd")


def test_the_policy_allows_this_script_this_style_and_pictures_inside_the_page(harmless: str) -> None:
    page = harmless
    match = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    assert match
    assert page.index(match[0]) < page.index("<style>")  # it holds for what comes after it
    rules = dict(rule.strip().split(" ", 1) for rule in match[1].split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == "data:"
    for element in ("script", "style"):
        texts = re.findall(rf"<{element}>(.*?)</{element}>", page, re.S)
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert rules[f"{element}-src"].split() == [f"'sha256-{digest}'" for digest in digests]
    assert not re.search(r"<[^>]* style=", page)  # the policy would not let them be


BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def opened(page: Path, home: Path) -> tuple[str, str]:
    """The document as a browser has it in the end, and what it logged."""
    command = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        f"--user-data-dir={home}", "--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom",
        page.as_uri(),
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout, result.stderr


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
def test_a_browser_shows_all_of_it_and_runs_nothing_else(hostile: Path, tmp_path: Path) -> None:
    page = hostile.read_text(encoding="utf-8")
    document, log = opened(hostile, tmp_path / "home")
    assert "Content Security Policy" not in log
    assert "<title>ran" not in document
    # Something unescaped, were there any, is refused; the page's own script is not.
    for attack in ATTACKS[:3]:
        (tmp_path / "broken.html").write_text(page.replace("<main>", f'<main>{attack}<p x="">'))
        document, log = opened(tmp_path / "broken.html", tmp_path / "home")
        assert "Content Security Policy" in log
        assert "<title>ran" not in document


def test_differences_are_amplified_and_those_masked_out_black() -> None:
    truth = torch.zeros(1, 6, 3)
    render = torch.tensor([0.0, 1 / 16, 1 / 8, 3 / 16, 0.25, 1.0])[None, :, None].repeat(1, 1, 3)
    expected = torch.from_numpy(ERROR_COLORS)[[0, 1, 2, 3, 4, 4]] / 255
    torch.testing.assert_close(error_image(truth, render)[0], expected)
    torch.testing.assert_close(error_image(render, truth)[0], expected)
    one_channel = torch.zeros(1, 1, 3)
    one_channel[..., 1] = 3 / 16  # the mean counts
    torch.testing.assert_close(error_image(torch.zeros(1, 1, 3), one_channel)[0], expected[1:2])
    mask = torch.tensor([[True, False, True, True, True, False]])
    masked = error_image(truth, render, mask)[0]
    torch.testing.assert_close(masked[mask[0]], expected[mask[0]])
    assert (masked[~mask[0]] == 0).all()


@pytest.mark.parametrize(
    ("size", "shown"), [((960, 640), (960, 640)), ((961, 480), (960, 480)), ((480, 1920), (240, 960))]
)
def test_pictures_in_the_report_are_not_too_large(size: tuple[int, int], shown: tuple[int, int]) -> None:
    uri = data_uri(torch.zeros(size[1], size[0], 3))
    head, data = uri.split(",")
    assert head == "data:image/webp;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == shown


def test_worst_views_come_first_with_pictures_and_the_rest_as_a_table(tmp_path: Path) -> None:
    page = written(tmp_path / "run", "", [])
    titles = re.findall(r"<h3>(\d+)\.png <span>([\d.]+) dB", page)
    assert titles == [(str(i), f"{12 + i:.2f}") for i in range(24)]
    assert re.findall(r"<tr><td>(\d+)\.png</td><td>([\d.]+)</td>", page) == [("24", "36.00"), ("25", "37.00")]


def test_events_are_told_with_their_numbers(tmp_path: Path) -> None:
    page = written(tmp_path / "run", "", list(HISTORY))
    assert "Step 2: 90 of 100 Gaussians were removed." in page
    assert "Step 2: the steps of Levenberg-Marquardt on some photographs did harm" in page
    assert (
        "Step 3: too few pixels or turns over the photographs for Levenberg-Marquardt; Adam went on" in page
    )
    assert "Step 2: the loss was not finite; went back to step 1 with 0.5 times the learning rates." in page
    odd = [
        {"step": 2, "event": "loss", "before": 100},
        {"step": True, "event": "loss", "before": 100, "after": 10},
        {"step": "2", "event": "loss", "before": 100, "after": 10},
        {"step": 1, "event": "rollback", "failed_step": None, "lr_factor": 0.5},
        {"step": 10**400, "event": "loss", "before": 100, "after": 10},
        {"step": 2, "event": "adam", "tried": "yes"},
    ]
    page = written(tmp_path / "other", "", odd)
    assert "Gaussians were removed" not in page
    assert "went back to step" not in page


def test_what_failed_comes_first(tmp_path: Path) -> None:
    """Views far behind the others, by name, before numbers' curves; nothing where nothing failed."""
    page = written(tmp_path / "run", "", [])
    # Of 12 to 37 dB those behind 24.5 by more than 6, up to 18.
    named = re.findall(r"<li>(\d+)\.png is ([\d.]+) dB behind the median view", page)
    assert named == [(str(number), f"{12.5 - number:.1f}") for number in range(7)]
    places = [
        page.index(text) for text in ("Look at this first", "worst first", "Training loss over", "The better")
    ]
    assert places == sorted(places)
    even = [Scored(f"{i}.png", *torch.rand(2, 4, 4, 3), 20.0 + i, 0.5) for i in range(3)]
    assert report._failing_views(even) == []
    blind = replace(even[0], empty=True)
    assert report._failing_views([blind, *even[1:]]) == [
        "0.png shows nothing of the scene: is its pose right?"
    ]
    many = [replace(blind, name=f"{i}.png") for i in range(12)]
    assert len(report._failing_views(many)) == report.MOST_NAMED + 1


def test_cards_and_facts(tmp_path: Path) -> None:
    page = written(tmp_path / "run", "", [])
    assert "<b>24.50 dB</b><span>PSNR, 26 test views</span>" in page
    assert "<b>0:03</b><span>training time</span>" in page
    assert "peak memory" not in page
    assert "<dt>max gaussians</dt>" in page
    assert "every 8th image in name order" in page
