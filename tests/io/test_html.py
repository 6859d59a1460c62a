"""gsplat_core/io/html.py: one file to send, which shows its scene in a browser and fetches nothing."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from pathlib import Path

import browser
import numpy as np
import pytest
import torch
from splat_files import typical_scene

from gsplat_core.errors import DataError, UsageError
from gsplat_core.io import html, load, save
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians
from trainers.camera_paths import look_at
from trainers.evaluation import render

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
    modules = "".join(path.read_text() for path in folder.glob("*.js") if path.name != "libraries.js")
    used = set(re.findall(r"\blib\.(\w+)", modules))
    for taken in re.findall(r"const \{ (.*?) \} = (?:this\.)?lib;", modules):
        used |= set(taken.split(", "))
    assert used <= names
    # Of the rest, the pages of the viewer's server have need, too.
    assert names - used <= {"Vector3"}


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


def test_a_browser_draws_it_as_the_rasterizer_does_and_turns_it(tmp_path: Path) -> None:
    """In Chromium, opened from disk; also where a scene was trained antialiased, of which the page is told.
    Nothing is asked of any other place."""
    scene = typical_scene(300, 2)
    scene = replace(scene, scales=scene.scales - 2.5)  # smaller than pixels, where the two ways differ
    page, pictures = tmp_path / "a.html", {}
    with browser.tab(480, 320) as tab:
        for antialiased in (True, False):
            save(page, scene.with_metadata(antialiased=antialiased), view=VIEW)
            tab.open(page.as_uri())
            tab.page.evaluate("document.getElementById('help').remove()")
            pictures[antialiased] = tab.settled()
        tab.drag(60)
        turned = tab.settled()
    assert not tab.errors
    assert browser.local(tab.asked, page.as_uri())
    loaded = load(page)
    position, target, up = np.array(VIEW.split(","), dtype=float).reshape(3, 3)
    focal = 160 / np.tan(np.radians(html.FIELD_OF_VIEW) / 2)
    K = np.array([[focal, 0, 240], [0, focal, 160], [0, 0, 1]])
    camera = Camera(look_at(position, target, up), K, 480, 320)
    expected = {way: drawn(loaded.with_metadata(antialiased=way), camera) for way in (True, False)}
    for way, seen in pictures.items():
        assert np.square(seen - expected[way]).mean() < 1e-4
        assert np.square(seen - expected[way]).mean() < np.square(seen - expected[not way]).mean() / 2
    assert np.square(turned - pictures[False]).mean() > 1e-4


def drawn(scene: Gaussians, camera: Camera) -> np.ndarray:
    """[H, W, 3] as `Tab.picture` has it."""
    image: np.ndarray = render(scene, camera)[:, : camera.width * 2 // 3].numpy()
    return image
