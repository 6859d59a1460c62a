"""The 3DGS PLY: byte layout, everything that legally occurs, and everything that is damaged."""

import contextlib
import math
import os
import struct
import warnings
from pathlib import Path

import numpy as np
import plyfile
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.lib import recfunctions
from paths import real_scene

from gsplat_core.errors import DataError, GsplatError, NumericalError, ResourceError, UsageError
from gsplat_core.io import DataWarning, export, export_verified, format_of, load, save
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import num_coefficients
from gsplat_core.scene.schema import PARAMETERS


def random_scene(num: int = 7, degree: int = 2, extras: bool = True) -> Gaussians:
    generator = torch.Generator().manual_seed(num * 10 + degree)
    shapes = [(num, 3), (num, 4), (num, 3), (num,), (num, 1, 3), (num, num_coefficients(degree) - 1, 3)]
    scene = Gaussians(*(torch.randn(shape, generator=generator) for shape in shapes))
    if extras:
        scene.extras = {
            "label": torch.arange(num, dtype=torch.int32) - 1,
            "track": torch.arange(num) * 1000,
            "seen": torch.arange(num) % 2 == 0,
            "rgb": torch.arange(num * 3, dtype=torch.uint8).reshape(num, 3),
            "time": torch.randn(num, dtype=torch.float64, generator=generator),
            "feature": torch.randn(num, 2, 3, generator=generator),
            "half": torch.randn(num, generator=generator).half(),
        }
    return scene


def assert_same(a: Gaussians, b: Gaussians) -> None:
    expected, found = a.state_dict(), b.state_dict()
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor), name


def vertices(path: Path) -> np.ndarray:
    return plyfile.PlyData.read(path, mmap=False)["vertex"].data


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flushing is the subject of test_atomic.py; here it would only take time."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def scene_file(tmp_path: Path) -> Path:
    path = tmp_path / "scene.ply"
    save(path, random_scene(extras=False))
    return path


# Layout


def test_file_is_the_inria_layout_byte_for_byte(tmp_path: Path) -> None:
    scene = random_scene(2, degree=1, extras=False)
    save(tmp_path / "scene.ply", scene)
    names = ["x", "y", "z", "nx", "ny", "nz", *(f"f_dc_{i}" for i in range(3))]
    names += [*(f"f_rest_{i}" for i in range(9)), "opacity"]
    names += [*(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]
    header = "ply\nformat binary_little_endian 1.0\nelement vertex 2\n"
    header += "".join(f"property float {name}\n" for name in names) + "end_header\n"
    body = b""
    for i in range(2):
        numbers = [*scene.means[i], 0, 0, 0, *scene.sh0[i, 0]]
        numbers += [
            scene.shN[i, k, c] for c in range(3) for k in range(3)
        ]  # all of red, then green, then blue
        numbers += [scene.opacities[i], *scene.scales[i], *scene.quats[i]]
        body += struct.pack("<26f", *map(float, numbers))
    assert (tmp_path / "scene.ply").read_bytes() == header.encode() + body


@pytest.mark.parametrize("degree", range(5))
@pytest.mark.parametrize("num", [0, 1, 20_000])
def test_what_is_saved_is_loaded_bit_for_bit(tmp_path: Path, degree: int, num: int) -> None:
    scene = random_scene(num, degree)
    export_verified(tmp_path / "scene.ply", scene)
    assert_same(load(tmp_path / "scene.ply", strict=True), scene)


def test_plyfile_reads_the_same_numbers(tmp_path: Path) -> None:
    scene = random_scene(5, degree=3)
    save(tmp_path / "scene.ply", scene)
    data = vertices(tmp_path / "scene.ply")
    assert data.dtype.names[:6] == ("x", "y", "z", "nx", "ny", "nz")
    assert np.array_equal(data["f_rest_17"], scene.shN[:, 2, 1])
    assert np.array_equal(data["rot_0"], scene.quats[:, 0])
    assert np.array_equal(data["feature_4"], scene.extras["feature"][:, 1, 1])
    assert data["label"].dtype == np.int32
    assert data["time"].dtype == np.float64


def test_real_trained_scene(tmp_path: Path) -> None:
    path = real_scene("trained_ply") / "trained_9080.ply"
    scene = load(path, strict=True)
    assert (scene.num, scene.sh_degree, scene.extras) == (9080, 3, {})
    assert (round(float(scene.scales.min()), 1), round(float(scene.scales.max()), 1)) == (-5.2, 5.6)
    assert (round(float(scene.opacities.min()), 1), round(float(scene.opacities.max()), 1)) == (-5.3, 3.6)
    assert scene.means.abs().max() > 100
    data = vertices(path)
    for name, column in [
        ("y", scene.means[:, 1]),
        ("f_rest_20", scene.shN[:, 5, 1]),
        ("rot_3", scene.quats[:, 3]),
    ]:
        assert np.array_equal(data[name], column)
    save(tmp_path / "again.ply", scene)
    assert (tmp_path / "again.ply").read_bytes()[-9080 * 248 :] == path.read_bytes()[-9080 * 248 :]


# Legal variants, written by plyfile


def as_doubles(path: Path) -> np.ndarray:
    data = vertices(path)
    return data.astype([(name, "f8") for name in data.dtype.names])


def rewrite(path: Path, data: np.ndarray, text: bool = False, order: str = "<", **options: object) -> None:
    element = plyfile.PlyElement.describe(data, "vertex")
    before, after = options.pop("before", []), options.pop("after", [])
    plyfile.PlyData([*before, element, *after], text=text, byte_order=order, **options).write(path)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("degree", range(5))
def test_binary_of_either_byte_order_and_precision(
    tmp_path: Path, order: str, kind: str, degree: int
) -> None:
    scene = random_scene(degree=degree, extras=False)
    save(tmp_path / "a.ply", scene)
    data = vertices(tmp_path / "a.ply")
    rewrite(tmp_path / "b.ply", data.astype([(name, kind) for name in data.dtype.names]), order=order)
    assert_same(load(tmp_path / "b.ply", strict=True), scene)


def test_ascii(scene_file: Path) -> None:
    rewrite(
        scene_file,
        as_doubles(scene_file),
        text=True,
    )
    assert_same(load(scene_file, strict=True), random_scene(extras=False))


@pytest.mark.parametrize("end", [b"\r\n", b"\r"])
def test_other_line_ends(scene_file: Path, end: bytes) -> None:
    header, body = scene_file.read_bytes().split(b"end_header\n")
    scene_file.write_bytes((header + b"end_header\n").replace(b"\n", end) + body)
    assert_same(load(scene_file, strict=True), random_scene(extras=False))
    rewrite(
        scene_file,
        as_doubles(scene_file),
        text=True,
    )
    scene_file.write_bytes(scene_file.read_bytes().replace(b"\n", end) + end)
    assert_same(load(scene_file, strict=True), random_scene(extras=False))


def test_any_order_of_properties_without_normals_among_comments_and_other_elements(scene_file: Path) -> None:
    data = vertices(scene_file)
    names = [name for name in reversed(data.dtype.names) if name not in ("nx", "ny", "nz")]
    camera = plyfile.PlyElement.describe(np.array([(1, 2.5)], [("id", "u1"), ("focal", "f8")]), "camera")
    faces = plyfile.PlyElement.describe(np.array([([0, 1, 2],)], [("vertex_indices", "i4", (3,))]), "face")
    for text in (False, True):
        rewrite(
            scene_file,
            recfunctions.repack_fields(data[names]).astype([(n, "f8") for n in names]),
            text=text,
            before=[camera],
            after=[faces],
            comments=["made elsewhere", "extra label int32", "extra x y z", "extra 9 int32 99999999999"],
            obj_info=["info"],
        )
        assert_same(load(scene_file, strict=True), random_scene(extras=False))


def test_comments_need_not_be_ascii(scene_file: Path) -> None:
    content = scene_file.read_bytes()
    scene_file.write_bytes(content.replace(b"1.0\n", b"1.0\ncomment gr\xf6\xdfer \xff\x00\n", 1))
    assert load(scene_file).num == 7


def test_properties_of_other_writers_become_extras(scene_file: Path) -> None:
    data = vertices(scene_file)
    names = ["class", "scalar_weight", "unsigned", "short_unsigned", "means"]
    columns = [np.arange(7, dtype=code) for code in ("u1", "f8", "u4", "u2", "f4")]
    columns[2] += 2**32 - 10
    rewrite(scene_file, recfunctions.append_fields(data, names, columns, usemask=False))
    with pytest.warns(DataWarning, match="'means' is ignored"):
        extras = load(scene_file).extras
    assert {name: tensor.dtype for name, tensor in extras.items()} == {
        "class": torch.uint8,
        "scalar_weight": torch.float64,
        "unsigned": torch.int64,
        "short_unsigned": torch.int32,
    }
    assert extras["unsigned"][0] == 2**32 - 10


# Saving


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"x": torch.zeros(7)}, "'x' is taken"),
        ({"nx": torch.zeros(7)}, "'nx' is taken"),
        ({"f_rest_99": torch.zeros(7)}, "taken"),
        ({"a": torch.zeros(7, 2), "a_1": torch.zeros(7)}, "'a_1' is taken"),
        ({"größe": torch.zeros(7)}, "ASCII"),
        ({"id": torch.full((7,), 2**31)}, "beyond 32 bits"),
        ({"none": torch.zeros(7, 0)}, "without numbers"),
        ({"odd": torch.zeros(7, dtype=torch.uint16)}, "no type for torch.uint16"),
    ],
)
def test_fields_that_ply_cannot_hold_are_refused(scene_file: Path, extra: dict, message: str) -> None:
    before = scene_file.read_bytes()
    scene = random_scene(extras=False)
    scene.extras = extra
    with pytest.raises(ValueError, match=message):
        save(scene_file, scene)
    assert scene_file.read_bytes() == before


def test_scene_in_training_and_in_double_precision_is_saved_as_float32(tmp_path: Path) -> None:
    scene = random_scene().to(dtype=torch.float64).requires_grad_()
    export_verified(tmp_path / "scene.ply", scene)
    assert_same(load(tmp_path / "scene.ply"), scene.detached().to(dtype=torch.float32))


def test_export_notices_a_file_that_reads_back_differently(
    scene_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = scene_file.read_bytes()
    other = random_scene(extras=False)
    other.opacities[3] += 1e-6
    monkeypatch.setattr(export, "load", lambda path, strict: other)
    with pytest.raises(ResourceError, match="differs in opacities"):
        export_verified(scene_file, random_scene(extras=False))
    assert scene_file.read_bytes() == before
    assert [p.name for p in scene_file.parent.iterdir()] == ["scene.ply"]


def test_export_refuses_splats_that_cannot_be_rendered(tmp_path: Path) -> None:
    scene = random_scene()
    scene.quats[2] = 0
    with pytest.raises(NumericalError, match="rotation of zero length, first number 2"):
        export_verified(tmp_path / "scene.ply", scene)
    assert list(tmp_path.iterdir()) == []


def test_the_longest_ending_decides(tmp_path: Path) -> None:
    assert format_of("A/B.PLY").ending == ".ply"
    assert format_of("A/B.Compressed.ply").ending == ".compressed.ply"
    with pytest.raises(UsageError, match=r"\.ksplat .* cannot be written"):
        save(tmp_path / "a.ksplat", random_scene())
    with pytest.raises(UsageError, match=r"Known are: .*\.ply"):
        load("scene.obj")


# Splats that cannot be rendered


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("means", math.nan, "position not finite"),
        ("quats", math.inf, "rotation not finite"),
        ("quats", 1e30, "rotation not finite"),
        ("quats", 0.0, "rotation of zero length"),
        ("scales", math.inf, "scale infinite"),
        ("scales", 60.0, "scale infinite, too large"),
        ("scales", math.nan, "not a number"),
        ("opacities", math.nan, "opacity not a number"),
        ("sh0", -math.inf, "colour not finite"),
        ("shN", math.nan, "colour not finite"),
    ],
)
def test_unusable_splats_are_counted_and_dropped(
    tmp_path: Path, field: str, value: float, reason: str
) -> None:
    scene = random_scene()
    scene.params[field][[2, 5]] = value
    save(tmp_path / "scene.ply", scene)
    with pytest.raises(DataError, match=f"2 of 7 splats .*2 with .*{reason}.*, first number 2"):
        load(tmp_path / "scene.ply", strict=True)
    with pytest.warns(DataWarning, match=reason):
        loaded = load(tmp_path / "scene.ply")
    assert_same(loaded, scene.subset(torch.tensor([0, 1, 3, 4, 6])))


def test_exact_opacities_and_flat_splats_are_repaired(tmp_path: Path) -> None:
    scene = random_scene()
    scene.opacities[0], scene.opacities[1], scene.scales[2, 1] = math.inf, -math.inf, -math.inf
    save(tmp_path / "scene.ply", scene)
    with pytest.warns(DataWarning, match="2 with opacity exactly 0 or 1.*1 with scale exactly 0"):
        loaded = load(tmp_path / "scene.ply")
    assert loaded.opacities[:2].double().sigmoid().tolist() == pytest.approx([1 - 1e-6, 1e-6])
    assert loaded.scales[2].tolist() == [scene.scales[2, 0], -20, scene.scales[2, 2]]
    scene.opacities[:2], scene.scales[2] = loaded.opacities[:2], loaded.scales[2]
    assert_same(loaded, scene)


def test_doubles_beyond_float32_are_unusable(scene_file: Path) -> None:
    data = as_doubles(scene_file)
    data["x"][3] = 1e300
    rewrite(scene_file, data)
    with pytest.warns(DataWarning, match="1 with position not finite, first number 3"):
        assert load(scene_file).num == 6


# Damage


def refused(path: Path, content: bytes | None = None) -> str:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as error:
        load(path)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "place", "problem"),
    [
        (b"vertex 7", b"vertex -7", "line 3", "'-7' is not a possible number"),
        (b"vertex 7", b"vertex 1" + b"0" * 15, "byte", "the file is cut off: 1,000,000,000,000,000 splats"),
        (b"vertex 7", b"vertex " + b"9" * 5000, "line 3", "not a possible number"),
        (b"vertex 7", b"vertex 7.0", "line 3", "not a possible number"),
        (b"vertex 7", b"vertex 8", "byte", "the file is cut off: 8 splats of 164 bytes"),
        (b"float opacity", b"float f_rest_0", "line 37", "'f_rest_0' is declared twice"),
        (b"float opacity", b"half opacity", "line 37", "not a legal property: 'half opacity'"),
        (b"float opacity", b"list uchar int opacity", "line 3", "opacity are missing"),
        (b"float nx", b"list uchar int nx", "line 3", "list property 'nx'"),
        (b"float opacity", b"float opacities", "line 3", "the properties opacity are missing"),
        (b"float f_rest_23", b"float f_rest_24", "line 3", "24 properties f_rest_*: expected"),
        (b"float f_rest_23", b"float sh_23", "line 3", "23 properties f_rest_*: expected"),
        (b"scale_2", b"thickness", "line 3", "a 2DGS scene"),
        (b"little", b"middle", "line 2", "not a legal header line"),
        (b"1.0", b"2.0", "line 2", "not a legal header line"),
        (b"format binary_little_endian 1.0\n", b"", "lines 1 to", "no format line"),
        (b"1.0\n", b"1.0\nformat ascii 1.0\n", "line 3", "a second format line"),
        (b"1.0\n", b"1.0\nproperty float x\n", "line 3", "a property before any element"),
        (b"1.0\n", b"1.0\nelement vertex 2\n", "line 4", "'vertex' is declared twice"),
        (b"1.0\n", b"1.0\n\n", "line 3", "not a legal header line"),
        (b"1.0\n", b"1.0\ncomment " + b"a" * 70_000 + b"\n", "line 3", "more than 65,536 bytes"),
        (b"1.0\n", b"1.0\n" + b"comment\n" * 200_000, "line", "does not end within 1,048,576 bytes"),
        (b"element vertex", b"element splat", "", "no element 'vertex' (its elements: 'splat')"),
        (b"ply\n", b"plx\n", "", "not a PLY file"),
    ],
)
def test_illegal_headers_are_refused_with_the_line(
    scene_file: Path, old: bytes, new: bytes, place: str, problem: str
) -> None:
    content = scene_file.read_bytes()
    assert old in content
    message = refused(scene_file, content.replace(old, new, 1))
    assert problem in message
    assert place in message


def test_short_body_names_expected_and_actual_size(scene_file: Path) -> None:
    content = scene_file.read_bytes()
    message = refused(scene_file, content[:-1])
    assert f"need {len(content):,} bytes, it has {len(content) - 1:,} (6 complete splats)" in message


def test_bytes_after_the_end_are_a_warning(scene_file: Path) -> None:
    scene_file.write_bytes(scene_file.read_bytes() + b"abc")
    with pytest.warns(DataWarning, match="3 bytes after the end"):
        assert_same(load(scene_file), random_scene(extras=False))


def test_damaged_text_is_refused_with_the_line(scene_file: Path) -> None:
    rewrite(scene_file, vertices(scene_file), text=True)
    lines = scene_file.read_bytes().split(b"\n")[:-1]
    third = lines.index(b"end_header") + 3
    start = lines[third].rsplit(b" ", 1)[0]

    def with_third_row(row: bytes) -> bytes:
        return b"\n".join([*lines[:third], row, *lines[third + 1 :]])

    assert f"(line {third + 1}): not a number: b'nine'" in refused(
        scene_file, with_third_row(start + b" nine")
    )
    assert f"(line {third + 1}): expected 41 numbers, found 40" in refused(scene_file, with_third_row(start))
    assert "cut off: expected 7 splats, found 6" in refused(scene_file, b"\n".join([*lines[:-1], b" " * 999]))
    huge = b"\n".join(lines).replace(b"vertex 7", b"vertex 1000000000000000")
    assert "too short for 1,000,000,000,000,000 splats" in refused(scene_file, huge)
    scene_file.write_bytes(b"\n".join([*lines, b"", b"more", b""]))
    with pytest.warns(DataWarning, match="1 lines after the end"):
        assert load(scene_file).num == 7


def test_other_kinds_of_ply_are_named(tmp_path: Path) -> None:
    path = tmp_path / "other.ply"
    points = np.zeros(
        3, [("x", "f4"), ("y", "f4"), ("z", "f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")]
    )
    rewrite(path, points)
    message = refused(path)
    assert "a plain point cloud with 3 vertices, not a trained 3DGS scene" in message
    assert "initial points" in message
    faces = plyfile.PlyElement.describe(np.array([([0, 1, 2],)], [("vertex_indices", "i4", (3,))]), "face")
    rewrite(path, points, after=[faces])
    assert "a mesh with 3 vertices" in refused(path)
    rewrite(path, np.zeros(1, [("packed_position", "u4"), ("packed_rotation", "u4")]))
    assert "element 'chunk' with the bounds is missing" in refused(path)
    splat = vertices_of(random_scene(extras=False), tmp_path)
    rewrite(path, splat, before=[faces])
    assert "element 'face' with lists stands before the vertices" in refused(path)


def vertices_of(scene: Gaussians, folder: Path) -> np.ndarray:
    save(folder / "template.ply", scene)
    return vertices(folder / "template.ply")


def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "absent.ply")
    (tmp_path / "folder.ply").mkdir()
    assert "not a regular file" in refused(tmp_path / "folder.ply")
    assert "an empty file" in refused(tmp_path / "empty.ply", b"")


@pytest.mark.parametrize(
    "lines",
    [
        "".join(f"element e{i} 0\n" for i in range(60_000)),
        "element e 0\n" + "".join(f"property list int int p{i}\n" for i in range(30_000)),
        "element vertex 0\n" + "".join(f"property float p{i}\n" for i in range(40_000)),
        "comment extra a float32 999999 999999 999999\n" * 20_000 + "element vertex 0\n",
    ],
    ids=["elements", "lists", "properties", "comments"],
)
def test_headers_of_the_largest_size_are_refused_at_once(tmp_path: Path, lines: str) -> None:
    """Nothing takes time that grows with the square of the header (these would take minutes)."""
    refused(tmp_path / "scene.ply", f"ply\nformat ascii 1.0\n{lines}end_header\n".encode())


def test_comments_about_extras_that_make_no_sense_are_ignored(scene_file: Path) -> None:
    """Neither too many dimensions nor many comments about many properties cost time or raise anything."""
    header, _ = scene_file.read_bytes().replace(b"vertex 7", b"vertex 0").split(b"end_header\n")
    comments = [
        "comment extra a float32" + " 1" * 100,
        "comment extra a float32 0",
        "comment extra a float99 1",
    ]
    comments += ["comment extra p float32 15001"] * 10_000
    properties = ["property float a_0", *(f"property float p_{i}" for i in range(15_000))]
    lines = "".join(f"{line}\n" for line in [*properties, *comments, "end_header"])
    scene_file.write_bytes(header + lines.encode())
    extras = load(scene_file, strict=True).extras
    assert len(extras) == 15_001
    assert extras["a_0"].shape == (0,)


def loads_or_explains(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        warnings.simplefilter("error", RuntimeWarning)
        with contextlib.suppress(DataError):
            load(path)


@pytest.fixture(scope="module", params=["binary", "text"])
def small_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The content of a file with two splats and an extra field."""
    path = tmp_path_factory.mktemp("small") / "scene.ply"
    scene = random_scene(2, degree=0, extras=False)
    scene.extras["feature"] = torch.ones(2, 2, 3)
    save(path, scene)
    if request.param == "text":
        rewrite(path, vertices(path), text=True, comments=["extra feature float32 2 3"])
    return path.read_bytes()


def test_every_truncation_is_a_data_error(tmp_path: Path, small_file: bytes) -> None:
    last_number = 2 if small_file.endswith(b"\n") else 1  # a text without its last line end is complete
    for length in range(len(small_file) - last_number + 1):
        assert len(refused(tmp_path / "scene.ply", small_file[:length])) < 1000


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_mutated_files_load_or_are_data_errors(
    tmp_path: Path, small_file: bytes, data: st.DataObject
) -> None:
    content = bytearray(small_file)
    header = content.index(b"end_header") + 12
    snippets = b"\n| |0|99|-1|nan|list uchar |double|char|end_header\n|vertex|f_rest_0".split(b"|")
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, header))
        end = data.draw(st.integers(start, min(start + 12, header)))
        content[start:end] = data.draw(st.one_of(st.binary(max_size=6), st.sampled_from(snippets)))
    loads_or_explains(tmp_path / "scene.ply", bytes(content))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_a_data_error(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    path = tmp_path_factory.mktemp("noise") / "scene.ply"
    path.write_bytes(b"ply\n" + noise)
    with pytest.raises(DataError):
        load(path)


def test_errors_carry_the_exit_codes_of_the_command_line(tmp_path: Path) -> None:
    codes = {}
    for name, action in {
        "data": lambda: load(tmp_path / "absent.ply"),
        "usage": lambda: load(tmp_path / "absent.xyz"),
        "resource": lambda: save(tmp_path / "absent" / "scene.ply", random_scene()),
    }.items():
        with pytest.raises(GsplatError) as error:
            action()
        codes[name] = error.value.exit_code
    assert codes == {"usage": 2, "data": 3, "resource": 4}


def test_every_parameter_is_covered() -> None:
    assert set(random_scene().params) == set(PARAMETERS)


def test_positions_that_are_no_places_do_not_decide_where_the_origin_is(scene_file: Path) -> None:
    data = as_doubles(scene_file)
    original = data["x"].copy()
    data["x"] += 2.0**23
    data["x"][1], data["y"][2] = 1e20, np.nan
    plyfile.PlyData([plyfile.PlyElement.describe(data, "vertex")]).write(str(scene_file))
    with pytest.warns(DataWarning, match="far from the origin"):
        loaded = load(scene_file)
    good = np.delete(np.arange(len(data)), [1, 2])
    x = loaded.means[:, 0].double().numpy() + loaded.metadata.offset[0]
    np.testing.assert_allclose(np.sort(x)[: len(good)] - 2.0**23, np.sort(original[good]), atol=1e-5)
