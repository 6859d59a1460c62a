"""Anchors: where they start, what moves them, and that what no camera sees need not be decoded."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from splat_files import typical_scene
from torch import Tensor

from gsplat_core import primitive
from gsplat_core.contributions import contributions
from gsplat_core.io import load, save
from gsplat_core.labels import label_weights
from gsplat_core.models.scaffold import SPLATS, Lattice, started, visible
from gsplat_core.quaternions import rotation_matrix
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.scene import render
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.similarity import Similarity


def camera(distance: float = 4.0, side: int = 48) -> Camera:
    viewmat = np.eye(4)
    viewmat[:3, :3] = rotation_matrix([0.9, 0.2, -0.3, 0.1])
    viewmat[:3, 3] = (0.3, -0.2, distance)
    K = np.array([[side, 0, side / 2], [0, side, side / 2], [0, 0, 1]])
    return Camera(viewmat, K, side, side)


def scene_of(num: int = 60, seed: int = 0) -> Gaussians:
    """Anchors whose features and offsets say something."""
    random = torch.Generator().manual_seed(seed)
    scene = started(typical_scene(num, 0).with_primitive("scaffold"), seed)
    further = {
        "features": torch.randn(scene.num, 32, generator=random),
        "offsets": torch.randn(scene.num, SPLATS, 3, generator=random),
    }
    return dataclasses.replace(scene, further={**scene.further, **further})


def test_a_voxel_has_one_anchor_at_a_knot_of_the_lattice() -> None:
    plain = typical_scene(200, 1)
    scene = started(plain.with_primitive("scaffold"), 0)
    gaps = torch.cdist(plain.means.double(), plain.means.double()).fill_diagonal_(math.inf).amin(dim=1)
    assert float(scene.shared["voxel"]) == pytest.approx(float(gaps.median()), rel=1e-4)
    knots = Lattice.of(scene.shared).knots(scene.means)
    assert len(knots.unique(dim=0)) == scene.num < plain.num
    torch.testing.assert_close(Lattice.of(scene.shared).places(knots).float(), scene.means)
    nearest = torch.cdist(plain.means, scene.means).amin(dim=1)
    assert float(nearest.max()) <= float(scene.shared["voxel"]) * math.sqrt(3) / 2 * 1.001


def test_points_at_one_place_are_one_anchor() -> None:
    plain = typical_scene(5, 0)
    together = dataclasses.replace(plain, means=plain.means[:1].expand(5, 3).clone())
    for rows in (together, plain.subset(slice(1))):
        scene = started(rows.with_primitive("scaffold"), 0)
        assert scene.num == 1
        assert float(scene.shared["voxel"]) > 0


def test_seeds_are_other_networks_and_features_start_without_a_say() -> None:
    plain = typical_scene(20, 0).with_primitive("scaffold")
    first, again, other = (started(plain, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["shared.colors_weights"], other["shared.colors_weights"])
    assert not first["features"].any()
    seen = primitive.evaluate(started(plain, 0), {"viewmats": torch.eye(4)[None]})
    assert bool((seen.opacities > 1 / 255).any())


def turned() -> Similarity:
    rotation = torch.from_numpy(rotation_matrix([0.6, -0.5, 0.3, 0.4]))
    return Similarity(rotation, torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64), 1.7)


def moved(camera: Camera, similarity: Similarity) -> Camera:
    """The camera that sees of the moved scene what this one sees."""
    rotation, scale = similarity.rotation.numpy(), similarity.scale
    viewmat = camera.viewmat.copy()
    viewmat[:3, :3] = camera.viewmat[:3, :3] @ rotation.T
    shift = similarity.apply(torch.zeros(1, 3, dtype=torch.float64))[0].numpy()
    viewmat[:3, 3] = scale * camera.viewmat[:3, 3] - viewmat[:3, :3] @ shift
    return dataclasses.replace(camera, viewmat=viewmat)


def test_the_moved_scene_looks_the_same_and_keeps_numbers_of_voxels() -> None:
    scene = scene_of()
    there = scene.transformed(turned())
    assert torch.equal(
        Lattice.of(there.shared).knots(there.means), Lattice.of(scene.shared).knots(scene.means)
    )
    images = [render(scene, camera()).colors, render(there, moved(camera(), turned())).colors]
    assert float(images[0].max()) > 0.2
    torch.testing.assert_close(images[1], images[0], rtol=0, atol=2e-3)


def test_what_lies_outside_the_image_need_not_be_decoded() -> None:
    scene = scene_of(400)
    cameras = Cameras.of(camera(0.5), torch.device("cpu"))
    seen = visible(scene.fields, cameras)
    assert seen is not None
    assert 20 < int(seen.sum()) < scene.num - 20
    everything = primitive.evaluate(scene, {"viewmats": cameras.viewmats})
    torch.testing.assert_close(render(scene, cameras).colors, render(everything, cameras).colors)
    assert visible(scene.fields, dataclasses.replace(cameras, model="fisheye")) is None


def test_anchors_are_measured_by_all_of_their_splats() -> None:
    scene, where = scene_of(), camera()
    drawn = primitive.evaluate(scene, {"viewmats": Cameras.of(where, torch.device("cpu")).viewmats})
    ours, each = contributions(scene, [where]), contributions(drawn, [where])
    torch.testing.assert_close(ours.weights, each.weights.view(-1, SPLATS).sum(dim=1))
    torch.testing.assert_close(ours.largest_weight, each.largest_weight.view(-1, SPLATS).amax(dim=1))
    labels = (torch.arange(48 * 48) % 3).view(48, 48)
    weights = label_weights(scene, [(where, labels)], 3)
    assert weights.shape == (3, scene.num)
    torch.testing.assert_close(weights.sum(dim=0), ours.weights, rtol=1e-4, atol=1e-4)


def test_the_file_has_the_networks_and_nothing_that_is_not_read(tmp_path: Path) -> None:
    scene = scene_of()
    save(tmp_path / "a.ply", scene)
    header = (tmp_path / "a.ply").read_bytes().split(b"end_header")[0].decode()
    assert header.count("property float ") == 3 + 32 + 30 + 3 + 3 + 1 + header.count("element shared_")
    read = load(tmp_path / "a.ply", strict=True)
    for name, tensor in scene.state_dict().items():
        assert torch.equal(read.state_dict()[name], tensor), name


def test_plain_gaussians_are_no_anchors() -> None:
    with pytest.raises(ValueError, match=r"a plain Gaussian is none of the primitive 'scaffold'.*--bake"):
        Gaussians.merge([scene_of(), typical_scene(3, 0)])
    assert Gaussians.merge([scene_of(), scene_of()]).num == 2 * scene_of().num


def test_everything_that_is_trained_gets_gradients() -> None:
    scene = scene_of()
    fields: dict[str, Tensor] = {**scene.params, **scene.shared}
    trained = {known.name for known in (*scene.schema.trained, *scene.schema.shared) if known.trained}
    for name in trained:
        fields[name].requires_grad_()
    render(scene, camera()).colors.square().sum().backward()
    for name in trained:
        gradient = fields[name].grad
        assert gradient is not None, name
        assert bool(gradient.isfinite().all()), name
        assert bool(gradient.any()), name
