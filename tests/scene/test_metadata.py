import dataclasses

import pytest
import torch
from test_gaussians import random_gaussians, random_similarity

from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.metadata import Metadata

MARKED = Metadata(
    antialiased=True, eps2d=0.1, pixel_order=True, unscented=True, offset=(4_512_345.25, -7e5, 1 / 3)
)


def test_metadata_stays_with_the_scene_through_every_operation() -> None:
    scene = dataclasses.replace(random_gaussians(), metadata=MARKED)
    results = [
        scene.subset(slice(3)),
        scene.subset(torch.zeros(0, dtype=torch.int64)),
        Gaussians.merge([scene, scene]),
        scene.transformed(random_similarity(1)),
        scene.with_sh_degree(0),
        scene.to(dtype=torch.float32),
        scene.detached(),
        scene.requires_grad_(),
        Gaussians.from_state_dict(scene.state_dict()),
    ]
    assert all(result.metadata == MARKED for result in results)
    assert scene.rasterize_mode == "antialiased"
    assert scene.with_metadata(antialiased=False).rasterize_mode == "classic"
    assert "antialiased True" in repr(scene)


def test_a_usual_scene_has_no_entries_to_store() -> None:
    assert Metadata().known() == {}
    assert not any(name.startswith("metadata") for name in random_gaussians().state_dict())
    assert Metadata.from_known(MARKED.known()) == MARKED
    assert MARKED.without(["offset"]) == Metadata(
        antialiased=True, eps2d=0.1, pixel_order=True, unscented=True
    )


def test_scenes_that_are_drawn_differently_do_not_merge() -> None:
    scene = random_gaussians()
    with pytest.raises(ValueError, match=r"antialiased=True.*cannot be drawn as one; .*with_metadata"):
        Gaussians.merge([scene.with_metadata(antialiased=True), scene])
    with pytest.raises(ValueError, match="cannot be drawn as one"):
        Gaussians.merge([scene, scene.with_metadata(offset=(1, 0, 0))])


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"antialiased": 1}, "antialiased: expected true or false"),
        ({"offset": (1, 2)}, "offset: expected three finite numbers"),
        ({"offset": (1, 2, float("nan"))}, "offset: expected three finite numbers"),
        ({"offset": "none"}, "offset: expected three finite numbers"),
        ({"kernel": 3}, "'kernel' is unknown"),
    ],
)
def test_impossible_metadata_is_refused(facts: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Metadata.from_known(facts)
