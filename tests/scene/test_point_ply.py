"""Points in PLY files beside a model: the variants that programs write, and damaged ones."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from tiny_scene import TinyScene

from gsplat_core.errors import DataError
from gsplat_core.scene.capture import capture_from_colmap
from gsplat_core.scene.colmap import read_model
from gsplat_core.scene.point_ply import read_point_ply

XYZ = np.array([[1.5, -2.25, 3.0], [5e5 + 0.125, 4.5e6 + 0.25, 100.0], [0, 0, -1]])
RGB = np.array([[255, 0, 51], [1, 2, 3], [128, 200, 254]], np.uint8)


def ply(
    encoding: str = "binary_little_endian",
    number: str = "double",
    color: str = "uchar",
    names: tuple[str, ...] = ("red", "green", "blue"),
    extra: bool = False,
) -> bytes:
    """The points as a PLY file; `extra` puts normals between and faces behind."""
    order = ">" if encoding == "binary_big_endian" else "<"
    codes = {"float": "f4", "double": "f8", "uchar": "u1", "ushort": "u2"}
    columns: list[tuple[str, str, np.ndarray]] = [(name, number, XYZ[:, i]) for i, name in enumerate("xyz")]
    if extra:
        columns += [(name, "float", np.zeros(3)) for name in ("nx", "ny", "nz")]
    scale = {"uchar": 1, "ushort": 257.0, "float": 1 / 255, "double": 1 / 255}[color]
    columns += [(name, color, RGB[:, i] * scale) for i, name in enumerate(names)]
    head = ["ply", f"format {encoding} 1.0", "comment of another program", "element vertex 3"]
    head += [f"property {kind} {name}" for name, kind, _ in columns]
    head += ["element face 1", "property list uchar int vertex_indices"] if extra else []
    data = ("\n".join(head) + "\nend_header\n").encode()
    if encoding == "ascii":
        rows = zip(*(column for _, _, column in columns), strict=True)
        whole = {name for name, kind, _ in columns if kind in ("uchar", "ushort")}
        for row in rows:
            cells = [
                str(int(value)) if name in whole else repr(float(value))
                for (name, _, _), value in zip(columns, row, strict=True)
            ]
            data += (" ".join(cells) + "\n").encode()
        return data + (b"3 0 1 2\n" if extra else b"")
    table = np.empty(3, [(name, order + codes[kind]) for name, kind, _ in columns])
    for name, _, column in columns:
        table[name] = column
    return data + table.tobytes() + (struct.pack(order + "B3i", 3, 0, 1, 2) if extra else b"")


@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize("color", ["uchar", "ushort", "float"])
@pytest.mark.parametrize("extra", [False, True])
def test_variants(tmp_path: Path, encoding: str, color: str, extra: bool) -> None:
    path = tmp_path / "a.ply"
    path.write_bytes(ply(encoding, "double", color, extra=extra))
    warnings: list[str] = []
    xyz, rgb = read_point_ply(path, warnings)
    assert (xyz.tolist(), rgb.tolist(), warnings) == (XYZ.tolist(), RGB.tolist(), [])
    path.write_bytes(ply(encoding, "float", color, extra=extra))
    assert read_point_ply(path, warnings)[0] == pytest.approx(XYZ, rel=1e-7)


def test_points_without_colours_are_grey(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    path.write_bytes(ply(names=()))
    warnings: list[str] = []
    assert (read_point_ply(path, warnings)[1] == 128).all()
    assert "no colours" in warnings[0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a PLY file"),
        (b"ply\nformat ascii 1.0\nelement face 1\nend_header\n", "no vertices with x, y and z"),
        (
            b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n1\n",
            "no vertices with x, y and z",
        ),
        (ply()[:-1], "the file is cut off: 3 points of 27 bytes"),
        (ply("ascii")[:-30], "cut off|too short|expected 6 numbers"),
        (ply("ascii").replace(b"-2.25", b"minus"), r"line 12\): not a number: b'minus'"),
        (ply().replace(b"vertex 3", b"vertex 999999999999999"), "cut off"),
        (
            b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
            b"property list uchar int more\nend_header\n1 1 1 0\n",
            "list property 'more'",
        ),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a.ply"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_point_ply(path, [])


def test_points_that_are_nowhere_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    path.write_bytes(ply("ascii").replace(b"-2.25", b"nan"))
    warnings: list[str] = []
    assert read_point_ply(path, warnings)[0].tolist() == XYZ[1:].tolist()
    assert "1 3D points of 3 are left out" in warnings[0]
    assert len(warnings) == 1
    with pytest.raises(DataError, match="1 3D points of 3"):
        read_point_ply(path, [], strict=True)
    nowhere = (
        ply("ascii").replace(b"-2.25", b"nan").replace(b"4500000.25", b"inf").replace(b" -1.0 ", b" nan ")
    )
    path.write_bytes(nowhere)
    warnings.clear()
    assert len(read_point_ply(path, warnings)[0]) == 0
    assert "no usable points" in warnings[-1]


@pytest.mark.parametrize(
    "place", ["sparse/0/points3D.ply", "sparse/0/points3d.ply", "sparse/points3D.ply", "sparse.ply"]
)
@pytest.mark.parametrize("ending", ["bin", "txt"])
def test_a_model_without_points_takes_those_of_a_ply(tmp_path: Path, place: str, ending: str) -> None:
    scene = TinyScene()
    scene.images[0] = (*scene.images[0][:5], [(3.5, 4.5, 0), (5.25, 6.0, 1), (7.0, 1.0, -1)])
    scene.write_model(tmp_path / "sparse/0", ending)
    (tmp_path / place).write_bytes(ply())
    assert len(read_model(tmp_path).points) == 4  # the model's own come first
    (tmp_path / f"sparse/0/points3D.{ending}").unlink()
    model = read_model(tmp_path)
    assert model.points.xyz.tolist() == XYZ.tolist()
    assert model.points.rgb.tolist() == RGB.tolist()
    # The keypoints' ids are those of points that are gone.
    assert not any(len(rows) for rows in capture_from_colmap(model).sightings.values())
    assert f"is missing: the 3 points of {tmp_path / place} are used" in model.warnings[0]
