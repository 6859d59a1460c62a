"""The codec of scenes that are decoded from latents: what is in the file, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from compress.scenes import scene

import gsplat_core.io
from gsplat_core.compress.container import Container
from gsplat_core.compress.registry import CODECS, decode, encode, usual_coder
from gsplat_core.errors import DataError, UnsuitableSceneError
from gsplat_core.io import gsz
from gsplat_core.models.eagles import DECODERS, NAME
from gsplat_core.scene.gaussians import Gaussians

CODEC = CODECS[NAME].create(1.0)


def latent_scene(count: int = 300, degree: int = 3) -> Gaussians:
    """Latents and decoders as no fit makes them."""
    made = scene(count, degree).with_primitive(NAME)
    generator = torch.Generator().manual_seed(2)
    for values in (*made.further.values(), *made.shared.values()):
        values += torch.randn(values.shape, generator=generator)
    return made


def file_of(gaussians: Gaussians) -> Container:
    return Container.from_bytes(encode(CODEC, gaussians).to_bytes(), Path("a.gsz"))


@pytest.mark.parametrize("degree", [0, 3])
def test_latents_and_decoders_come_back_to_the_bit(degree: int) -> None:
    made = latent_scene(degree=degree)
    container = encode(CODEC, made)
    read = decode(Container.from_bytes(container.to_bytes(), Path("a.gsz")))
    assert read.primitive == NAME
    for name, tensor in made.shared.items():
        assert torch.equal(read.shared[name], tensor)
    for decoder in DECODERS:
        whole = made.further[decoder.source].round()[container.order]
        assert torch.equal(read.further[decoder.source], whole)
        torch.testing.assert_close(read.fields[decoder.field], decoder.decoded(read.fields))
    torch.testing.assert_close(read.baked().shN, made.baked().shN[container.order])


def test_latents_that_are_all_alike_cost_next_to_nothing() -> None:
    made = latent_scene(2000)
    for latents in made.further.values():
        latents[:] = 3.2
    streams = encode(CODEC, made).streams
    assert sum(len(streams[decoder.source]) for decoder in DECODERS) < 25 * 8


def test_plain_gaussians_are_made_such_and_other_rows_refused(tmp_path: Path) -> None:
    plain = scene(50)
    gsz.save(tmp_path / "a.gsz", plain, CODEC)
    assert gsplat_core.io.load(tmp_path / "a.gsz").primitive == NAME
    with pytest.raises(UnsuitableSceneError, match="'eagles' needs latents"):
        CODEC.refresh(plain.params)
    with pytest.raises(UnsuitableSceneError, match="codec 'scalar' has no place for 'rest_latents'"):
        encode(CODECS["scalar"].create(1.0), plain.with_primitive(NAME))


def test_scenes_with_latents_have_this_codec_where_none_is_chosen(tmp_path: Path) -> None:
    assert [usual_coder(name).name for name in (NAME, "gaussian", "raygauss")] == [NAME, "scalar", "scalar"]
    gsplat_core.io.save(tmp_path / "a.gsz", latent_scene(40))
    assert Container.from_bytes((tmp_path / "a.gsz").read_bytes(), Path("a.gsz")).codec == NAME
    gsplat_core.io.save(tmp_path / "b.gsz", latent_scene(40).baked())
    assert Container.from_bytes((tmp_path / "b.gsz").read_bytes(), Path("b.gsz")).codec == "scalar"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"decoders": lambda stream: stream[4:]}, r"the decoders have \d+ bytes, expected \d+"),
        (
            {"decoders": lambda stream: torch.full_like(stream, 255)},
            "decoders have numbers that are not finite",
        ),
        ({"rest_latents": None}, "the stream 'rest_latents' is missing"),
        ({"dc": None}, "the stream 'dc' is missing"),
    ],
)
def test_files_that_are_not_whole_are_refused(changes: dict[str, Any], problem: str) -> None:
    container = file_of(latent_scene(60))
    for name, change in changes.items():
        stream = container.streams.pop(name)
        if change is not None:
            container.streams[name] = change(stream)
    with pytest.raises(DataError, match=problem):
        decode(container)


@pytest.mark.parametrize(
    ("entry", "value", "problem"),
    [
        ("steps", {"dc": 0.08}, "scales is None"),
        ("steps", {"dc": 1e9, "scales": 0.1}, "dc is 1000000000.0"),
        ("lattice", 3, "lattice is 3"),
        ("columns", 44, r"the decoders have \d+ bytes"),
        ("columns", -1, "columns is -1"),
    ],
)
def test_headers_that_lie_are_refused(entry: str, value: Any, problem: str) -> None:
    container = file_of(latent_scene(60))
    container.header[entry] = value
    with pytest.raises(DataError, match=problem):
        decode(container)
