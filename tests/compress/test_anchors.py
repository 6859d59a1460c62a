"""The codec of anchors: what is decoded is exactly what was rounded, at the cost that the model foresees."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from compress.anchor_scenes import anchors
from compress.scenes import scene
from compress.test_codecs import with_header

import gsplat_core.io
from gsplat_core.compress.anchors import (
    COLUMNS,
    STEPS,
    AnchorCodec,
    AnchorConfig,
    counted,
    decode,
    fitted,
    knots_of,
    numbers_of,
)
from gsplat_core.compress.container import Container
from gsplat_core.compress.context import Context, Kinds, Size
from gsplat_core.compress.hash_grid import HashGrid
from gsplat_core.compress.rate import gaussian_bits
from gsplat_core.compress.registry import check_name, usual_coder
from gsplat_core.errors import DataError, UnsuitableSceneError, UsageError
from gsplat_core.io import gsz
from gsplat_core.labels import LABEL, labelled
from gsplat_core.models.scaffold import DROPPED, SCHEMA, kept_of
from gsplat_core.scene.gaussians import Gaussians

SIZE = Size(HashGrid((4, 8, 16), 9, 2), 16)
QUICK = AnchorConfig(size=SIZE, fitting_steps=20)


def model(gaussians: Gaussians, config: AnchorConfig = QUICK) -> Context:
    kept = counted(kept_of(gaussians.extras[DROPPED]))
    return fitted(config, numbers_of(gaussians.params), kept, knots_of(gaussians))


def through_a_file(container: Container) -> Gaussians:
    return decode(Container.from_bytes(container.to_bytes(), Path("test.gsz")))


def test_the_rounded_numbers_come_back_exactly() -> None:
    gaussians = anchors()
    context = model(gaussians)
    container = AnchorCodec(context=context).encode(gaussians)
    decoded, ordered = through_a_file(container), gaussians.subset(container.order)
    exact, corners = context.exact(), context.corners(knots_of(ordered))
    said, kept = exact(corners), counted(kept_of(ordered.extras[DROPPED]))
    shown = exact.numbers(said, exact.wholes(said, numbers_of(ordered.params)))
    assert torch.equal(numbers_of(decoded.params), torch.where(kept, shown, 0))
    assert torch.equal(decoded.means, ordered.means)
    assert torch.equal(decoded.extras[DROPPED], ordered.extras[DROPPED])
    for known in SCHEMA.shared:
        tolerance = 2.0**-11 if known.trained else 0
        torch.testing.assert_close(
            decoded.shared[known.name], gaussians.shared[known.name], rtol=0, atol=tolerance
        )


def test_a_decoded_scene_is_coded_without_further_loss() -> None:
    gaussians = anchors(200)
    codec = AnchorCodec(context=model(gaussians))
    once = through_a_file(codec.encode(gaussians))
    twice = through_a_file(codec.encode(once))
    assert torch.equal(numbers_of(twice.params), numbers_of(once.params))
    assert all(torch.equal(twice.shared[name], once.shared[name]) for name in once.shared)


def test_files_are_as_long_as_the_model_foresees() -> None:
    gaussians = anchors(1500)
    context = model(gaussians)
    container = AnchorCodec(context=context).encode(gaussians)
    gaussians = gaussians.subset(container.order)
    corners, exact = context.corners(knots_of(gaussians)), context.exact()
    said = exact(corners)
    wholes = exact.wholes(said, numbers_of(gaussians.params)).double()
    one = torch.ones((), dtype=torch.float64)
    bits = gaussian_bits(wholes, 2.0 ** (said.deviations.double() / 8 - 3), one)
    foreseen = float((bits * counted(kept_of(gaussians.extras[DROPPED]))).sum()) / 8
    assert sum(len(container.streams[name]) for name in COLUMNS) < 1.02 * foreseen
    # And what training is told of it, whose numbers are not whole.
    trained = context(corners).bits(exact.numbers(said, wholes)) * counted(kept_of(gaussians.extras[DROPPED]))
    assert float(trained.sum()) / 8 == pytest.approx(foreseen, rel=0.02)


def test_fitting_makes_features_that_are_alike_where_anchors_are_near_cheap() -> None:
    gaussians = anchors(600)
    numbers, corners = numbers_of(gaussians.params), knots_of(gaussians)
    bits = []
    for steps in (0, 60):
        context = model(gaussians, dataclasses.replace(QUICK, fitting_steps=steps))
        said = context(context.corners(corners))
        assert torch.equal(said.steps[0], QUICK.kinds.of_columns(torch.tensor(list(STEPS.values()))))
        bits.append(float(said.bits(numbers)[:, : COLUMNS["features"]].sum()))
    assert bits[1] < 0.97 * bits[0]


def test_finer_steps_cost_more() -> None:
    gaussians = anchors(200)
    sizes = [
        len(
            AnchorCodec(dataclasses.replace(QUICK, fitting_steps=2).coarser(factor))
            .encode(gaussians)
            .to_bytes()
        )
        for factor in (0.25, 1.0, 4.0)
    ]
    assert sizes[0] > sizes[1] > sizes[2]


def test_dropped_splats_cost_no_offsets() -> None:
    gaussians = anchors()
    context = model(gaussians)
    none = gaussians.extras | {DROPPED: torch.full((gaussians.num,), 1023.0)}
    container = AnchorCodec(context=context).encode(dataclasses.replace(gaussians, extras=none))
    assert len(container.streams["offsets"]) < 60
    assert not bool(through_a_file(container).further["offsets"].any())


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_tiny_scenes(count: int) -> None:
    gaussians = anchors(8).subset(slice(count))
    assert through_a_file(AnchorCodec(QUICK).encode(gaussians)).num == count


def test_files_by_their_name_with_labels_and_metadata(tmp_path: Path) -> None:
    gaussians = anchors(30)
    gaussians = labelled(gaussians, torch.arange(gaussians.num)).with_metadata(antialiased=True)
    gsz.save(tmp_path / "a.gsz", gaussians, AnchorCodec(QUICK.coarser(0.25)))
    decoded = gsplat_core.io.load(tmp_path / "a.gsz")
    assert decoded.primitive == "scaffold"
    assert decoded.metadata.antialiased
    order = decoded.extras[LABEL].long()
    assert torch.equal(decoded.means, gaussians.means[order])
    # By a quarter of the usual steps.
    features = gaussians.further["features"][order]
    torch.testing.assert_close(decoded.further["features"], features, rtol=0, atol=0.126)


def test_what_it_is_not_for_is_refused() -> None:
    with pytest.raises(
        UnsuitableSceneError, match="codes scenes of the primitive 'scaffold', not 'gaussian'"
    ):
        AnchorCodec().encode(scene(10))
    far = anchors(20)
    with pytest.raises(UnsuitableSceneError, match="more than 2,097,152 voxels apart"):
        AnchorCodec(QUICK).encode(
            dataclasses.replace(far, shared={**far.shared, "voxel": far.shared["voxel"] / 1e6})
        )
    with pytest.raises(UsageError, match="train --model scaffold --compress anchors"):
        check_name("anchors")
    assert (usual_coder("scaffold").name, usual_coder("gaussian").name) == ("anchors", "scalar")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"hidden":16', '"hidden":100000', "hidden is 100000"),
        ('"levels":3', '"levels":4', "cells is .*expected 4 numbers"),
        ('"levels":3', '"levels":900', "levels is 900"),
        ('"cells":[4,', '"cells":[4000,', "cells is"),
        ('"cells":[4,', '"cells":[4.5,', "expected whole numbers"),
        ('"log2_rows":9', '"log2_rows":60', "log2_rows is 60"),
        ('"width":2', '"width":99', "width is 99"),
        ('"middle":[', '"middle":[1e300,', "middle is"),
        ('"low":[', '"low":[NaN,', "low is"),
        ('"steps":{', '"steps":{"other":1},"old":{', "features is None"),
        ('"frame":[', '"frame":[1,', "frame is"),
        ('["context.weights",', '["context.other",', "stream 'context.weights' is missing"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, old: str, new: str, problem: str) -> None:
    path = tmp_path / "a.gsz"
    config = dataclasses.replace(QUICK, fitting_steps=0)
    path.write_bytes(with_header(AnchorCodec(config).encode(anchors(10)).to_bytes(), old, new))
    with pytest.raises(DataError, match=problem):
        gsplat_core.io.load(path)


def test_kinds_say_how_many_columns_have_which_step() -> None:
    kinds = Kinds({"a": 2, "b": 1}, {"a": 1.0, "b": 0.5}).coarser(2)
    assert kinds.of_columns(torch.tensor(list(kinds.steps.values()))).tolist() == [2, 2, 1]
