"""Splits that a capture brings along: nerfstudio's lists of names, and NeRF's synthetic scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from transforms_files import document, synthetic, write

from gsplat_core.errors import DataError
from gsplat_core.scene.dataset import Dataset


@pytest.mark.parametrize(
    ("lists", "train", "test", "message"),
    [
        ({"train": [0, 1, 2, 3], "test": [4, 5]}, [0, 1, 2, 3], [4, 5], None),
        ({"train": [0, 1, 2], "val": [3], "test": [4, 5]}, [0, 1, 2], [4, 5], "1 frames are in no list"),
        ({"train": [0, 1, 2, 3], "val": [4, 5], "test": []}, [0, 1, 2, 3], [4, 5], None),
        ({"train": [0, 1]}, [0, 1], [2, 3, 4, 5], None),
        ({"test": [2]}, [0, 1, 3, 4, 5], [2], None),
        ({"train": [0, 1, 2], "test": [2, 9]}, [0, 1], [2], "1 images are in the lists of training and of"),
        ({"train": [0, 1, 2], "test": [2, 9]}, [0, 1], [2], "1 names in its lists of splits are no frames"),
    ],
)
def test_lists_of_names_are_the_split(
    tmp_path: Path, lists: dict, train: list[int], test: list[int], message: str | None
) -> None:
    names = {f"{split}_filenames": [f"./images/{i}" for i in ids] for split, ids in lists.items()}
    data = Dataset.load(write(tmp_path, document(6, **names)).parent, prefetch=False)
    assert [view.name for view in data.train] == [f"images/{i}.png" for i in train]
    assert [view.name for view in data.test] == [f"images/{i}.png" for i in test]
    assert any(f"its own split is used, {len(train)} images to train on" in text for text in data.warnings)
    assert message is None or any(message in text for text in data.warnings)
    everything = Dataset.load(tmp_path, test_every=0, prefetch=False)
    assert (len(everything.train), everything.test) == (len(train) + len(test), [])


def test_a_split_that_leaves_nothing_to_train_on(tmp_path: Path) -> None:
    names = [f"images/{i}.png" for i in range(3)]
    with pytest.raises(DataError, match="leaves no image to train on"):
        Dataset.load(write(tmp_path, document(test_filenames=names)).parent, prefetch=False)
    with pytest.raises(DataError, match=r"\(test_filenames\): must be a list"):
        Dataset.load(write(tmp_path, document(test_filenames="images/0.png")).parent, prefetch=False)


def test_synthetic_scenes_by_their_folder(tmp_path: Path) -> None:
    data = Dataset.load(synthetic(tmp_path, train=4, val=2, test=3), prefetch=False)
    assert [view.name for view in data.train] == [f"train/r_{i}.png" for i in range(4)]
    assert [view.name for view in data.test] == [f"test/r_{i}.png" for i in range(3)]
    np.testing.assert_allclose(data.train[0].camera.K, [[20, 0, 10], [0, 20, 10], [0, 0, 1]])
    assert any("training starts from random ones" in text for text in data.warnings)
    assert any("its own split is used, 4 images to train on and 3 to test" in text for text in data.warnings)


def test_synthetic_scenes_without_a_test_are_tested_on_validation(tmp_path: Path) -> None:
    data = Dataset.load(synthetic(tmp_path / "a", train=4, val=2), prefetch=False)
    assert [view.name for view in data.test] == ["val/r_0.png", "val/r_1.png"]
    data = Dataset.load(synthetic(tmp_path / "b", train=4), test_every=2, prefetch=False)
    assert [view.name for view in data.test] == ["train/r_0.png", "train/r_2.png"]


def test_one_file_of_a_synthetic_scene_is_a_capture_too(tmp_path: Path) -> None:
    folder = synthetic(tmp_path, train=4, test=3)
    data = Dataset.load(folder / "transforms_test.json", test_every=0, prefetch=False)
    assert [view.name for view in data.train] == [f"test/r_{i}.png" for i in range(3)]
