"""The viewer: what it draws, and what happens without the library that draws it."""

from __future__ import annotations

import socket
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import numpy as np
import pytest
from splat_files import typical_scene
from splats import covariances

import gsplat_core.io
from gsplat_core.errors import UsageError
from gsplat_core.scene.harmonics import rgb_of
from trainers import camera_paths, viewer
from trainers.cli import main


def test_splats_are_those_of_the_scene() -> None:
    scene = typical_scene(50, 1)
    drawn = viewer.splats(scene)
    assert np.allclose(
        drawn["covariances"], covariances(scene.quats, scene.scales.exp()), atol=1e-6, rtol=1e-4
    )
    assert np.allclose(drawn["opacities"][:, 0], scene.opacities.sigmoid())
    assert np.array_equal(drawn["centers"], scene.means)
    expected = rgb_of(scene.sh0[:, 0]).clamp(0, 1)
    assert np.allclose(drawn["rgbs"], expected)


def test_without_viser_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "viser", None)
    gsplat_core.io.save(tmp_path / "a.ply", typical_scene(5, 0))
    assert main(["view", str(tmp_path / "a.ply")]) == 2
    assert "pip install 'gsplat-core[view]'" in capsys.readouterr().err


def test_an_empty_scene_is_refused(tmp_path: Path) -> None:
    gsplat_core.io.save(tmp_path / "a.ply", typical_scene(1, 0).subset(slice(0, 0)))
    assert main(["view", str(tmp_path / "a.ply")]) == 3


class Recorded:
    """Takes the place of viser: every attribute is another one of these, and every call is kept."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple, dict]] = []

    def __getattr__(self, name: str) -> Recorded:
        made = Recorded()
        setattr(self, name, made)
        return made

    def __call__(self, *arguments: object, **named: object) -> Recorded:
        self.calls.append((arguments, named))
        return self


def with_fake_viser(monkeypatch: pytest.MonkeyPatch, calls_serve: bool) -> Recorded:
    """Takes the place of viser and of what it serves with."""
    websockets = ModuleType("websockets.asyncio.server")
    websockets.serve = lambda process_request: None  # type: ignore[attr-defined]
    for name in ("websockets", "websockets.asyncio"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "websockets.asyncio.server", websockets)
    sys.modules["websockets"].asyncio = sys.modules["websockets.asyncio"]  # type: ignore[attr-defined]
    sys.modules["websockets.asyncio"].server = websockets  # type: ignore[attr-defined]

    class Started(Recorded):
        def __call__(self, *arguments: object, **named: object) -> Recorded:
            if calls_serve:
                websockets.serve(process_request=None)  # type: ignore[attr-defined]
            return super().__call__(*arguments, **named)

    viser = Recorded()
    viser.ViserServer = Started()
    monkeypatch.setitem(sys.modules, "viser", viser)
    return viser


def test_a_viser_that_no_gate_can_be_put_before_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    viser = with_fake_viser(monkeypatch, calls_serve=False)
    scene = typical_scene(5, 0)
    with pytest.raises(UsageError, match="any website could look at the scene"):
        viewer.serve(scene, "127.0.0.1", 8765, camera_paths.orbit_of_gaussians(scene, np.array([0.0, 0, 1])))
    assert viser.ViserServer.stop.calls
    assert "scene" not in vars(viser.ViserServer)


def test_viser_gets_the_scene_the_place_to_listen_and_the_view_to_start_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viser = with_fake_viser(monkeypatch, calls_serve=True)
    scene = typical_scene(5, 0)
    orbit = camera_paths.orbit_of_gaussians(scene, np.array([0.0, 0, 1]))
    viewed = viewer.serve(scene, "0.0.0.0", 8765, orbit)
    server = viewed.server
    assert server is viser.ViserServer
    ((_, listening),) = server.calls
    assert (listening["host"], listening["port"]) == ("0.0.0.0", 8765)
    assert server.scene.set_up_direction.calls == [(((0, 0, 1),), {})]
    ((_, drawn),) = server.scene.add_gaussian_splats.calls
    assert np.array_equal(drawn["centers"], scene.means)
    camera = server.initial_camera
    assert np.allclose(camera.position, orbit.cameras(1, camera_paths.default_lens(80, 60))[0].center)
    assert np.array_equal(camera.look_at, orbit.center)  # the view is turned around it
    assert tuple(camera.up) == (0, 0, 1)
    assert np.isclose(camera.fov, 2 * np.arctan(0.6 * np.tan(np.radians(30))))


@pytest.fixture
def served() -> Iterator[viewer.Viewer]:
    pytest.importorskip("viser")
    scene = typical_scene(5, 0)
    orbit = camera_paths.orbit_of_gaussians(scene, np.array([0.0, -1, 0]))
    server = viewer.serve(scene, "127.0.0.1", 8765, orbit)
    yield server
    server.stop()


def answer(
    served: viewer.Viewer, path: str | None = None, headers: dict[str, str | None] | None = None
) -> bytes:
    """What the server sends first to a client that writes these bytes, whatever a browser would do.

    Headers are those of a browser that opens the printed address, but for those given; None leaves one out.
    """
    url = urlsplit(served.url)
    sent = {"Host": url.netloc, **(headers or {})}
    lines = [f"GET {url.path if path is None else path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in sent.items() if value is not None]
    with socket.create_connection((url.hostname, url.port), timeout=20) as client:
        client.sendall("\r\n".join([*lines, "", ""]).encode())
        received = b""
        while len(received) < 4096 and (block := client.recv(4096)):
            received += block
            if b" 101 " in received or b" 403 " in received:
                break
    return received


def websocket(served: viewer.Viewer, **headers: str | None) -> dict[str, str | None]:
    """The headers of a page's request for a websocket."""
    import viser

    own = f"http://{urlsplit(served.url).netloc}"
    protocol = f"viser-v{viser.__version__}"
    names = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
             "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": protocol}  # fmt: skip
    return {**names, "Origin": own, **headers}


def test_no_address_is_printed_that_does_not_work(served: viewer.Viewer, capfd) -> None:
    """viser would print the one without the token."""
    scene = typical_scene(5, 0)
    orbit = camera_paths.orbit_of_gaussians(scene, np.array([0.0, 0, 1]))
    viewer.serve(scene, "127.0.0.1", 8765, orbit).stop()
    assert "http" not in capfd.readouterr().out


def test_the_printed_address_shows_the_page_and_the_scene(served: viewer.Viewer) -> None:
    with urllib.request.urlopen(served.url, timeout=20) as page:
        assert b"<html" in page.read(4096).lower()
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["X-Frame-Options"] == "DENY"
    assert b" 101 " in answer(served, headers=websocket(served))
    # viser's page asks for it at its own address without the slash at the end.
    assert b" 101 " in answer(served, urlsplit(served.url).path.rstrip("/"), websocket(served))


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
    served: viewer.Viewer, headers: dict[str, str | None]
) -> None:
    for request in (headers, websocket(served) | headers):
        received = answer(served, headers=request)
        assert b" 101 " not in received
        assert b" 200 " not in received
        assert received.startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 400 "))
        assert b"<html" not in received.lower()


@pytest.mark.parametrize(
    "path", ["/", "/index.html", "//", "/x/", "/%2e%2e/", "TOKEN-1", "TOKENx", "/?TOKEN"]
)
def test_without_the_token_there_is_neither_page_nor_scene(served: viewer.Viewer, path: str) -> None:
    token = urlsplit(served.url).path.strip("/")
    place = {"TOKEN-1": f"/{token[:-1]}/", "TOKENx": f"/{token}x/"}.get(path, path.replace("TOKEN", token))
    for headers in ({}, websocket(served)):
        assert answer(served, place, headers).startswith(b"HTTP/1.1 403 ")


def test_a_websocket_that_says_not_where_it_comes_from_is_refused(served: viewer.Viewer) -> None:
    assert answer(served, headers=websocket(served, Origin=None)).startswith(b"HTTP/1.1 403 ")
