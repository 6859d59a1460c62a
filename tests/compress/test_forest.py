"""Coded trees: they come back as trees, near to what they were; what a file cannot hold is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from models.test_forest import grown

import gsplat_core.io
from gsplat_core.compress.container import Container
from gsplat_core.compress.forest import ForestCodec
from gsplat_core.compress.registry import decode, encode
from gsplat_core.errors import DataError, UnsuitableSceneError, UsageError
from gsplat_core.labels import LABEL, labelled
from gsplat_core.models.forest import NODE_FEATURES, NODE_PARENTS, PARENT, ROOT_FEATURES
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.similarity import Similarity

FIELDS = ("means", "quats", "scales", "opacities", "sh0", "shN")


def trees(num: int = 300, degree: int = 2) -> Gaussians:
    return grown(num, degree, dtype=torch.float32)


def coded(scene: Gaussians, coarseness: float = 0.01) -> Gaussians:
    data = encode(ForestCodec(coarseness), scene).to_bytes()
    return decode(Container.from_bytes(data, Path("test.gsz")))


def matched(read: Gaussians, scene: Gaussians) -> Gaussians:
    return read.subset(torch.cdist(scene.means, read.means).argmin(dim=1))


@pytest.mark.parametrize("degree", [0, 3])
def test_fine_steps_decode_to_nearly_the_scene(degree: int) -> None:
    scene = trees(degree=degree)
    read = matched(coded(scene), scene)
    assert (read.primitive, read.num) == ("forest", 300)
    for name in (NODE_FEATURES, ROOT_FEATURES, NODE_PARENTS):
        assert read.shared[name].shape == scene.shared[name].shape
    # The same trees, whatever the numbers of their nodes.
    for whose in (
        lambda s: s.extras[PARENT].long(),
        lambda s: s.shared[NODE_PARENTS][s.extras[PARENT].long()],
    ):
        together = [whose(s)[:, None] == whose(s) for s in (scene, read)]
        assert torch.equal(*together)
    ours, theirs = read.baked(), scene.baked()
    assert ours.sh_degree == degree
    for name in FIELDS:
        torch.testing.assert_close(ours.params[name], theirs.params[name], rtol=0, atol=4e-3)


def test_sizes_and_colours_are_as_exact_as_their_own_steps() -> None:
    scene = trees()
    ours, theirs = matched(coded(scene, 1.0), scene).baked(), scene.baked()
    assert float((ours.scales - theirs.scales).abs().max()) <= 0.101
    assert float((ours.sh0 - theirs.sh0).abs().max()) <= 0.041


def test_nodes_without_leaves_are_not_coded() -> None:
    scene = trees()
    some = scene.subset(scene.extras[PARENT] < 20)
    read = coded(some)
    assert len(read.shared[NODE_FEATURES]) == 20 < len(scene.shared[NODE_FEATURES])
    torch.testing.assert_close(matched(read, some).baked().sh0, some.baked().sh0, rtol=0, atol=1e-3)


def test_a_turned_scene_stays_turned() -> None:
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    scene = trees().transformed(Similarity(turn, torch.ones(3), 2.0))
    read = matched(coded(scene), scene)
    torch.testing.assert_close(read.baked().quats, scene.baked().quats, rtol=0, atol=4e-3)


@pytest.mark.parametrize("num", [0, 1, 2, 9])
def test_tiny_scenes(num: int) -> None:
    assert coded(trees(40).subset(slice(num))).num == num


def test_coarser_is_smaller() -> None:
    scene = trees()
    sizes = [len(ForestCodec(factor).encode(scene).to_bytes()) for factor in (0.25, 0.5, 1, 2)]
    assert sizes == sorted(sizes, reverse=True)


def test_files_hold_trees_with_labels_and_metadata(tmp_path: Path) -> None:
    scene = labelled(trees().with_metadata(antialiased=True), torch.arange(300))
    gsplat_core.io.save(tmp_path / "a.gsz", scene, coarseness=0.01)
    read = gsplat_core.io.load(tmp_path / "a.gsz", strict=True)
    assert (read.primitive, read.metadata) == ("forest", scene.metadata)
    order = read.extras[LABEL].long().argsort()
    torch.testing.assert_close(read.subset(order).means, scene.means, rtol=0, atol=1e-3)
    with pytest.raises(UsageError, match=r"coarseness must be from 0\.01 to 16"):
        gsplat_core.io.save(tmp_path / "a.gsz", scene, coarseness=0.0)


def test_what_it_has_no_place_for_is_refused() -> None:
    scene, turned = trees(), trees()
    turned.quats[3, 1] = 0.5
    outside = trees()
    outside.extras[PARENT][5] = -1
    harmonics = dataclasses.replace(scene, shN=torch.ones(300, 3, 3))
    for unsuitable in (turned, outside, harmonics):
        with pytest.raises(UnsuitableSceneError, match=r"no place.*Gaussians\.baked"):
            coded(unsuitable)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"nodes": 0}, "nodes is 0"),
        ({"nodes": 301}, "nodes is 301"),
        ({"roots": 10_000}, "roots is 10000"),
        ({"turn": [1, 0, 0]}, "turn is"),
        ({"steps": {"position": 1}}, "opacity is None"),
        ({"lattice": 3}, "lattice is 3"),
    ],
)
def test_a_header_that_lies_is_refused(changed: dict[str, object], problem: str) -> None:
    container = ForestCodec().encode(trees())
    data = Container(container.header | changed, container.streams).to_bytes()
    with pytest.raises(DataError, match=problem):
        decode(Container.from_bytes(data, Path("test.gsz")))


def test_a_missing_stream_is_named() -> None:
    container = ForestCodec().encode(trees())
    for name in container.streams:
        streams = {key: stream for key, stream in container.streams.items() if key != name}
        data = Container(container.header, streams).to_bytes()
        with pytest.raises(DataError, match=f"the stream '{name}' is missing"):
            decode(Container.from_bytes(data, Path("test.gsz")))
