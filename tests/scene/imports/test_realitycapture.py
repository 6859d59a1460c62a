"""RealityCapture: a table of angles, or an .xmp beside each photograph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from exported_photographs import centers, photographs, rotations

from gsplat_core.errors import DataError
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.imports.realitycapture import read

HEADER = "#name,x,y,alt,heading,pitch,roll,f,px,py,k1,k2,k3,k4,t1,t2"


def table(folder: Path, *rows: str) -> Path:
    photographs(folder / "images")
    (folder / "cameras.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    return folder


def row(number: int, angles: str, rest: str = "36,0,0,0,0,0,0,0,0") -> str:
    return f"shot_{number}.png,{number},2,3,{angles},{rest}"


@pytest.mark.parametrize(
    ("angles", "ahead", "right"),
    [
        ("0,0,0", [0, 0, -1], [1, 0, 0]),  # straight down, the image's top to the north
        ("90,0,0", [0, 0, -1], [0, -1, 0]),  # its top to the east
        ("0,90,0", [0, 1, 0], [1, 0, 0]),  # level, to the north
        ("90,90,0", [1, 0, 0], [0, -1, 0]),  # level, to the east
        ("0,135,0", [0, 0.5**0.5, 0.5**0.5], [1, 0, 0]),  # upward
    ],
)
def test_angles_are_those_of_a_compass(angles: str, ahead, right, tmp_path: Path) -> None:
    folder = table(tmp_path, row(0, angles), row(1, "0,0,0"))
    camera = Dataset.load(folder, test_every=0, prefetch=False).train[0].camera
    np.testing.assert_allclose(camera.viewmat[:3, :3].T @ [0, 0, 1], ahead, atol=1e-12)
    np.testing.assert_allclose(camera.viewmat[:3, :3].T @ [1, 0, 0], right, atol=1e-12)
    np.testing.assert_allclose(camera.center, [0, 2, 3], atol=1e-12)
    np.testing.assert_allclose(camera.K, [[60, 0, 30], [0, 60, 20], [0, 0, 1]])


def test_the_principal_point_and_the_distortion(tmp_path: Path) -> None:
    folder = table(tmp_path, *(row(n, "0,0,0", "18,0.6,-0.3,0.1,0.2,0,0,0.01,0.02") for n in range(2)))
    lens = read(folder / "cameras.csv", True).shots[0].lens
    assert lens.focal == (30, 30)
    np.testing.assert_allclose(lens.center, (31, 19.5))
    x, y, r2 = 0.3, -0.2, 0.13
    factor = 1 + 0.1 * r2 + 0.2 * r2**2
    expected = [
        31 + 30 * (x * factor + 0.02 * x * y + 0.02 * (r2 + 2 * x * x)),
        19.5 + 30 * (y * factor + 0.04 * x * y + 0.01 * (r2 + 2 * y * y)),
    ]
    np.testing.assert_allclose(lens.distort(np.array([x, y])), expected)


def sidecars(folder: Path, more: str = "", elements: bool = False) -> Path:
    """An .xmp for each photograph, its values as attributes or as elements."""
    for name, rotation, center in zip(photographs(folder), rotations(), centers(), strict=True):
        values = {
            "Rotation": " ".join(map(repr, rotation.ravel().tolist())),
            "FocalLength35mm": "18",
            "PrincipalPointU": "0.05",
            "PrincipalPointV": "-0.1",
        }
        inside = "".join(f"<xcr:{key}>{value}</xcr:{key}>" for key, value in values.items())
        outside = " ".join(f'xcr:{key}="{value}"' for key, value in values.items())
        (folder / f"{name}.xmp").write_text(
            '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
            '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
            f'xmlns:xcr="http://www.capturingreality.com/ns/xcr/1.1#" {"" if elements else outside} {more}>'
            f"{inside if elements else ''}<xcr:Position>{' '.join(map(repr, center.tolist()))}</xcr:Position>"
            "</rdf:Description></rdf:RDF></x:xmpmeta>"
        )
    return folder


@pytest.mark.parametrize("elements", [False, True])
@pytest.mark.parametrize("place", [".", "images"])
def test_sidecars_hold_world_to_camera(elements: bool, place: str, tmp_path: Path) -> None:
    sidecars(tmp_path / place, elements=elements)
    for view, rotation, center in zip(
        Dataset.load(tmp_path, test_every=0, prefetch=False).train, rotations(), centers(), strict=True
    ):
        np.testing.assert_allclose(view.camera.viewmat[:3, :3], rotation, atol=1e-12)
        np.testing.assert_allclose(view.camera.center, center, atol=1e-12)
        np.testing.assert_allclose(view.camera.K, [[30, 0, 33], [0, 30, 14], [0, 0, 1]])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('xcr:Skew="0.1"', "pixels are skewed"),
        ('xcr:DistortionModel="division" xcr:DistortionCoeficients="0.1 0 0 0 0 0"', "'division' is not"),
        ('xcr:DistortionModel="brown3" xcr:DistortionCoeficients="0.1 0"', "must have 6 numbers, has 2"),
    ],
)
def test_what_a_sidecar_cannot_say_is_told(more: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        Dataset.load(sidecars(tmp_path, more), test_every=0, prefetch=False)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("shot_0.png,1,2,3,0,0,0,thirty,0,0,0,0,0,0,0,0", r"line 2, f.*must be a number, not 'thirty'"),
        ("shot_0.png,1,2", "line 2, heading.*is missing"),
        ("../../shot_0.png,1,2,3,0,0,0,36,0,0,0,0,0,0,0,0", "is not a path below"),
        ("another.png,1,2,3,0,0,0,36,0,0,0,0,0,0,0,0", "there is no photograph 'another.png'"),
    ],
)
def test_a_bad_line_of_a_table_is_told(row: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read(table(tmp_path, row) / "cameras.csv", True)
