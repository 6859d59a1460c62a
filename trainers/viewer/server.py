"""The web server of a viewer: its page, the scene, and pictures of it.

It answers GET only, and nothing that it is asked for changes a file or the scene.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from gsplat_core.errors import GsplatError, ResourceError
from gsplat_core.io import html, ply
from gsplat_core.strict_json import json_text
from trainers.viewer.gate import HEADERS, Gate
from trainers.viewer.picking import pick
from trainers.viewer.stills import BadRequest, Still, draw, encoded
from trainers.viewer.subject import Subject, sent

Result = TypeVar("Result")

# Kinds of what is asked for by name.
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
SHARED = ("navigation.js", "drawing.js")
PAGE = (
    "style.css", "main.js", "stage.js", "settings.js", "photographs.js", "overlay.js", "path.js",
    "picking.js", "training.js",
)  # fmt: skip
PORTS_TRIED = 100
WAITING = 20.0
"""Seconds for which a page waits for a newer state of the scene, before it asks again."""


class Viewer:
    """A running server.

    Args:
        subject: what it shows.
        host, port: where it listens; another port is taken if this one is busy.

    Raises:
        ResourceError: it cannot listen there.
    """

    def __init__(self, subject: Subject, host: str, port: int) -> None:
        self.subject = subject
        self.gate = Gate(host)
        self._spent = 0.0
        self._pictures = ThreadPoolExecutor(1, thread_name_prefix="stills")
        self._server = _listening(host, port, self)
        self.port: int = self._server.server_address[1]
        self.url = self.gate.url(self.port)
        """What to open in a browser; no other address shows the scene."""
        self._thread = threading.Thread(target=self._server.serve_forever, name="viewer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._pictures.shutdown(wait=False, cancel_futures=True)

    def spent(self) -> float:
        """Seconds of processor time that the threads of requests have taken since the last call."""
        spent, self._spent = self._spent, 0.0
        return spent

    def answer(self, path: str, query: dict[str, str]) -> Answer:
        """What there is under a path behind the token.

        Raises:
            BadRequest: the query is none that a page makes.
            LookupError: there is nothing.
        """
        if path in ROUTES:
            return ROUTES[path](self, query)
        name = path.removeprefix("page/")
        if path == "" or (path.startswith("page/") and name in (*PAGE, *SHARED)):
            name = name or "index.html"
            return Answer(KINDS[Path(name).suffix], [_file(name)])
        raise LookupError(path)

    def picture(self, query: dict[str, str]) -> bytes:
        """What a picture of the scene shows, as JPEG."""
        still = Still.of(query, self.subject)
        return self._rendered(lambda: encoded(draw(still, self.subject)))

    def picked(self, query: dict[str, str]) -> dict[str, Any]:
        """What a click at a picture hits."""
        return self._rendered(lambda: pick(query, self.subject))

    def _rendered(self, work: Callable[[], Result]) -> Result:
        """One at a time, and always by the same thread, whose workers PyTorch keeps."""
        return self._pictures.submit(work).result()


class Answer:
    """What is sent.

    Args:
        kind: of the content, as MIME has it.
        content: in pieces.
        headers: further ones.
    """

    def __init__(self, kind: str, content: Iterable[bytes], **headers: str) -> None:
        self.kind = kind
        self.content = content
        self.headers = headers


def _libraries(viewer: Viewer, query: dict[str, str]) -> Answer:
    return Answer(KINDS[".js"], [html.resource("libraries.js.gz")], encoding="gzip")


def _about(viewer: Viewer, query: dict[str, str]) -> Answer:
    return _json(viewer.subject.about())


def _state(viewer: Viewer, query: dict[str, str]) -> Answer:
    return _json(viewer.subject.state())


def _history(viewer: Viewer, query: dict[str, str]) -> Answer:
    kept = ("step", "loss", "psnr", "test_psnr", "num_gaussians", "event")
    entries = [{key: entry[key] for key in kept if key in entry} for entry in viewer.subject.history()]
    return _json(entries[:: max(len(entries) // 2000, 1)])


def _newer(viewer: Viewer, query: dict[str, str]) -> Answer:
    """The state, as soon as there is a version after that of the query, or none comes for a while."""
    after = query.get("after", "0")
    if not after.isascii() or not after.isdigit() or len(after) > 9:
        raise BadRequest("after must be the number of a version")
    viewer.subject.newer(int(after), WAITING)
    return _state(viewer, {})


def _scene(viewer: Viewer, query: dict[str, str]) -> Answer:
    snapshot = viewer.subject.snapshot
    content = ply.content(Path("scene.ply"), sent(snapshot.gaussians))
    return Answer("application/octet-stream", content, version=str(snapshot.version))


def _still(viewer: Viewer, query: dict[str, str]) -> Answer:
    return Answer("image/jpeg", [viewer.picture(query)])


def _pick(viewer: Viewer, query: dict[str, str]) -> Answer:
    return _json(viewer.picked(query))


ROUTES: dict[str, Callable[[Viewer, dict[str, str]], Answer]] = {
    "libraries.js": _libraries,
    "about": _about,
    "state": _state,
    "history": _history,
    "newer": _newer,
    "scene": _scene,
    "still": _still,
    "pick": _pick,
}


def _json(value: Any) -> Answer:
    return Answer("application/json", [json_text(value, indent=None).encode()])


@lru_cache
def _file(name: str) -> bytes:
    if name in SHARED:
        return html.resource(name)
    return (files("trainers.viewer") / "page" / name).read_bytes()


def _listening(host: str, port: int, viewer: Viewer) -> ThreadingHTTPServer:
    family = {"address_family": 10} if ":" in host else {}
    kind: Any = type("Server", (ThreadingHTTPServer,), {"daemon_threads": True, **family})
    handler = type("Handler", (_Handler,), {"viewer": viewer})
    for candidate in range(port, min(port + PORTS_TRIED, 65536)):
        try:
            return kind((host, candidate), handler)  # type: ignore[no-any-return]
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                problem = f"cannot listen on {host}:{candidate}: {error.strerror or error}"
                raise ResourceError(f"{problem}. Choose another --host or --port.") from error
    raise ResourceError(f"the ports from {port} on are taken; choose another --port.")


_HEADERS = {"encoding": "Content-Encoding", "location": "Location", "version": "X-Version"}


class _Handler(BaseHTTPRequestHandler):
    viewer: Viewer
    protocol_version = "HTTP/1.1"
    server_version = "gsplat-core"
    sys_version = ""
    timeout = 60

    def do_GET(self) -> None:
        began = time.thread_time()
        self._respond()
        self.viewer._spent += time.thread_time() - began

    def _respond(self) -> None:
        hosts, origins = self.headers.get_all("Host", []), self.headers.get_all("Origin", [])
        if reason := self.viewer.gate.refusal(self.path, hosts, origins, self.viewer.port):
            return self._refuse(HTTPStatus.FORBIDDEN, reason)
        address = urlsplit(self.path)
        _, slash, path = address.path[1:].partition("/")
        if not slash:  # what the page names is beside it
            there = Answer("text/plain", [], location=address.path + "/")
            return self._send(HTTPStatus.MOVED_PERMANENTLY, there)
        try:
            query = dict(parse_qsl(address.query, keep_blank_values=True, max_num_fields=30))
            answer = self.viewer.answer(path, query)
        except LookupError:
            return self._refuse(HTTPStatus.NOT_FOUND, "There is nothing of this name.\n")
        except ValueError as error:
            return self._refuse(HTTPStatus.BAD_REQUEST, f"{error}\n")
        except (GsplatError, RuntimeError, OSError, MemoryError) as error:
            return self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}\n")
        self._send(HTTPStatus.OK, answer)

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self._send(status, Answer("text/plain; charset=utf-8", [reason.encode()]))

    def _send(self, status: HTTPStatus, answer: Answer) -> None:
        whole = answer.content if isinstance(answer.content, list) else None
        try:
            self.send_response(status)
            for name, value in HEADERS.items():
                self.send_header(name, value)
            for key, value in answer.headers.items():
                self.send_header(_HEADERS[key], value)
            self.send_header("Content-Type", answer.kind)
            if whole is None:  # the end of the connection is its end
                self.send_header("Connection", "close")
                self.close_connection = True
            else:
                self.send_header("Content-Length", str(sum(map(len, whole))))
            self.end_headers()
            for piece in answer.content:
                self.wfile.write(piece)
        except OSError:  # the page was closed
            self.close_connection = True

    def log_message(self, format: str, *arguments: Any) -> None:
        """Terminals show what the command says."""
