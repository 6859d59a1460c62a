"""Compositions of scenes: what is done to each row is what the parts of a composition say, in their order."""

from __future__ import annotations

import pytest
import torch
from splat_files import typical_scene

from gsplat_core.apps.compose import Placed, Selection, compose
from gsplat_core.errors import DataError, UsageError
from gsplat_core.io.pieces import Pieces
from gsplat_core.label_rules import rule_of
from gsplat_core.labels import labelled
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.original_coordinates import original_positions
from gsplat_core.scene.regions import box_of, sphere_of
from gsplat_core.scene.similarity import Similarity

MOVE = Similarity(torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), torch.tensor([1.0, 2, 3]), 0.5)


def composed(*scenes: Gaussians, offset_labels: bool = False, moves=None, **selection) -> Gaussians:
    placed = [
        Placed(f"{number}.ply", Pieces.of(scene), move)
        for number, (scene, move) in enumerate(zip(scenes, moves or [None] * len(scenes), strict=True))
    ]
    return compose(placed, Selection(**selection), offset_labels).whole()


def assert_same(a: Gaussians, b: Gaussians) -> None:
    first, second = a.state_dict(), b.state_dict()
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def with_labels(num: int, labels: list[int], seed: int = 0, dtype: torch.dtype = torch.int32) -> Gaussians:
    scene = typical_scene(num, 1, seed)
    scene.extras["label"] = torch.tensor(labels, dtype=dtype).repeat(num)[:num]
    return scene


def test_a_scene_alone_stays_as_it_is() -> None:
    assert_same(composed(typical_scene()), typical_scene())


def test_scenes_are_moved_merged_and_then_cut() -> None:
    a, b = typical_scene(200, 3), typical_scene(100, 1, seed=1)
    expected = Gaussians.merge([a, b.transformed(MOVE)])
    box = box_of("-1,-1,-1,2,2,2")
    kept = box.contains(expected.means)
    assert 0 < kept.sum() < 300
    moves = [None, MOVE]
    assert_same(composed(a, b, moves=moves, regions=[box]), expected.subset(kept))
    assert_same(composed(a, b, moves=moves, regions=[box], outside=True), expected.subset(~kept))


def test_what_is_in_any_region_stays() -> None:
    scene, regions = typical_scene(), [box_of("0,0,0,2,2,2"), sphere_of("-1,0,0,1")]
    kept = regions[0].contains(scene.means) | regions[1].contains(scene.means)
    assert_same(composed(scene, regions=regions), scene.subset(kept))


def test_labels_choose_and_change() -> None:
    scene = with_labels(90, [0, 1, 2])
    rules = [rule_of("keep=1,2"), rule_of("2=7")]
    labels = scene.extras["label"]
    expected = labelled(scene, labels.masked_fill(labels == 2, 7)).subset(labels > 0)
    assert_same(composed(scene, rules=rules), expected)
    box = box_of("0,-9,-9,9,9,9")
    inside = box.contains(expected.means)
    assert_same(composed(scene, rules=rules, regions=[box]), expected.subset(inside))


def test_labels_of_several_scenes_are_kept_apart() -> None:
    scenes = [
        with_labels(6, [0, 1, 3, -1]),
        typical_scene(3, 1),
        with_labels(4, [2, 0], dtype=torch.uint8),
        with_labels(2, [1], dtype=torch.int64),
    ]
    merged = composed(*scenes, offset_labels=True)
    assert merged.extras["label"].dtype == torch.int32
    assert merged.extras["label"].tolist() == [0, 1, 3, -1, 0, 1, *[4] * 3, 6, 0, 6, 0, 7, 7]
    assert composed(*scenes).extras["label"].tolist()[6:] == [-1, -1, -1, 2, 0, 2, 0, 1, 1]


def test_other_fields_follow_and_are_filled_in() -> None:
    scene = typical_scene(20, 1)
    scene.extras["frozen"] = torch.arange(20) % 2 == 0
    merged = composed(scene, typical_scene(5, 1), regions=[box_of("0,-inf,-inf,inf,inf,inf")])
    east = scene.means[:, 0] >= 0
    assert merged.extras["frozen"].tolist()[: int(east.sum())] == scene.extras["frozen"][east].tolist()
    assert not merged.extras["frozen"][int(east.sum()) :].any()


def test_surveyed_scenes_are_put_where_they_were() -> None:
    a = typical_scene(30).with_metadata(offset=(1000.0, 0.0, 0.0))
    b = typical_scene(20, seed=1).with_metadata(offset=(1004.0, -2.0, 0.0))
    model = typical_scene(10, seed=2)
    merged = composed(a, model, b)
    assert merged.metadata.offset == (1000.0, 0.0, 0.0)
    places = torch.from_numpy(original_positions(merged))
    for rows, scene in ((slice(0, 30), a), (slice(40, 60), b)):
        expected = torch.from_numpy(original_positions(scene))
        torch.testing.assert_close(places[rows], expected, rtol=0, atol=1e-6)
    assert torch.equal(merged.means[30:40], model.means)


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({"antialiased": True}, r"drawn with antialiased True.*--read antialiased=true"),
        ({"pixel_order": True}, "pixel_order"),
        ({"unscented": True}, "unscented"),
        ({"eps2d": 0.1}, "eps2d 0.1.*with 0.3"),
    ],
)
def test_scenes_that_are_drawn_differently_are_refused(facts, problem) -> None:
    with pytest.raises(UsageError, match=problem):
        composed(typical_scene(3), typical_scene(3).with_metadata(**facts))


def test_scenes_of_different_primitives_are_refused_and_plain_ones_join_any() -> None:
    scenes = [typical_scene(3).with_primitive(name) for name in ("ges", "ray")]
    with pytest.raises(UsageError, match=r"cannot be merged: scenes of the primitives 'ges' and 'ray'"):
        composed(*scenes)
    assert composed(typical_scene(3), scenes[0]).primitive == "ges"


def test_a_field_of_another_type_is_refused() -> None:
    scenes = [typical_scene(3), typical_scene(3)]
    for scene, dtype in zip(scenes, (torch.float32, torch.int32), strict=True):
        scene.extras["feature"] = torch.zeros(3, dtype=dtype)
    with pytest.raises(UsageError, match=r"extras\['feature'\] is torch.float32"):
        composed(*scenes)
    scenes[1].extras = {"label": torch.zeros(3)}
    with pytest.raises(DataError, match=r"1.ply: its field 'label' has torch.float32"):
        composed(*scenes)


@pytest.mark.parametrize(
    ("selection", "problem"),
    [
        ({"regions": [box_of("50,50,50,60,60,60")]}, "no Gaussian is in any of the regions"),
        ({"regions": [box_of("-90,-90,-90,90,90,90")], "outside": True}, "outside of the regions"),
        ({"rules": [rule_of("keep=5")]}, "No Gaussian has the label 5; there are: 0, 1"),
        ({"rules": [rule_of("drop=0,1")]}, "no Gaussian in the regions has these labels"),
    ],
)
def test_nothing_left_is_an_error(selection, problem) -> None:
    with pytest.raises(UsageError, match=problem):
        composed(with_labels(20, [0, 1]), **selection)


def test_rules_need_labels_and_outside_needs_a_region() -> None:
    with pytest.raises(UsageError, match="There are no labels"):
        composed(typical_scene(3), rules=[rule_of("keep=1")])
    with pytest.raises(UsageError, match="needs a --box or a --sphere"):
        Selection(outside=True)
    with pytest.raises(UsageError, match="no Gaussians in these scenes"):
        composed(typical_scene(0))
