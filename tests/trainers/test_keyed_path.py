"""Camera paths of the viewer's editor: through their keys, smoothly, and refused where they are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gsplat_core.errors import DataError
from trainers.keyed_path import KeyedPath

KEY = {"position": [0, -1, -4], "target": [0, 0, 0], "up": [0, -1, 0], "fov": 50}
KEYS = [
    {**KEY, "position": [x, -1, -4 + x], "target": [0, 0.1 * x, 0], "fov": 50 + x} for x in (0.0, 1.0, 3.0)
]


def written(tmp_path: Path, **entries: Any) -> Path:
    path = tmp_path / "path.json"
    path.write_text(json.dumps({"keys": KEYS, **entries}))
    return path


def test_it_passes_its_keys_at_equal_intervals(tmp_path: Path) -> None:
    path = KeyedPath.read(written(tmp_path))
    for i, key in enumerate(KEYS):
        camera = path.cameras(5, tmp_path)[2 * i]
        assert np.allclose(camera.center, key["position"])
        ahead = camera.viewmat[:3, :3] @ np.array(key["target"]) + camera.viewmat[:3, 3]
        assert np.allclose(ahead[:2], 0, atol=1e-9)
        assert ahead[2] > 0
        assert camera.viewmat[1, :3] @ np.array(key["up"]) < 0
        # The field of view is that of the height.
        assert np.isclose(2 * np.degrees(np.arctan(360 / camera.K[1, 1])), key["fov"])


@pytest.mark.parametrize("closed", [False, True])
def test_it_is_smooth(tmp_path: Path, closed: bool) -> None:
    """Differences of neighbours do not jump, at keys neither; a closed path ends where it begins."""
    path = KeyedPath.read(written(tmp_path, closed=closed))
    times = np.linspace(0, 1, 601)
    places = np.stack([path.at(time) for time in times])
    speed = np.diff(places, axis=0)
    if closed:
        assert np.allclose(places[0], places[-1])
        speed = np.concatenate([speed, speed[:1]])
    assert np.abs(np.diff(speed, axis=0)).max() < 0.02 * np.abs(speed).max()


def test_a_straight_and_even_path_stays_so(tmp_path: Path) -> None:
    keys = [{**KEY, "position": [x, 0, -4]} for x in (0, 1, 2, 3)]
    path = KeyedPath.read(written(tmp_path, keys=keys))
    assert np.allclose([path.at(t)[0] for t in (0.1, 0.45, 0.8)], [0.3, 1.35, 2.4])


def test_one_key_is_a_still(tmp_path: Path) -> None:
    path = KeyedPath.read(written(tmp_path, keys=[KEY], width=64, height=48, seconds=1))
    cameras = path.cameras(3, tmp_path)
    assert all(np.array_equal(camera.viewmat, cameras[0].viewmat) for camera in cameras)
    assert (cameras[0].width, cameras[0].height) == (64, 48)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"keys": []}, "keys must be a list of 1"),
    ({"keys": "a"}, "keys must be a list"),
    ({"keys": [KEY, {**KEY, "fov": 0}]}, r"keys\[1\].fov must be from 1 to 170"),
    ({"keys": [{**KEY, "fov": True}]}, "must be a number"),
    ({"keys": [{**KEY, "up": [0, 0]}]}, "up must be 3 numbers"),
    ({"keys": [{**KEY, "up": [0, 0, 0]}]}, "an up that is not 0"),
    ({"keys": [{**KEY, "target": KEY["position"]}]}, "a target off its position"),
    ({"keys": [{**KEY, "position": [0, "x", 0]}]}, "position must be finite"),
    ({"keys": [{**KEY, "position": [0, 1e39, 0]}]}, "position must be finite"),
    ({"keys": [{**KEY, "roll": 1}]}, "and nothing else"),
    ({"seconds": 0}, "seconds must be"),
    ({"width": 1.5}, "width must be"),
    ({"speed": 3}, "unknown entry"),
]


@pytest.mark.parametrize(("entries", "message"), WRONG)
def test_other_files_are_refused(tmp_path: Path, entries: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        KeyedPath.read(written(tmp_path, **entries))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"keys": 3}', b"{}"])
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "path.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match="no camera path"):
        KeyedPath.read(path)


def test_a_path_through_its_own_target_is_told(tmp_path: Path) -> None:
    there = [{**KEY, "position": [0, 0, z], "target": [0, 0, -z]} for z in (-1, 1)]
    path = KeyedPath.read(written(tmp_path, keys=there))
    with pytest.raises(DataError, match="no camera 50% along the path"):
        path.cameras(3, tmp_path / "path.json")
