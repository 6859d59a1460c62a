"""The file that says where scenes are put: all ways to write one similarity, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from gsplat_core.errors import DataError
from gsplat_core.scene.similarity import Similarity
from gsplat_core.scene.transform_file import read_transforms

HALF = math.sqrt(0.5)
TURN = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]


def written(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    "entry",
    [
        {"scale": 2, "rotation": [HALF, 0, 0, HALF], "translation": [1, 2, 3]},
        {"scale": 2.0, "rotation": TURN, "translation": [1, 2, 3]},
        {"matrix": [[0, -2, 0, 1], [2, 0, 0, 2], [0, 0, 2, 3], [0, 0, 0, 1]]},
    ],
)
def test_one_similarity_in_three_ways(tmp_path: Path, entry: dict[str, object]) -> None:
    expected = Similarity(torch.tensor(TURN), torch.tensor([1.0, 2, 3]), 2.0)
    for content in (entry, [entry]):
        (found,) = read_transforms(written(tmp_path / "t.json", content), 1)
        torch.testing.assert_close(found.matrix(), expected.matrix())


def test_entries_are_in_the_order_of_the_scenes_and_may_be_empty(tmp_path: Path) -> None:
    first, second = read_transforms(written(tmp_path / "t.json", [{}, {"scale": 3}]), 2)
    assert torch.equal(first.matrix(), torch.eye(4, dtype=torch.float64))
    assert second.scale == 3


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]}, "singular"),
        ({"matrix": [[1, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}, "shear"),
        ({"matrix": [[1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}, "several scales"),
        ({"matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]]}, "reflection"),
        ({"matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]}, "last row"),
        ({"matrix": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}, "matrix: expected 4 x 4 numbers"),
        ({"matrix": TURN, "scale": 2}, "a matrix stands alone, without scale"),
        ({"rotation": [[1, 0, 0], [0, 1, 0], [0, 0, -1]]}, "reflection"),
        ({"rotation": [[2, 0, 0], [0, 2, 0], [0, 0, 2]]}, "orthonormal"),
        ({"rotation": [2, 0, 0, 0]}, "length 2, not 1"),
        ({"rotation": [1, 0, 0]}, "rotation: expected 3 x 3 numbers"),
        ({"scale": 0}, "positive"),
        ({"scale": -1}, "positive"),
        ({"scale": True}, "scale: expected a number"),
        ({"scale": [1, 1, 2]}, "scale: expected a number"),
        ({"translation": [1, 2]}, "translation: expected 3 numbers"),
        ({"translation": [1, 2, 1e999]}, "translation: expected 3 numbers, all finite"),
        ({"translate": [1, 2, 3]}, "unknown 'translate'"),
        ([1, 2, 3], "expected an object"),
        (None, "expected an object"),
    ],
)
def test_what_a_scene_cannot_follow_is_refused_by_name(tmp_path: Path, entry: object, problem: str) -> None:
    path = written(tmp_path / "t.json", [{}, entry])
    with pytest.raises(DataError, match=problem) as refused:
        read_transforms(path, 2)
    assert refused.value.path == str(path)
    assert refused.value.place == "entry 2"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "not JSON"),
        ("[{}", "not JSON"),
        ("3", "expected a list"),
        ([{}], "1 transforms for 2 scenes"),
        ({}, "1 transforms for 2 scenes"),
        ([{}, {}, {}], "3 transforms for 2 scenes"),
    ],
)
def test_files_that_are_something_else(tmp_path: Path, content: object, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        read_transforms(written(tmp_path / "t.json", content), 2)
