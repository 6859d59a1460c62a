"""Plain Gaussians in place of others for each camera: what one sees is what it saw; the average is near."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from models.test_directional import around
from models.test_scaffold import camera, scene_of
from splat_files import typical_scene

from gsplat_core.baking import FAINTEST, averaged, seen_from
from gsplat_core.errors import UsageError
from gsplat_core.models.scaffold import SPLATS
from gsplat_core.primitive import evaluate
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.scene import render
from gsplat_core.scene.gaussians import Gaussians

CPU = torch.device("cpu")


def test_what_a_camera_sees_of_anchors_is_what_is_written() -> None:
    scene = scene_of()
    scene.extras["label"] = torch.arange(scene.num)
    plain = seen_from(scene, Cameras.of(camera(), CPU).viewmats[0])
    assert (plain.primitive, plain.sh_degree) == ("gaussian", 0)
    torch.testing.assert_close(
        render(plain, camera()).colors, render(scene, camera()).colors, atol=1e-5, rtol=1e-4
    )
    seen = evaluate(scene, {"viewmats": Cameras.of(camera(), CPU).viewmats})
    drawn = (seen.opacities >= FAINTEST).nonzero().squeeze(1)
    assert 0 < plain.num == len(drawn) < scene.num * SPLATS
    assert torch.equal(plain.extras["label"], drawn // SPLATS)


def same_from_everywhere() -> Gaussians:
    """Anchors whose networks do not look at directions."""
    scene = scene_of()
    for network in ("opacities", "colors", "covariances"):
        scene.shared[f"{network}_hidden_weights"][:, -3:] = 0
    return scene


@pytest.mark.parametrize("degree", [0, 2])
def test_the_average_of_equals_is_the_same(degree: int) -> None:
    scene, cameras = same_from_everywhere(), [Cameras.of(shot, CPU) for shot in around(5)]
    baked = averaged(scene, cameras, [degree])[degree]
    assert baked.sh_degree == degree
    one = seen_from(scene, cameras[0].viewmats[0])
    assert baked.num == one.num
    torch.testing.assert_close(baked.means, one.means)
    torch.testing.assert_close(baked.opacities, one.opacities, atol=1e-3, rtol=1e-3)
    for shot in around(3):
        difference = (render(baked, shot).colors - render(scene, shot).colors).abs()
        assert float(difference.mean()) < 1e-3


def test_harmonics_say_what_changes_with_the_direction() -> None:
    scene, shots = scene_of(), around(12)
    scene.shared["colors_hidden_weights"][:, -3:] *= 20
    cameras = [Cameras.of(shot, CPU) for shot in shots]
    several = averaged(scene, cameras, (0, 2))
    errors = {
        degree: sum(
            float((render(baked, shot).colors - render(scene, shot).colors).square().mean()) for shot in shots
        )
        for degree, baked in several.items()
    }
    assert errors[2] < 0.8 * errors[0]


def test_pieces_are_averaged_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, cameras = scene_of(), [Cameras.of(shot, CPU) for shot in around(3)]
    whole = averaged(scene, cameras)[0]
    monkeypatch.setattr("gsplat_core.baking._SPLATS", 7 * SPLATS)
    pieces = averaged(scene, cameras)[0]
    torch.testing.assert_close(pieces.means, whole.means)
    torch.testing.assert_close(pieces.sh0, whole.sh0, atol=1e-4, rtol=1e-4)


def test_where_no_image_shows_anything_there_are_numbers_still() -> None:
    scene, narrow = scene_of(), dataclasses.replace(Cameras.of(around(1)[0], CPU), width=1, height=1)
    baked = averaged(scene, [narrow])[0]
    assert all(bool(tensor.isfinite().all()) for tensor in baked.params.values())


def test_what_is_the_same_from_everywhere_is_refused() -> None:
    for bake in (lambda scene: seen_from(scene, torch.eye(4)), lambda scene: averaged(scene, [])):
        with pytest.raises(UsageError, match="'gaussian' are the same from everywhere"):
            bake(typical_scene(3))
