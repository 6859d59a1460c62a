"""gsplat_core/io/html.py: one file to send, which shows its scene in a browser and fetches nothing."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from splat_files import typical_scene

from gsplat_core.errors import DataError, UsageError
from gsplat_core.io import html, load, save

PARTS = re.compile(r'<script id="(\w+)"[^>]*>(.*?)</script>', re.DOTALL)
VIEW = "0,-1,-4,0,0,0,0,-1,0"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "a <b>.html"
    save(path, typical_scene(500, 2), view=VIEW)
    return path


def test_the_page_holds_the_sog_file(page: Path, tmp_path: Path) -> None:
    save(tmp_path / "a.sog", typical_scene(500, 2))
    scene = dict(PARTS.findall(page.read_text()))["scene"]
    assert base64.b64decode(scene) == (tmp_path / "a.sog").read_bytes()
    ours, theirs = load(page), load(tmp_path / "a.sog")
    assert all(torch.equal(value, theirs.params[name]) for name, value in ours.params.items())


def test_it_is_little_larger_than_its_scene(page: Path, tmp_path: Path) -> None:
    save(tmp_path / "a.sog", typical_scene(500, 2))
    assert page.stat().st_size <= 1.4 * (tmp_path / "a.sog").stat().st_size + 1.5e6


def test_nothing_in_it_comes_from_elsewhere(page: Path) -> None:
    text = page.read_text()
    assert not re.search(r"""(src|href)\s*=|url\(|@import|fetch\(|https?://""", text)
    assert "default-src 'none'" in text
    assert "<title>a &lt;b&gt;</title>" in text  # a name is text and no markup


def test_its_libraries_are_those_that_are_listed() -> None:
    folder = Path(html.__file__).parent / "viewer"
    listed = json.loads((folder / "libraries.json").read_text())["shipped"]
    licences = (folder / "LICENSES.txt").read_text()
    assert all(f"{name} {version}" in licences for name, version in listed.items())
    code = gzip.decompress((folder / "libraries.js.gz").read_bytes()).decode()
    wanted = re.findall(r"export \{ (.*?) \}", (folder / "libraries.js").read_text())
    exported = re.search(r"export\{([^}]*)\}\s*;?\s*$", code)
    assert exported is not None
    names = {entry.split(" as ")[-1] for entry in exported[1].split(",")}
    assert {name for line in wanted for name in line.split(", ")} == names
    used = set(re.findall(r"\blib\.(\w+)", (folder / "viewer.js").read_text()))
    assert used == names


def test_where_one_looks_from(page: Path, tmp_path: Path) -> None:
    view = json.loads(dict(PARTS.findall(page.read_text()))["view"])
    assert (view["position"], view["target"], view["up"]) == ([0, -1, -4], [0, 0, 0], [0, -1, 0])
    assert view["near"] < 1 < 100 < view["far"]
    scene = typical_scene(500, 0)
    save(tmp_path / "guess.html", scene)
    guess = json.loads(dict(PARTS.findall((tmp_path / "guess.html").read_text()))["view"])
    assert guess["target"] == pytest.approx(scene.means.double().median(dim=0).values.tolist(), abs=0.1)


@pytest.mark.parametrize(
    "view", ["", "1,2,3", "a,b,c,d,e,f,g,h,i", "0,0,0,0,0,0,0,1,0", "0,0,0,0,1,0,0,2,0", "nan" + VIEW[1:]]
)
def test_views_that_are_none_are_refused(tmp_path: Path, view: str) -> None:
    with pytest.raises(UsageError, match="view must"):
        save(tmp_path / "a.html", typical_scene(5, 0), view=view)
    assert not list(tmp_path.iterdir())


def test_pages_of_others_and_parts_of_ours_are_refused(page: Path, tmp_path: Path) -> None:
    content = page.read_bytes()
    for name, changed, message in [
        (
            "other.html",
            b"<!doctype html><html><body>404</body></html>",
            "an HTML page, perhaps the error page",
        ),
        ("cut.html", content[: len(content) // 2], "not complete"),
        ("none.html", content.replace(b'id="scene"', b'id="seen"'), "no scene of gsplat_core"),
        ("odd.html", re.sub(rb'(data-format="sog">....)', rb"\1A", content), "damaged scene"),
    ]:
        (tmp_path / name).write_bytes(changed)
        with pytest.raises(DataError, match=message):
            load(tmp_path / name)


def test_a_browser_shows_it_and_turns_it(page: Path) -> None:
    """In Chromium, opened from disk: something is drawn, dragging changes it, and nothing is asked of any
    other place."""
    api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium")
    asked: list[str] = []
    errors: list[str] = []
    options = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with api.sync_playwright() as driver:
        browser: Any = driver.chromium.launch(executable_path=chromium, args=options)
        tab = browser.new_page(viewport={"width": 320, "height": 240})
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(page.as_uri())
        tab.wait_for_selector("body[data-ready]", timeout=60_000)
        time.sleep(2)
        first = tab.screenshot()
        tab.mouse.move(160, 120)
        tab.mouse.down()
        tab.mouse.move(240, 120, steps=3)
        tab.mouse.up()
        time.sleep(2)
        second = tab.screenshot()
        browser.close()
    assert not errors
    assert all(url == page.as_uri() or url.startswith(("blob:", "data:")) for url in asked)
    assert len(first) > 3000  # of one colour it would have some hundred bytes
    assert first != second
