"""Scenes of every primitive in every format: they come back whole, or are refused by name."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import example_primitive  # noqa: F401
import pytest
import torch
from splat_files import typical_scene

from gsplat_core import primitive
from gsplat_core.compress import symmetry
from gsplat_core.compress.container import Container
from gsplat_core.compress.registry import CODECS, encode
from gsplat_core.errors import DataError, NumericalError, UnsuitableSceneError
from gsplat_core.io import FORMATS, export_pieces, export_verified, gsz, load, load_pieces, save
from gsplat_core.io.pieces import Pieces
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.scene import render
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.schema import FROZEN

primitives = pytest.mark.parametrize("name", primitive.names())
# Files hold the plain Gaussians that look like them.
BAKED = [name for name in primitive.names() if primitive.get(name).baked and not primitive.get(name).kept]
ANY_AXES = [name for name in primitive.names() if primitive.get(name).any_axes]
any_axes = pytest.mark.parametrize("name", ANY_AXES)
LIKE_PLAIN = [name for name in primitive.names() if primitive.get(name).baked]
others = pytest.mark.parametrize("name", [n for n in primitive.names() if n not in ("gaussian", *LIKE_PLAIN)])
like_plain = pytest.mark.parametrize("name", LIKE_PLAIN)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def scene_of(name: str, num: int = 30, degree: int = 1) -> Gaussians:
    scene = typical_scene(num, degree).with_primitive(name)
    generator = torch.Generator().manual_seed(2)
    trained = [*scene.further.values(), *(t for t in scene.shared.values() if t.is_floating_point())]
    for values in (*trained, *(scene.extras[f.name] for f in scene.schema.carried)):
        values.copy_(torch.randn(values.shape, generator=generator))
    return scene


def assert_same(a: Gaussians, b: Gaussians) -> None:
    assert (a.primitive, a.metadata) == (b.primitive, b.metadata)
    ours, theirs = a.state_dict(), b.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@primitives
def test_pieces_of_every_primitive_are_written_as_the_whole(tmp_path: Path, name: str) -> None:
    scene = scene_of(name).with_metadata(antialiased=True)
    scene.extras["label"] = torch.arange(30)
    save(tmp_path / "a.ply", scene)
    assert export_pieces(tmp_path / "b.ply", Pieces.of(scene)) == 30
    assert (tmp_path / "b.ply").read_bytes() == (tmp_path / "a.ply").read_bytes()
    assert_same(load_pieces(tmp_path / "a.ply").whole(), load(tmp_path / "a.ply"))
    halves = [Pieces.of(scene.subset(rows)) for rows in (slice(13), slice(13, None))]
    assert export_pieces(tmp_path / "c.ply", Pieces.merge(halves)) == 30
    assert_same(load(tmp_path / "c.ply"), load(tmp_path / "a.ply"))


@primitives
@pytest.mark.parametrize("num", [0, 1, 30])
def test_ply_keeps_every_field(tmp_path: Path, name: str, num: int) -> None:
    scene = scene_of(name, num).with_metadata(antialiased=True)
    scene.extras["label"] = torch.arange(num)
    scene.extras[FROZEN] = torch.arange(num) % 3 == 0
    path = tmp_path / "a.ply"
    save(path, scene)
    expected = scene if primitive.get(name).kept else scene.baked()
    assert (expected is scene) == (name not in BAKED)
    assert_same(load(path, strict=True), expected)
    assert_same(export_verified(path, scene), expected)
    save(path, scene, extras=False)
    assert_same(load(path), expected.without_extras())


@like_plain
@pytest.mark.parametrize("ending", [f.ending for f in FORMATS if f.save])
def test_what_plain_gaussians_look_like_is_written_as_these(tmp_path: Path, name: str, ending: str) -> None:
    holds = next(f for f in FORMATS if f.ending == ending)
    if primitive.get(name).kept and (holds.lossless or name in holds.primitives):
        return
    scene = scene_of(name)
    plain = scene.baked()
    assert plain.primitive == "gaussian"
    assert not {field.name for field in (*scene.schema.further, *scene.schema.carried)} & set(plain.extras)
    found = {}
    for key, written in {"itself": scene, "plain": plain}.items():
        file = tmp_path / key / (ending if ending == "meta.json" else f"a{ending}")
        file.parent.mkdir()
        found[key] = export_verified(file, written)
    assert_same(found["itself"], found["plain"])
    drawn, expected = (primitive.evaluate(rows) for rows in (scene, plain))
    torch.testing.assert_close(drawn.opacities, expected.opacities, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(drawn.scales, expected.scales, rtol=1e-5, atol=1e-9)


def test_the_fields_are_properties_that_other_programs_see(tmp_path: Path) -> None:
    save(tmp_path / "a.ply", scene_of("firefly"))
    header = (tmp_path / "a.ply").read_bytes().split(b"end_header")[0].decode().splitlines()
    assert "comment splat_primitive firefly" in header
    assert {"property float velocities_0", "property float velocities_2", "property float glow"} < {*header}
    save(tmp_path / "b.ply", scene_of("gaussian"))
    assert b"primitive" not in (tmp_path / "b.ply").read_bytes()


def edited(tmp_path: Path, old: bytes, new: bytes) -> Path:
    path = tmp_path / "a.ply"
    save(path, scene_of("firefly"))
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    return path


def test_a_primitive_that_is_not_known_is_refused(tmp_path: Path) -> None:
    path = edited(tmp_path, b"splat_primitive firefly", b"splat_primitive mayfly")
    with pytest.raises(DataError, match=r"\(header\): .* of the primitive 'mayfly'.*Import the module"):
        load(path)


def test_a_field_that_is_missing_is_named(tmp_path: Path) -> None:
    path = edited(tmp_path, b"float velocities_1", b"float velocities_x")
    with pytest.raises(DataError, match=r"line \d+\): .*'firefly' has 'velocities'.*'velocities_1'"):
        load(path)
    path = edited(tmp_path, b"float birth", b"float death")
    with pytest.raises(DataError, match=r"the primitive 'firefly' reads 'birth', which is not there"):
        load(path)


def test_what_rows_share_is_an_element_of_its_own(tmp_path: Path) -> None:
    scene = scene_of("firefly")
    scene.shared["seasons"] = torch.tensor([3, -1, 2**31 - 1])
    save(tmp_path / "b.ply", scene)
    assert_same(load(tmp_path / "b.ply"), scene)
    header, body = (tmp_path / "b.ply").read_bytes().split(b"end_header\n")
    assert b"element shared_wind 3\nproperty float value\n" in header
    assert body.endswith(scene.shared["wind"].numpy().tobytes() + bytes([3, 0, 0, 0]) + b"\xff" * 7 + b"\x7f")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"element shared_wind", b"element shared_rain", "splats share 'wind', but there is no element"),
        (b"comment shared wind 3", b"comment shared wind 4", "no comment tells the sizes of 'wind'"),
        (b"element shared_wind 3", b"element shared_wind 9999", "of 'wind', which has 9,999 numbers"),
        (b"comment shared wind 3\n", b"", "no comment tells the sizes of 'wind', which has 3 numbers"),
    ],
)
def test_what_is_wrong_with_what_rows_share_is_named(tmp_path: Path, old: bytes, new: bytes, message: str):
    with pytest.raises(DataError, match=message):
        load(edited(tmp_path, old, new))


def test_a_file_that_ends_in_what_rows_share_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    save(path, scene_of("firefly"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="the file is cut off: 3 numbers"):
        load(path)


def test_shared_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    scene = scene_of("firefly")
    scene.shared["wind"][1] = float("nan")
    save(tmp_path / "a.ply", scene)
    with pytest.raises(DataError, match="'wind', which all splats share, has numbers that are not finite"):
        load(tmp_path / "a.ply")
    with pytest.raises(NumericalError, match="'wind', which all splats share"):
        export_verified(tmp_path / "b.ply", scene)


def test_without_its_comment_the_fields_are_extras(tmp_path: Path) -> None:
    read = load(edited(tmp_path, b"comment splat_primitive firefly\n", b""))
    assert read.primitive == "gaussian"
    assert {"glow", "velocities_0"} < set(read.extras)


def test_a_column_that_is_called_frozen_and_is_no_mask_is_left_out(tmp_path: Path) -> None:
    scene = scene_of("gaussian")
    scene.extras[FROZEN] = torch.ones(30, dtype=torch.bool)
    save(tmp_path / "a.ply", scene)
    content = (tmp_path / "a.ply").read_bytes()
    (tmp_path / "a.ply").write_bytes(content.replace(b"comment extra frozen bool\n", b""))
    with pytest.warns(UserWarning, match="property 'frozen' is ignored: its name is"):
        assert FROZEN not in load(tmp_path / "a.ply").extras
    (tmp_path / "a.ply").write_bytes(content.replace(b"extra frozen bool", b"extra frozen uint8"))
    with pytest.raises(DataError, match=r"'frozen'.*expected bool"):
        load(tmp_path / "a.ply")


def test_rows_whose_fields_are_not_finite_cannot_be_rendered(tmp_path: Path) -> None:
    scene = scene_of("firefly")
    scene.further["glow"][4] = float("nan")
    save(tmp_path / "a.ply", scene)
    with pytest.warns(UserWarning, match="1 with glow not finite, first number 4"):
        assert load(tmp_path / "a.ply").num == 29
    with pytest.raises(NumericalError, match="glow not finite"):
        export_verified(tmp_path / "a.ply", scene)


def seen(scene: Gaussians) -> torch.Tensor:
    """From a side and not far away, so that harmonics and lobes matter."""
    viewmats = torch.eye(4)[None]
    viewmats[0, 2, 3] = 6.0
    K = torch.tensor([[[60.0, 0, 32], [0, 60, 24], [0, 0, 1]]])
    image: torch.Tensor = render(scene, Cameras(viewmats, K, 64, 48)).colors
    return image


@any_axes
def test_what_is_as_one_calls_its_axes_is_seen_as_before(name: str) -> None:
    scene = scene_of(name)
    which = torch.arange(30) % 24
    quats, scales = symmetry.rename(scene.quats, scene.scales, which)
    renamed = dataclasses.replace(scene, quats=quats, scales=scales)
    assert not torch.equal(renamed.scales, scene.scales)
    torch.testing.assert_close(seen(renamed), seen(scene), rtol=0, atol=2e-4)


@any_axes
@pytest.mark.parametrize("codec", [name for name, e in CODECS.items() if e.primitive == "gaussian"])
def test_compressed_scenes_keep_every_field(tmp_path: Path, name: str, codec: str) -> None:
    scene = scene_of(name).with_metadata(ray_step=0.03)
    scene.opacities[3] = 20.0  # beyond what tells plain Gaussians apart
    scene.extras["label"] = torch.arange(30)
    path = tmp_path / "a.gsz"
    gsz.save(path, scene, CODECS[codec].create(1e-3))
    read = load(path, strict=True)
    assert (read.primitive, read.metadata) == (name, scene.metadata)
    read = read.subset(read.extras["label"].long().argsort(stable=True))
    assert read.fields.keys() == scene.fields.keys()
    for field in ("opacities", *scene.further):
        values = scene.fields[field]
        step = float(values.max() - values.min()) / 2**14
        torch.testing.assert_close(read.fields[field], values, rtol=0, atol=0.51 * step)
    assert export_verified(tmp_path / "b.gsz", scene.subset(torch.arange(0))).primitive == name


def test_what_a_compressed_scene_lacks_of_its_primitive_is_named(tmp_path: Path) -> None:
    scene = scene_of("raygauss")
    container = encode(CODECS["scalar"].create(1.0), scene)
    header, streams = container.header, container.streams
    further = header["further"]

    def loaded(header: dict[str, Any], streams: dict[str, torch.Tensor]) -> Gaussians:
        (tmp_path / "a.gsz").write_bytes(Container(header, streams).to_bytes())
        return load(tmp_path / "a.gsz")

    assert loaded(header, streams).primitive == "raygauss"
    for changed, problem in [
        ({"primitive": "mayfly"}, "of the primitive 'mayfly'.*Import the module"),
        ({"primitive": "2dgs"}, "no codec knows the primitive '2dgs'"),
        ({"primitive": "generalized"}, "beta is None, expected 2 numbers"),
        ({"further": 3}, "further is 3, expected an object"),
        ({"further": further | {"lobe_axes": [0, "a"]}}, "lobe_axes is .* expected 2 numbers"),
        ({"further": further | {"lobe_axes": [0, 1e300]}}, "lobe_axes is .* expected 2 numbers"),
    ]:
        with pytest.raises(DataError, match=problem):
            loaded(header | changed, streams)
    del streams["further.lobe_colors"]
    with pytest.raises(DataError, match=r"the stream 'further\.lobe_colors' is missing"):
        loaded(header, streams)


@others
@pytest.mark.parametrize("ending", [f.ending for f in FORMATS if f.save and not f.lossless])
def test_other_formats_refuse_them_by_name(tmp_path: Path, name: str, ending: str) -> None:
    held = next(known.primitives for known in FORMATS if known.ending == ending)
    if name in held or (ending == ".gsz" and primitive.get(name).any_axes):
        return
    file = tmp_path / (ending if ending == "meta.json" else f"a{ending}")
    scene = scene_of(name)
    refusal = rf"{file.name}: .* has no place for .*the primitive '{name}'.*Write a .ply"
    for write in (save, export_verified):
        with pytest.raises(UnsuitableSceneError, match=refusal) as refused:
            write(file, scene)
        assert all(repr(field) in str(refused.value) for field in scene.further)
    assert not any(tmp_path.iterdir())
    export_verified(file, scene.with_primitive("gaussian"))


def test_a_field_whose_property_is_taken_is_refused(tmp_path: Path) -> None:
    schema = primitive.get("gaussian").schema.plus(primitive.schemas.Field("opacity"))

    @primitive.register("twice", schema)
    def twice(params, context):
        return primitive.gaussian(params, context)

    try:
        with pytest.raises(
            UnsuitableSceneError,
            match="'opacity' of the primitive 'twice': the PLY property 'opacity' is taken",
        ):
            save(tmp_path / "a.ply", scene_of("twice"))
    finally:
        del primitive._registry["twice"]
