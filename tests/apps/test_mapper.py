"""A walk along a room's walls: frames find their poses, and what is in memory is a part of the map."""

from __future__ import annotations

import pytest
import torch
from map_room import map_room, room, walk

from gsplat_core.apps import mapper as mapping
from gsplat_core.apps.mapper import Config, Mapper, PosePrior, linearize
from gsplat_core.mapping.seeding import discs, fitted_normals, one_of_each
from gsplat_core.quaternions import rotation_matrices
from gsplat_core.scene.cameras import Camera
from gsplat_core.store.store import SceneStore

K = [[35.0, 0, 25], [0, 35.0, 20], [0, 0, 1]]


def seen(scene, pose):
    """The image [40, 50, 3] and depths of a camera of the walk."""
    from gsplat_core.render.drawing import Outputs
    from gsplat_core.render.scene import render

    camera = Camera(pose.numpy(), torch.tensor(K).numpy(), 50, 40)
    with torch.no_grad():
        rendered = render(scene, camera, outputs=Outputs(depth="expected"))
    return camera, (rendered.colors[0].clamp(0, 1) * 255).round().to(torch.uint8), rendered.depths[0]


@pytest.fixture(scope="module")
def walked():
    return map_room(6000, 3, 64, 48, Config(0.05, steps=10), turn=0.05)


def test_frames_find_their_poses_and_the_map_shows_what_they_saw(walked):
    # A pixel is 3 cm of the wall.
    assert walked.trajectory_error < 0.04
    assert walked.degrees < 1.2
    assert walked.psnr > 24


def test_what_is_in_memory_shows_what_the_whole_map_shows(walked):
    assert walked.equality > 50


def test_the_map_is_kept_and_gone_on_with(tmp_path):
    scene, poses = room(3000), walk(60)
    config = Config(0.09, steps=2)
    camera, image, depth = seen(scene, poses[0])
    with Mapper(K, config, tmp_path / "map") as mapper:
        first = mapper.add_frame(image, depth, pose_prior=poses[0])
        assert first.inserted == mapper.num > 100
        before = mapper.render(camera).colors
    with SceneStore(tmp_path / "map") as store:
        assert store.num == first.inserted
        assert store.layout.moments
    with Mapper(K, config, tmp_path / "map") as mapper:
        assert mapper.num == first.inserted
        assert torch.equal(mapper.render(camera).colors, before)
        again = mapper.add_frame(image, depth, pose_prior=poses[0])
        assert again.inserted < 0.2 * first.inserted


def test_the_prior_counts_as_much_as_it_says():
    scene, poses = room(3000), walk(60)
    camera, image, _ = seen(scene, poses[0])
    believed = torch.from_numpy(camera.viewmat).clone()
    believed[0, 3] += 0.05
    tracked = {}
    for weight in (1e12, 1e2):
        prior = PosePrior(believed, weight * torch.eye(6))
        tracked[weight] = mapping.track(scene, image, camera, prior)
        assert (tracked[weight].information - prior.information).diagonal().min() > 0
    assert (tracked[1e12].viewmat - believed).abs().max() < 1e-4
    assert (tracked[1e2].viewmat - torch.from_numpy(seen(scene, poses[0])[0].viewmat)).abs().max() < 5e-3
    assert linearize(scene, image, camera).JtJ.shape == (6, 6)


def test_points_of_a_scanner_become_discs_on_their_surface(tmp_path):
    scene, poses = room(3000), walk(60)
    _, image, depth = seen(scene, poses[0])
    rows, columns = torch.meshgrid(torch.arange(1, 39, 2), torch.arange(1, 49, 2), indexing="ij")
    at = torch.stack([columns + 0.5, rows + 0.5, torch.ones_like(rows)], dim=-1).reshape(-1, 3).float()
    points = at @ torch.tensor(K).inverse().T * depth[rows, columns].reshape(-1, 1)
    with Mapper(K, Config(0.09, steps=0, limit_per_cell=20), tmp_path / "map") as mapper:
        frame = mapper.add_frame(image, pose_prior=poses[0], points=points)
        assert frame.inserted == mapper.num > 30
        mapper.active.commit()
        assert mapper.active.store.rows_of(mapper.active.store.cells).max() <= 20
        with pytest.raises(ValueError, match="points must be"):
            mapper.add_frame(image, points=points[:, :2])
        with pytest.raises(ValueError, match="depth must be"):
            mapper.add_frame(image, depth[:-1])


def test_discs_lie_in_the_plane_of_their_points():
    random = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(3, 3, generator=random)).Q
    points = torch.randn(200, 2, generator=random) @ axes[:, :2].T
    normals = fitted_normals(points)
    assert (normals @ axes[:, 2]).abs().min() > 0.999
    made = discs(points, normals, torch.full((200, 3), 0.5), torch.full((200,), 0.1))
    thin = rotation_matrices(made.quats)[:, :, 2]
    assert (thin @ axes[:, 2]).abs().min() > 0.999
    assert made.scales[:, 2].exp().max() < 0.05
    kept = points[one_of_each(points, 0.5)]
    cubes = (kept / 0.5).floor()
    assert len(cubes.unique(dim=0)) == len(kept) == len((points / 0.5).floor().unique(dim=0))
