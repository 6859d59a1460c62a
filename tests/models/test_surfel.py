"""Scenes of surfels: flat Gaussians that pixels see at depths of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from models.test_generalized import plain_scene
from models.test_ray import camera

from gsplat_core import primitive, rasterization_2dgs
from gsplat_core.errors import UsageError
from gsplat_core.io import load, save
from gsplat_core.quaternions import rotation_matrices
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import measure, render
from trainers.presets import preset
from trainers.primitives import refuse_cameras, refuse_primitive


def test_a_scene_is_drawn_as_by_the_function_of_surfels() -> None:
    scene, view = plain_scene(30).with_primitive("2dgs"), camera()
    drawn = render(scene, view, outputs=Outputs(depth="expected", further=("normals", "median_depth")))
    seen, plain = Cameras.of(view, torch.device("cpu")), primitive.evaluate(scene)
    colors, alphas, normals, _, _, median, _ = rasterization_2dgs(
        plain.means,
        plain.quats,
        plain.scales,
        plain.opacities,
        plain.colors,
        seen.viewmats,
        seen.Ks,
        seen.width,
        seen.height,
        sh_degree=scene.sh_degree,
        near_plane=seen.near,
        render_mode="RGB+ED",
    )
    torch.testing.assert_close(drawn.channels, colors)
    torch.testing.assert_close(drawn.alphas, alphas)
    torch.testing.assert_close(drawn.meta["normals"], normals)
    torch.testing.assert_close(drawn.meta["median_depth"], median[..., 0])


def test_the_third_scale_does_not_matter() -> None:
    scene = plain_scene(30).with_primitive("2dgs")
    scales = scene.scales.clone()
    scales[:, 2] = -20
    thin = replace(scene, scales=scales)
    assert torch.equal(render(thin, camera()).colors, render(scene, camera()).colors)


def test_depths_can_be_had_without_colours_and_distances_of_them() -> None:
    scene = plain_scene(30).with_primitive("2dgs")
    depths, distances = (
        render(scene, camera(), outputs=Outputs(colors=False, depth=kind)).depths
        for kind in ("expected", "expected_distance")
    )
    seen = depths > 0
    assert seen.any()
    assert (distances[seen] >= depths[seen] * (1 - 1e-6)).all()


def test_what_a_scene_shows_of_its_surfels_is_found_without_drawing_it() -> None:
    scene = plain_scene(30).with_primitive("2dgs")
    sums, splats = measure(scene, camera())
    assert int((sums[0, :, 0] > 0).sum()) > 10
    assert torch.equal(splats.radii[0], render(scene, camera()).meta["radii"])


def test_ply_keeps_that_it_is_drawn_so(tmp_path: Path) -> None:
    scene = plain_scene().with_primitive("2dgs")
    save(tmp_path / "a.ply", scene)
    assert load(tmp_path / "a.ply").primitive == "2dgs"


def test_a_training_starts_with_discs_that_face_all_directions() -> None:
    scene = plain_scene(2000).with_primitive("2dgs")
    begin = primitive.get("2dgs").started
    normals = rotation_matrices(begin(scene, 1).quats)[:, :, 2]
    assert normals.mean(0).norm() < 0.1
    assert (normals.T @ normals / 2000 - torch.eye(3) / 3).abs().max() < 0.05
    assert torch.equal(begin(scene, 1).quats, begin(scene, 1).quats)
    assert not torch.equal(begin(scene, 1).quats, begin(scene, 2).quats)


def test_photographs_through_other_lenses_are_refused_by_name() -> None:
    cameras = {"a.jpg": camera(), "b.jpg": replace(camera(), model="ortho")}
    views = [SimpleNamespace(name=name, camera=seen) for name, seen in cameras.items()]
    dataset = SimpleNamespace(train=views[:1], test=views[1:])
    with pytest.raises(UsageError, match=r"b.jpg was taken with a lens of the model 'ortho'"):
        refuse_cameras("2dgs", dataset)
    refuse_cameras("gaussian", dataset)
    refuse_cameras("2dgs", SimpleNamespace(train=views[:1], test=[]))


def test_what_makes_no_sense_is_refused() -> None:
    scene = plain_scene().with_primitive("2dgs")
    with pytest.raises(ValueError, match=r"'antialiased' with the response 'surfel'.*no filter"):
        render(scene.with_metadata(antialiased=True), camera())
    with pytest.raises(NotImplementedError, match="no surfels with the order 'pixel'"):
        render(scene.with_metadata(pixel_order=True), camera())
    with pytest.raises(NotImplementedError, match="no surfels with the camera model 'ortho'"):
        render(scene, replace(camera(), model="ortho"))
    with pytest.raises(
        UsageError, match="--optimizer lm knows plain Gaussians only, not the primitive '2dgs'"
    ):
        refuse_primitive("2dgs", replace(preset("tiny"), optimizer="lm"))
    with pytest.raises(UsageError, match="'2dgs' has a filter of its own"):
        refuse_primitive("2dgs", replace(preset("tiny"), antialiased=True))
    for unknown in ({"order": "pixel"}, {"footprint": "unscented"}):
        with pytest.raises(UsageError, match="'2dgs' knows neither"):
            refuse_primitive("2dgs", replace(preset("tiny"), **unknown))
