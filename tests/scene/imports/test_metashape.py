"""Metashape's cameras: sensors, components, and where its conventions are not OpenCV's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from exported_photographs import HEIGHT, WIDTH, centers, photographs, rotations

from gsplat_core.errors import DataError
from gsplat_core.scene.cameras import Matrix
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.imports.metashape import read

TURN, SHIFT, SCALE = rotations(9)[0], np.array([7.0, -3.0, 2.0]), 2.5


def text(values: Matrix) -> str:
    return " ".join(repr(float(value)) for value in np.ravel(values))


def document(names: list[str], calibration: str = "", kind: str = "frame", where: str = "component") -> str:
    """Cameras in a chunk, whose coordinates become the project's by TURN, SHIFT and SCALE."""
    cameras = []
    for number, (name, rotation, center) in enumerate(zip(names, rotations(), centers(), strict=True)):
        pose = np.eye(4)
        pose[:3, :3] = TURN.T @ rotation.T
        pose[:3, 3] = TURN.T @ (center - SHIFT) / SCALE
        cameras.append(
            f'<camera id="{number}" sensor_id="0" component_id="0" label="{name}">'
            f"<transform>{text(pose)}</transform></camera>"
        )
    move = (
        f"<transform><rotation>{text(TURN)}</rotation><translation>{text(SHIFT)}</translation>"
        f"<scale>{SCALE}</scale></transform>"
    )
    parts = f'<components><component id="0">{move}</component></components>'
    grouped = f"{cameras[0]}<group>{''.join(cameras[1:])}</group>"
    return (
        '<?xml version="1.0"?><document version="2.0"><chunk label="a">'
        f'<sensors><sensor id="0" type="{kind}">'
        f'<resolution width="{WIDTH}" height="{HEIGHT}"/>'
        f'<calibration class="initial"><f>1</f></calibration>'
        f'<calibration class="adjusted"><f>50</f><cx>1</cx><cy>-2</cy>{calibration}</calibration></sensor>'
        f"</sensors>{parts if where == 'component' else move}<cameras>{grouped}"
        '<camera id="9" sensor_id="0" label="not aligned"/></cameras></chunk></document>'
    )


@pytest.mark.parametrize("where", ["component", "chunk"])
@pytest.mark.parametrize("images", ["images", "."])
def test_cameras_are_those_of_the_project(where: str, images: str, tmp_path: Path) -> None:
    names = photographs(tmp_path / images)
    (tmp_path / "cameras.xml").write_text(document(names, where=where))
    data = Dataset.load(tmp_path, test_every=0, prefetch=False)
    assert any("1 cameras are not aligned" in warning for warning in data.warnings)
    for view, rotation, center in zip(data.train, rotations(), centers(), strict=True):
        np.testing.assert_allclose(view.camera.viewmat[:3, :3], rotation, atol=1e-12)
        np.testing.assert_allclose(view.camera.center, center, atol=1e-12)
        np.testing.assert_allclose(view.camera.K, [[50, 0, 31], [0, 50, 18], [0, 0, 1]])


def test_pixels_are_where_its_manual_has_them(tmp_path: Path) -> None:
    """x' = x (1 + k1 r^2 + ...) + p1 (r^2 + 2 x^2) + 2 p2 x y, then f x' + b1 x'."""
    bent = "<k1>0.1</k1><k2>-0.02</k2><k3>0.01</k3><k4>0.003</k4><p1>0.02</p1><p2>-0.03</p2><b1>4</b1>"
    (tmp_path / "cameras.xml").write_text(document(photographs(tmp_path), bent))
    lens = read(tmp_path / "cameras.xml", False).shots[0].lens
    x, y = np.array([0.3, -0.2, 0.5]), np.array([0.1, 0.4, -0.3])
    r2 = x * x + y * y
    factor = 1 + 0.1 * r2 - 0.02 * r2**2 + 0.01 * r2**3 + 0.003 * r2**4
    bent_x = x * factor + 0.02 * (r2 + 2 * x * x) - 2 * 0.03 * x * y
    bent_y = y * factor - 0.03 * (r2 + 2 * y * y) + 2 * 0.02 * x * y
    pixels = lens.distort(np.stack([x, y], axis=-1))
    np.testing.assert_allclose(pixels, np.stack([31 + 54 * bent_x, 18 + 50 * bent_y], axis=-1))


def test_a_fisheye_shows_angles(tmp_path: Path) -> None:
    (tmp_path / "cameras.xml").write_text(document(photographs(tmp_path), "<k1>0.1</k1>", "fisheye"))
    lens = read(tmp_path / "cameras.xml", False).shots[0].lens
    angle = np.arctan(2.0)
    np.testing.assert_allclose(lens.distort(np.array([2.0, 0.0])), [31 + 50 * (angle + 0.1 * angle**3), 18])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("</document>", "", "is not XML"),
        ("<cx>1</cx>", "<cx>one</cx>", r"cx.*must be a number, not 'one'"),
        ("<cx>1</cx>", "<cx>1</cx><b2>3</b2>", r"b2.*skewed"),
        ('type="frame"', 'type="rpc"', r"the type 'rpc' is not supported"),
        ("<scale>2.5</scale>", "<scale>-1</scale>", "the scale must be positive"),
        ('sensor_id="0"', 'sensor_id="7"', "there is no sensor '7'"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(old: str, new: str, message: str, tmp_path: Path) -> None:
    good = document(photographs(tmp_path))
    assert old in good
    (tmp_path / "cameras.xml").write_text(good.replace(old, new))
    with pytest.raises(DataError, match=message):
        Dataset.load(tmp_path, test_every=0, prefetch=False)
