"""Every codec: what is decoded is what was rendered in training, near the scene, and damage is refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import example_primitive  # noqa: F401
import pytest
import torch
from compress.scenes import covariances, scene

import gsplat_core.io
from gsplat_core.compress.codec import Codec
from gsplat_core.compress.container import FREE_GAUSSIANS, Container
from gsplat_core.compress.registry import CODECS, decode, encode
from gsplat_core.errors import DataError, UnsuitableSceneError
from gsplat_core.expansion import ExpansionError
from gsplat_core.io import gsz
from gsplat_core.labels import LABEL, labelled
from gsplat_core.scene.gaussians import Gaussians

codecs = pytest.mark.parametrize("name", CODECS)


def coded(codec: Codec, gaussians: Gaussians) -> Gaussians:
    data = codec.encode(gaussians).to_bytes()
    return decode(Container.from_bytes(data, Path("test.gsz")))


def scene_for(name: str, count: int, degree: int = 3) -> Gaussians:
    """A scene of the rows that a codec codes."""
    return scene(count, degree).with_primitive(CODECS[name].primitive)


def matched(decoded: Gaussians, gaussians: Gaussians) -> Gaussians:
    """The decoded scene in the order of the other: nearest positions."""
    nearest = torch.cdist(gaussians.means.double(), decoded.means.double()).argmin(dim=1)
    return decoded.subset(nearest)


@codecs
@pytest.mark.parametrize("degree", [0, 1, 3])
def test_fine_steps_decode_to_nearly_the_scene(name: str, degree: int) -> None:
    gaussians = scene_for(name, 400, degree)
    decoded = coded(CODECS[name].create(0.01), gaussians)
    assert (decoded.num, decoded.sh_degree) == (400, degree)
    decoded = matched(decoded, gaussians)
    torch.testing.assert_close(decoded.means, gaussians.means, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(decoded.opacities, gaussians.opacities.clamp(-8, 8), rtol=0, atol=0.01)
    if name != "vq":  # its codebooks are limited by the number of Gaussians
        torch.testing.assert_close(decoded.sh0, gaussians.sh0, rtol=0, atol=0.01)
        torch.testing.assert_close(decoded.shN, gaussians.shN, rtol=0, atol=0.01)
        torch.testing.assert_close(covariances(decoded), covariances(gaussians), rtol=0.02, atol=1e-4)


@codecs
def test_training_shows_what_will_be_decoded(name: str) -> None:
    gaussians = scene_for(name, 600)
    codec = CODECS[name].create(0.5)
    codec.refresh(gaussians.params)
    shown = gaussians.with_fields(codec.quantized(gaussians.params)).baked()
    decoded = matched(coded(codec, gaussians), gaussians).baked()
    torch.testing.assert_close(decoded.means, shown.means, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(decoded.opacities, shown.opacities, rtol=1e-5, atol=1e-5)
    if name != "vq":  # which moves its codes to the means and rounds them
        torch.testing.assert_close(decoded.sh0, shown.sh0, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(decoded.shN, shown.shN, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(covariances(decoded), covariances(shown), rtol=1e-3, atol=1e-6)


@codecs
def test_labels_stay_with_their_gaussians(name: str, tmp_path: Path) -> None:
    gaussians = scene(300, 0)
    gaussians = labelled(
        gaussians, torch.randint(-1, 2**20, (300,), generator=torch.Generator().manual_seed(1))
    )
    gsz.save(tmp_path / "a.gsz", gaussians, CODECS[name].create(0.01))
    decoded = matched(gsplat_core.io.load(tmp_path / "a.gsz"), gaussians)
    assert decoded.extras[LABEL].dtype == torch.int32
    assert torch.equal(decoded.extras[LABEL], gaussians.extras[LABEL])
    gsz.save(tmp_path / "b.gsz", gaussians.without_extras(), CODECS[name].create(0.01))
    assert gsplat_core.io.load(tmp_path / "b.gsz").extras == {}


@pytest.mark.parametrize("wrong", [torch.zeros(40), torch.zeros(40, 2).int(), torch.full((40,), 2**28)])
def test_what_is_called_label_and_is_none_is_refused(wrong: torch.Tensor, tmp_path: Path) -> None:
    gaussians = scene(40, 0)
    gaussians.extras[LABEL] = wrong
    with pytest.raises(UnsuitableSceneError, match="'label' is not of whole numbers below"):
        gsplat_core.io.save(tmp_path / "a.gsz", gaussians)
    assert not any(tmp_path.iterdir())


def settled(codec: Codec, gaussians: Gaussians) -> Gaussians:
    """What is shown once codes and the Gaussians that take them agree."""
    codec.refresh(gaussians.params)
    for _ in range(20):
        shown = codec.quantized(gaussians.params)
    return Gaussians(**shown)


def test_a_code_is_left_as_soon_as_another_is_nearer() -> None:
    gaussians, codec = scene(600), CODECS["vq"].create(1.0)
    shown = settled(codec, gaussians)
    exchanged = {"sh0": gaussians.sh0.flip(0), "shN": gaussians.shN.flip(0)}
    now_shown = codec.quantized({**gaussians.params, **exchanged})
    torch.testing.assert_close(now_shown["sh0"], shown.sh0.flip(0))
    torch.testing.assert_close(now_shown["shN"], shown.shN.flip(0))


def test_the_codebooks_that_were_trained_are_stored() -> None:
    gaussians, codec = scene(600), CODECS["vq"].create(1.0)
    shown = settled(codec, gaussians)
    decoded = matched(coded(codec, gaussians), gaussians)
    # Their numbers are rounded to 0.02 and 0.01, in another basis.
    torch.testing.assert_close(decoded.sh0, shown.sh0, rtol=0, atol=0.02)
    torch.testing.assert_close(decoded.shN, shown.shN, rtol=0, atol=0.01)


@codecs
def test_gradients_pass_straight_through(name: str) -> None:
    params = {key: value.requires_grad_() for key, value in scene_for(name, 300).params.items()}
    codec = CODECS[name].create(1.0)
    codec.refresh(params)
    weights = {key: torch.rand_like(value) for key, value in params.items()}
    sum((weights[key] * value).sum() for key, value in codec.quantized(params).items()).backward()
    for key, value in params.items():
        torch.testing.assert_close(value.grad, weights[key])


@codecs
def test_the_penalty_falls_when_it_is_followed(name: str) -> None:
    params = {key: value.requires_grad_() for key, value in scene_for(name, 300).params.items()}
    codec = CODECS[name].create(1.0)
    codec.refresh(params)
    before = codec.penalty(params)
    before.backward()
    with torch.no_grad():
        for value in params.values():
            if value.grad is not None:
                value -= 1e-3 * value.grad / value.grad.abs().max().clamp(min=1e-30)
    assert codec.penalty(params).item() < before.item()


@codecs
def test_coarser_is_smaller(name: str) -> None:
    gaussians = scene_for(name, 800)
    sizes = [len(CODECS[name].create(factor).encode(gaussians).to_bytes()) for factor in (0.5, 1, 2)]
    assert sizes[0] > sizes[1] > sizes[2]


@codecs
def test_a_saved_state_goes_on_alike(name: str) -> None:
    gaussians = scene_for(name, 300)
    codec, again = CODECS[name].create(1.0), CODECS[name].create(1.0)
    codec.refresh(gaussians.params)
    again.load_state_dict({key: value.clone() for key, value in codec.state_dict().items()})
    moved = {key: value + 0.01 for key, value in gaussians.params.items()}
    one, other = codec.quantized(moved), again.quantized(moved)
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert torch.equal(codec.penalty(moved), again.penalty(moved))


@codecs
@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_tiny_scenes(name: str, count: int) -> None:
    gaussians = scene_for(name, count)
    assert coded(CODECS[name].create(0.1), gaussians).num == count


def file(tmp_path: Path, name: str) -> Path:
    path = tmp_path / "scene.gsz"
    gsz.save(path, scene(200), CODECS[name].create(1.0))
    return path


@codecs
def test_every_truncation_and_change_is_refused(name: str, tmp_path: Path) -> None:
    path = file(tmp_path, name)
    data = path.read_bytes()
    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        cut = int(torch.randint(len(data), (1,), generator=generator))
        path.write_bytes(data[:cut])
        with pytest.raises(DataError, match=r"scene\.gsz"):
            gsplat_core.io.load(path)
        changed = bytearray(data)
        changed[cut] ^= 1 << int(torch.randint(8, (1,), generator=generator))
        path.write_bytes(changed)
        with pytest.raises(DataError, match=r"scene\.gsz"):
            gsplat_core.io.load(path)


def with_header(data: bytes, old: str, new: str) -> bytes:
    """The file with part of its header replaced and a checksum that fits."""
    (length,) = struct.unpack_from("<I", data, 4)
    header = data[8 : 8 + length].decode()
    assert old in header
    header = header.replace(old, new)
    body = data[:4] + struct.pack("<I", len(header)) + header.encode() + data[8 + length : -4]
    return body + struct.pack("<I", zlib.crc32(body))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"count":200', '"count":2000000000', "bytes claim to hold 2,000,000,000 Gaussians"),
        ('"count":200', '"count":3000000000', "count is 3000000000"),
        ('"count":200', '"count":-1', "count is -1"),
        ('"count":200', '"count":true', "count is True"),
        ('"sh_degree":3', '"sh_degree":9', "sh_degree is 9"),
        ('"codec":"scalar"', '"codec":"magic"', "which this program does not know"),
        ('"codec":"scalar"', '"codec":7', "codec is 7"),
        ('"size":', '"size":NaN,"x":', "size is nan"),
        ('"steps":', '"other":', "steps is None"),
        ('"latents":', '"latents":9', "latents is 9"),
        ('"lattice":{', '"lattice":3,"other":{', "lattice is 3"),
        ('"streams":[["positions",', '"streams":[["elsewhere",', "stream 'positions' is missing"),
        ('"streams":[["positions",', '"streams":[["positions",-', "do not add up"),
        ('"streams":[["positions",', '"streams":[["positions",9', "do not add up"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, old: str, new: str, problem: str) -> None:
    path = file(tmp_path, "scalar")
    path.write_bytes(with_header(path.read_bytes(), old, new))
    with pytest.raises(DataError, match=problem):
        gsplat_core.io.load(path)


def test_scenes_that_cost_next_to_nothing_stay_within_the_bound() -> None:
    count = FREE_GAUSSIANS + 1000
    many = scene(1).subset(torch.zeros(count, dtype=torch.long))
    data = CODECS["scalar"].create(1.0).encode(many).to_bytes()
    assert 4000 <= len(data) <= 6000
    assert decode(Container.from_bytes(data, Path("test.gsz"))).num == count


def test_a_file_with_more_than_a_gaussian_for_four_bytes_is_read_on_demand_only(tmp_path: Path) -> None:
    path = file(tmp_path, "scalar")
    more = FREE_GAUSSIANS + len(path.read_bytes())
    path.write_bytes(with_header(path.read_bytes(), '"count":200', f'"count":{more}'))
    with pytest.raises(ExpansionError, match=rf"claim to hold {more:,} Gaussians.* trusted=true"):
        gsplat_core.io.load(path)
    assert gsplat_core.io.load(path, trusted=True).num == more


def test_foreign_and_newer_files(tmp_path: Path) -> None:
    path = file(tmp_path, "scalar")
    data = path.read_bytes()
    for content, problem in [
        (b"\7" + data, "not a .gsz file"),
        (b"ply\n" + data, "this is a PLY file"),
        (data[:3] + b"\3" + data[4:], "version 3"),
        (data[:3] + b"\1" + data[4:], "version 1"),
    ]:
        path.write_bytes(content)
        with pytest.raises(DataError, match=problem):
            gsplat_core.io.load(path)


@codecs
def test_scenes_of_other_primitives_are_refused_by_name(name: str) -> None:
    plain, codec = scene(50), CODECS[name].create(1.0)
    fireflies = plain.with_primitive("firefly")
    refusal = f"codec '{name}' has no place for 'velocities', 'glow', 'birth' of .*'firefly'"
    with pytest.raises(UnsuitableSceneError, match=refusal):
        encode(codec, fireflies)
    for action in (lambda: codec.encode(fireflies), lambda: codec.refresh(fireflies.params)):
        with pytest.raises(UnsuitableSceneError, match="no place for 'velocities', 'glow'"):
            action()
    assert encode(codec, fireflies.with_primitive("gaussian")).count == 50
