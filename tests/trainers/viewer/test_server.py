"""The server of the viewer without a browser: who gets what, and what is refused."""

from __future__ import annotations

import io
import json
import re
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from PIL import Image
from splat_files import typical_scene

import gsplat_core.io
from gsplat_core.apps.segment import gaussian_at, prompts_for
from gsplat_core.errors import ResourceError
from gsplat_core.labels import labelled
from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import render as rendered_with
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.gaussians import Gaussians
from trainers.camera_paths import orbit_of_cameras, orbit_of_gaussians
from trainers.evaluation import render
from trainers.report import error_image
from trainers.viewer import server as served_files
from trainers.viewer.server import Viewer
from trainers.viewer.stills import Still, draw
from trainers.viewer.subject import Subject, Training, sent, sent_degree

UP = np.array([0.0, -1.0, 0.0])
PLACE = "position=0,-1,-6&target=0,0,0&up=0,-1,0&fov=50&width=48&height=32"


@pytest.fixture(scope="module")
def scene() -> Gaussians:
    return typical_scene(200, 2)


def subject_of(scene: Gaussians) -> Subject:
    return Subject("a <b>", "'a b'", scene, orbit_of_gaussians(scene, UP))


@pytest.fixture(scope="module")
def viewer(scene: Gaussians) -> Iterator[Viewer]:
    viewer = Viewer(subject_of(scene), "127.0.0.1", 8765)
    yield viewer
    viewer.stop()


@pytest.fixture
def changing(scene: Gaussians) -> Iterator[Viewer]:
    """One for a test alone, whose subject may become another."""
    viewer = Viewer(subject_of(scene), "127.0.0.1", 8765)
    yield viewer
    viewer.stop()


def get(viewer: Viewer, path: str) -> bytes:
    with urllib.request.urlopen(viewer.url + path, timeout=30) as answer:
        content: bytes = answer.read()
    return content


def status_of(viewer: Viewer, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(viewer.url + path, timeout=30) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def picture(viewer: Viewer, query: str) -> np.ndarray:
    """[H, W, 3] in [0, 1]"""
    image = Image.open(io.BytesIO(get(viewer, f"still?{query}")))
    shown: np.ndarray = np.asarray(image, dtype=np.float32) / 255
    return shown


def answer(viewer: Viewer, path: str | None = None, headers: dict[str, str | None] | None = None) -> bytes:
    """What the server sends to a client that writes these bytes, whatever a browser would do.

    Headers are those of a browser that opens the printed address, but for those given; None leaves one out.
    """
    url = urlsplit(viewer.url)
    written = {"Host": url.netloc, "Connection": "close", **(headers or {})}
    lines = [f"GET {url.path if path is None else path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in written.items() if value is not None]
    with socket.create_connection((url.hostname, url.port), timeout=20) as client:
        client.sendall("\r\n".join([*lines, "", ""]).encode())
        received = b""
        while len(received) < 4096 and (block := client.recv(4096)):
            received += block
    return received


def test_the_printed_address_shows_the_page(viewer: Viewer) -> None:
    with urllib.request.urlopen(viewer.url, timeout=20) as page:
        assert b"<main id=" in page.read()
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["X-Frame-Options"] == "DENY"
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    # The same without the slash in the end, where what the page names would be elsewhere.
    assert answer(viewer, urlsplit(viewer.url).path.rstrip("/")).startswith(b"HTTP/1.1 301 ")


def test_all_that_the_page_names_is_there_and_nothing_from_elsewhere(viewer: Viewer) -> None:
    page = get(viewer, "").decode()
    named = set(re.findall(r'(?:src|href)="([^"]+)"', page)) - {"data:,"}
    files = {f"page/{name}" for name in (*served_files.PAGE, *served_files.SHARED)}
    assert named <= files
    for name in sorted(files):
        text = get(viewer, name).decode()
        imported = re.findall(r'from "\./([^"]+)"', text)
        assert {f"page/{other}" for other in imported} <= files
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(", text)
    with urllib.request.urlopen(viewer.url + "libraries.js", timeout=20) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"


FOREIGN = [
    {"Origin": "https://example.com"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://localhost:8765"},
    {"Host": "example.com:8765"},
    {"Host": "example.com"},
    {"Host": "127.0.0.1"},
    {"Host": "127.0.0.1:1"},
    {"Host": "10.0.0.1:8765"},
    {"Host": "localhost:8765.example.com"},
    {"Host": None},
    {"Host": "example.com:8765", "Origin": "http://example.com:8765"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_other_websites_and_names_get_neither_page_nor_scene(
    viewer: Viewer, headers: dict[str, str | None]
) -> None:
    for path in ("", "scene", "about", f"still?{PLACE}"):
        received = answer(viewer, urlsplit(viewer.url).path + path, headers)
        assert received.startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 400 "))
        assert b"<html" not in received.lower()


@pytest.mark.parametrize(
    "path", ["/", "/index.html", "//", "/x/", "/%2e%2e/", "TOKEN-1", "TOKENx", "/?TOKEN", "/scene"]
)
def test_without_the_token_there_is_neither_page_nor_scene(viewer: Viewer, path: str) -> None:
    token = urlsplit(viewer.url).path.strip("/")
    place = {"TOKEN-1": f"/{token[:-1]}/", "TOKENx": f"/{token}x/"}.get(path, path.replace("TOKEN", token))
    assert answer(viewer, place).startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    "path",
    ["../gate.py", "page/../gate.py", "page/..%2fgate.py", "page/%2e%2e/server.py", "page/", "page/index.htm",
     "/etc/passwd", "page//etc/passwd", "page/gate.py", "SCENE", "scene/", "still/x", "page/main.js%00.css"],
)  # fmt: skip
def test_there_are_no_other_files(viewer: Viewer, path: str) -> None:
    received = answer(viewer, urlsplit(viewer.url).path + path)
    assert received.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 "))


def test_only_what_reads_is_answered(viewer: Viewer) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(viewer.url, b"", method=method), timeout=20)
        assert refused.value.code == 501


def test_the_page_gets_the_scene(viewer: Viewer, scene: Gaussians, tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_bytes(get(viewer, "scene"))
    loaded = gsplat_core.io.load(tmp_path / "a.ply")
    assert all(torch.equal(value, loaded.params[name]) for name, value in scene.params.items())
    about = json.loads(get(viewer, "about"))
    assert (about["name"], about["browser"], about["notes"]) == ("a <b>", True, [])
    assert about["start"]["up"] == [0, -1, 0]
    assert json.loads(get(viewer, "state")) == {"version": 1, "num": 200, "training": None}
    assert json.loads(get(viewer, "history")) == []


def test_scenes_too_large_for_a_browser_lose_harmonics(
    scene: Gaussians, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sent(scene).sh_degree == 2
    monkeypatch.setattr("trainers.viewer.subject.MOST_BYTES", 200 * 4 * 26)
    assert sent_degree(scene) == 1
    assert torch.equal(sent(scene).shN, scene.shN[:, :3])


def test_stills_are_those_of_the_rasterizer(viewer: Viewer, scene: Gaussians) -> None:
    still = Still.of(dict(part.split("=") for part in PLACE.split("&")), viewer.subject)
    assert torch.equal(draw(still, viewer.subject), render(scene, still.camera))
    shown = picture(viewer, PLACE)
    assert shown.shape == (32, 48, 3)
    assert np.abs(shown - render(scene, still.camera).numpy()).mean() < 0.02  # JPEG


def test_what_else_stills_show(changing: Viewer, scene: Gaussians) -> None:
    viewer = changing
    labels = {"labels": (scene.means[:, 0] > 0).long()}
    viewer.subject.replace(Gaussians.of(scene.params, extras=labels))
    assert json.loads(get(viewer, "about"))["labels"]
    usual = picture(viewer, PLACE)
    for query in ("output=depth", "output=normals", "output=labels", "output=alpha", "degree=0", "size=0.5",
                  "crop=-9,-9,-9,0,9,9", "background=ff0000"):  # fmt: skip
        assert np.abs(picture(viewer, f"{PLACE}&{query}") - usual).mean() > 0.002, query
    nothing = picture(viewer, f"{PLACE}&crop=90,90,90,91,91,91&background=0000ff")
    assert np.abs(nothing - [0, 0, 1]).max() < 0.02
    whole = picture(viewer, f"{PLACE}&crop=-99,-99,-99,99,99,99")
    assert np.array_equal(whole, usual)


def test_nearer_is_another_colour_than_farther(scene: Gaussians) -> None:
    """Red is near and blue is far: a wall that comes nearer to the right."""
    x, y = torch.meshgrid(torch.linspace(-2, 2, 60), torch.linspace(-2, 2, 60), indexing="xy")
    wall = torch.stack([x.flatten(), y.flatten(), -x.flatten()], dim=1)
    count = len(wall)
    shown = Gaussians(
        wall, torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1), torch.full((count, 3), -2.5),
        torch.full((count,), 4.0), torch.zeros(count, 1, 3), torch.zeros(count, 0, 3),
    )  # fmt: skip
    subject = Subject("wall", "wall", shown, orbit_of_gaussians(shown, UP))
    query = dict(part.split("=") for part in f"{PLACE}&output=depth".split("&"))
    image = draw(Still.of(query, subject), subject)
    left, right = image[10:22, 18], image[10:22, 30]
    assert (right[:, 0] > right[:, 2]).all()
    assert (left[:, 2] > left[:, 0]).all()


WRONG = [
    "", "output=color", "position=0,0,0", PLACE.replace("fov=50", "fov=0"),
    PLACE.replace("fov=50", "fov=nan"),
    PLACE.replace("position=0,-1,-6", "position=0,0,0"), PLACE.replace("target=0,0,0", "target=0,0"),
    PLACE.replace("target=0,0,0", "target=0,0,inf"), PLACE.replace("up=0,-1,0", "up=a,b,c"),
    PLACE.replace("width=48", "width=0"), PLACE.replace("width=48", "width=4097"),
    PLACE.replace("width=48", "width=-1"), PLACE.replace("width=48&height=32", "width=4096&height=4096"),
    f"{PLACE}&output=secrets", f"{PLACE}&degree=5", f"{PLACE}&degree=-1", f"{PLACE}&size=0",
    f"{PLACE}&crop=1,2,3", f"{PLACE}&background=red", f"{PLACE}&view=0", "view=-1",
    "view=99999999999999999999", f"{PLACE}&output=photograph", f"{PLACE}&output=difference",
    f"{PLACE}&" + "&".join("a=1" for _ in range(40)),
]  # fmt: skip


@pytest.mark.parametrize("query", WRONG)
def test_pictures_that_there_cannot_be_are_refused(viewer: Viewer, query: str) -> None:
    status, text = status_of(viewer, f"still?{query}")
    assert status == 400
    assert text.strip()
    assert status_of(viewer, f"still?{PLACE}")[0] == 200  # and the next one is drawn


def test_photographs_are_beside_what_is_rendered(tiny_scene: Path, scene: Gaussians) -> None:
    dataset = Dataset.load(tiny_scene)
    views = [*dataset.train, *dataset.test]
    orbit = orbit_of_cameras([view.camera for view in dataset.train])
    viewer = Viewer(Subject("tiny", "tiny", scene, orbit, views, len(dataset.test)), "127.0.0.1", 8765)
    try:
        about = json.loads(get(viewer, "about"))
        assert [view["name"] for view in about["views"]] == [view.name for view in views]
        assert [view["test"] for view in about["views"]].count(True) == len(dataset.test)
        truth = views[2].image().numpy() / 255
        shown = {
            name: picture(viewer, f"view=2&output={name}") for name in ("photograph", "color", "difference")
        }
        assert np.abs(shown["photograph"] - truth).mean() < 0.02
        rendered = render(scene, views[2].camera)
        assert np.abs(shown["color"] - rendered.numpy()).mean() < 0.02
        expected = error_image(torch.tensor(truth), rendered).numpy()
        assert np.abs(shown["difference"] - expected).mean() < 0.03
        assert picture(viewer, "view=2&output=photograph&width=24").shape == (18, 24, 3)
        assert status_of(viewer, f"still?view={len(views)}")[0] == 400
    finally:
        viewer.stop()


def test_a_click_says_what_is_hit(tiny_scene: Path, scene: Gaussians) -> None:
    dataset = Dataset.load(tiny_scene)
    views, trained = [*dataset.train, *dataset.test], [view.camera for view in dataset.train]
    shown = labelled(scene, torch.arange(scene.num) % 5 - 1)
    subject = Subject("tiny", "tiny", shown, orbit_of_cameras(trained), views, len(dataset.test))
    viewer = Viewer(subject, "127.0.0.1", 8765)
    try:
        drawn = Still.of(dict(part.split("=") for part in PLACE.split("&")), viewer.subject)
        inside = (scene.means[:, 2] >= 0).nonzero().squeeze(1)
        for (x, y), crop, kept in (
            ((24.5, 16.5), "", torch.arange(scene.num)),
            ((20.0, 9.9), "&crop=-99,-99,0,99,99,99", inside),
        ):
            hit = json.loads(get(viewer, f"pick?{PLACE}&at={x},{y}{crop}"))
            expected = gaussian_at(scene.subset(kept), drawn.camera, x, y)
            assert expected is not None
            row = int(kept[expected])
            assert (hit["gaussian"], hit["label"], hit["of"]) == (row, row % 5 - 1, len(trained))
            assert hit["point"] == pytest.approx(scene.means[row].tolist())
            assert hit["photographs"] == len(prompts_for(scene, row, trained))
        nothing = json.loads(get(viewer, f"pick?{PLACE}&at=24,16&crop=90,90,90,91,91,91"))
        assert (nothing["gaussian"], nothing["label"], nothing["photographs"]) == (None, None, None)
        # What a photograph shows is in one of them at least.
        outputs = Outputs(further=("median_ids",))
        hits = rendered_with(scene, views[2].camera, outputs=outputs).meta["median_ids"][0]
        y, x = (hits >= 0).nonzero()[0].tolist()
        hit = json.loads(get(viewer, f"pick?view=2&at={x},{y}"))
        assert hit["gaussian"] == int(hits[y, x])
        assert 1 <= hit["photographs"] <= len(trained)
        for wrong in ("", "&at=1", "&at=48,3", "&at=nan,3", "&at=-1,3"):
            assert status_of(viewer, f"pick?{PLACE}{wrong}")[0] == 400, wrong
        assert status_of(viewer, "pick?at=1,1")[0] == 400
    finally:
        viewer.stop()


def test_a_page_that_waits_gets_the_newer_state(changing: Viewer, scene: Gaussians) -> None:
    viewer, subject = changing, changing.subject
    subject.training = Training(steps=100)
    told: list[dict[str, Any]] = []
    asking = threading.Thread(target=lambda: told.append(json.loads(get(viewer, "newer?after=1"))))
    asking.start()
    assert subject.wanted.wait(10)
    assert not told
    subject.training.step = 7
    subject.replace(scene.subset(slice(0, 50)))
    asking.join(10)
    assert told[0]["version"] == 2
    assert told[0]["num"] == 50
    assert told[0]["training"]["step"] == 7
    assert not subject.wanted.is_set()
    for wrong in ("", "-1", "x", "9999999999"):
        assert status_of(viewer, f"newer?after={wrong}")[0] == 400


def test_busy_ports_are_passed_over_and_others_told(viewer: Viewer, scene: Gaussians) -> None:
    subject = subject_of(scene)
    second = Viewer(subject, "127.0.0.1", viewer.port)
    assert second.port > viewer.port
    second.stop()
    with pytest.raises(ResourceError, match=r"cannot listen on 203\.0\.113\.1"):
        Viewer(subject, "203.0.113.1", 8765)
