"""A page that shows a scene: one .html file to send, which opens in a browser and fetches nothing.

In the file are, as base64 in elements with an id, the scene as a .sog file (`scene`), the libraries that draw
it (`libraries`: three.js and Spark, compressed, from `viewer/`), and where to look from (`view`, JSON):

    {"position": [x, y, z], "target": [x, y, z], "up": [x, y, z], "fov": degrees of the height,
     "near": distance, "far": distance, "look": {"eps2d": square pixels, "antialiased": whether}}

The modules of `viewer/` that draw and move are those of `gsplat-core view`, too. Base64 takes a third more
than the scene, and the libraries 1.4 MB. Such a page is read as well: what counts is the scene in it.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from importlib.resources import files
from pathlib import Path

import numpy as np

from gsplat_core.errors import DataError, UsageError
from gsplat_core.io import sog
from gsplat_core.io.atomic import write_text
from gsplat_core.io.format import ALL_METADATA, Format
from gsplat_core.io.source import read_whole
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.metadata import Metadata

FIELD_OF_VIEW = 50.0
"""Degrees, of the height of the window."""

_SCENE = re.compile(rb'<script id="scene" type="text/plain" data-format="(\w+)">([A-Za-z0-9+/=]*)</script>')


def load(path: Path, *, strict: bool, trusted: bool = False) -> Gaussians:
    """Reads the scene in a page.

    Args:
        trusted: read it whatever number of Gaussians it claims to hold.

    Raises:
        DataError: there is none in it, or it is damaged; or `strict` and there are splats that cannot be
            rendered.
    """
    page = read_whole(path)
    if not page.endswith(b"</html>\n"):
        raise DataError(path, "the page is not complete", remedy="Download it again.")
    found = _SCENE.search(page)
    if found is None or found[1] != b"sog":
        raise DataError(path, "the page has no scene of gsplat_core in it")
    try:
        scene = base64.b64decode(found[2], validate=True)
    except binascii.Error as error:
        raise DataError(path, f"damaged scene ({error})", "base64") from error
    return sog.read(path, scene, strict, trusted)


def save(
    path: Path,
    gaussians: Gaussians,
    *,
    view: str | None = None,
    title: str | None = None,
    palette: int | None = None,
    antialiased: bool | None = None,
) -> None:
    """Writes the page.

    Args:
        view: nine numbers with commas between them: where one looks from at first, what at, and the direction
            that is up. By default from a guess at the middle of the scene, -y being up as in COLMAP.
        title: of the page; the file's name by default.
        palette, antialiased: see `gsplat_core.io.sog.save`.

    Raises:
        ResourceError: see `gsplat_core.io.atomic`.
        UnsuitableSceneError: no Gaussians, or too many for a .sog file.
        UsageError: options out of range.
    """
    scene = sog.written(path, gaussians, palette=palette, antialiased=antialiased)
    parts = {
        "title": html.escape(path.stem if title is None else title),
        "view": json.dumps(_view(gaussians, view)),
        "libraries": _base64(resource("libraries.js.gz")),
        "format": "sog",
        "scene": _base64(scene),
        "style": resource("page.css").decode(),
        "viewer": script(),
    }
    page = resource("page.html").decode()
    # In one pass: what is put in is not looked at again.
    write_text(path, re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], page))


FORMAT = Format(".html", "page with a viewer", load, save, max_sh_degree=3, metadata=ALL_METADATA)


def resource(name: str) -> bytes:
    """A file of `viewer/`."""
    return (files("gsplat_core.io") / "viewer" / name).read_bytes()


def script() -> str:
    """The modules of the page as one: it has no address from which a module could import another."""
    modules = "".join(resource(name).decode() for name in ("navigation.js", "drawing.js", "viewer.js"))
    return re.sub(r"^import .* from \"\./.*\n", "", modules, flags=re.MULTILINE).replace("\nexport ", "\n")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _view(gaussians: Gaussians, text: str | None) -> dict[str, object]:
    """As the page has it."""
    position, target, up = _guess(gaussians) if text is None else _parsed(text)
    distance = float(np.linalg.norm(position - target))
    near, far = distance / 1000, distance * 10_000
    places = {"position": position.tolist(), "target": target.tolist(), "up": up.tolist()}
    return {**places, "fov": FIELD_OF_VIEW, "near": near, "far": far, "look": look(gaussians.metadata)}


def look(metadata: Metadata) -> dict[str, object]:
    """How a scene wants to be drawn, as `drawing.js` takes it."""
    return {"eps2d": metadata.eps2d, "antialiased": metadata.antialiased}


def _parsed(text: str) -> np.ndarray:
    """[3, 3] position, target and up."""
    try:
        numbers = np.array([float(word) for word in text.split(",")])
    except ValueError:
        numbers = np.empty(0)
    if numbers.size != 9 or not np.isfinite(numbers).all():
        raise UsageError(f"view must be nine numbers with commas between them, not {text!r}.")
    view = numbers.reshape(3, 3)
    forward, up = view[1] - view[0], view[2]
    if not np.linalg.norm(np.cross(forward, up)) > 1e-9 * np.linalg.norm(forward) * np.linalg.norm(up):
        raise UsageError(
            f"view must have a target off its position and an up that is not along the view, not {text!r}."
        )
    return view


def _guess(gaussians: Gaussians) -> np.ndarray:
    """The bulk of the scene from a little above, with -y up."""
    means = gaussians.means.detach().double().cpu().numpy()
    middle = np.median(means, axis=0)
    size = max(float(np.median(np.linalg.norm(means - middle, axis=1))), 1e-6)
    return np.stack([middle + 2.5 * size * np.array([0.0, -0.26, -0.97]), middle, np.array([0.0, -1.0, 0.0])])
