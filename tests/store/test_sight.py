"""Whatever a camera's image shows is in the cells that it may see, and these are few."""

from __future__ import annotations

import pytest
import torch
from scattered import anywhere, scattered

from gsplat_core.errors import UsageError
from gsplat_core.io.pieces import Pieces
from gsplat_core.render.scene import render
from gsplat_core.store.active import ActiveSet
from gsplat_core.store.filling import store_of
from gsplat_core.store.store import SceneStore

SHARE = {"pinhole": 0.2, "ortho": 0.2, "fisheye": 0.5, "opencv": 0.3, "equirectangular": 1.0}
CASES = [("gaussian", model) for model in SHARE]
CASES += [(name, "pinhole") for name in ("2dgs", "analytic", "ges", "mip", "ray")]


@pytest.mark.parametrize(("primitive", "model"), CASES)
def test_the_image_of_what_is_in_memory_is_that_of_the_whole_scene_to_the_bit(primitive, model, tmp_path):
    with store_of(tmp_path, Pieces.of(scattered(primitive=primitive)), cell=0.3) as store:
        whole = store.read(store.cells)[0].scene
        active, shares = ActiveSet(store), []
        for seed in range(5):
            camera = anywhere(seed, model)
            image = active.render(camera).colors
            shares.append(active.num / whole.num)
            assert torch.equal(image, render(whole, camera).colors)
            assert image.any()
    assert sum(shares) / len(shares) <= SHARE[model]


def test_splats_of_the_unscented_transform_are_all_there(tmp_path):
    scene = scattered().with_metadata(unscented=True)
    with store_of(tmp_path, Pieces.of(scene), cell=0.3) as store:
        whole = store.read(store.cells)[0].scene
        for camera in (anywhere(0), anywhere(1, "fisheye")):
            assert torch.equal(ActiveSet(store).render(camera).colors, render(whole, camera).colors)


@pytest.mark.parametrize("primitive", ["6dgs", "raygauss"])
def test_what_is_elsewhere_for_each_camera_is_refused_by_name(primitive, tmp_path):
    with pytest.raises(UsageError, match="keep it in memory"):
        SceneStore.create(tmp_path, scattered(8).with_primitive(primitive), 1.0)
    assert not list(tmp_path.iterdir())
