"""A triangle for each Gaussian, which moves it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from splat_files import typical_scene
from splats import covariances

from gsplat_core.errors import UsageError
from gsplat_core.mesh.binding import deformed, faces_of
from gsplat_core.mesh.pseudo import pseudo_mesh
from gsplat_core.quaternions import rotation_matrices
from gsplat_core.scene.harmonics import rgb_of

SHEAR = torch.tensor([[1.3, 0.5, -0.2], [0.1, 0.8, 0.3], [-0.4, 0.2, 1.1]]).double()


def flat(count: int = 60):
    """Thin along any of the three axes."""
    scene = typical_scene(count, 1).without_extras()
    scales = torch.rand(count, 3, generator=torch.Generator().manual_seed(2)) - 3
    scales[torch.arange(count), torch.arange(count) % 3] = -14
    return replace(scene, scales=scales)


def test_triangles_are_centres_and_the_ends_of_the_two_long_axes() -> None:
    scene = flat()
    bound, mesh = pseudo_mesh(scene)
    assert torch.equal(faces_of(bound), torch.arange(60))
    corners = torch.from_numpy(mesh.vertices[mesh.faces])
    assert torch.equal(corners[:, 0], scene.means)
    axes = rotation_matrices(scene.quats) * scene.scales.exp()[:, None]
    for row in range(60):
        long = sorted((axis for axis in axes[row].T if axis.norm() > 1e-5), key=lambda axis: -axis.norm())
        expected = torch.stack([scene.means[row], scene.means[row] + long[0], scene.means[row] + long[1]])
        torch.testing.assert_close(corners[row], expected, atol=2e-6, rtol=0)
    shown = rgb_of(scene.sh0[:, 0]).clamp(0, 1)
    colors = torch.from_numpy(mesh.colors).reshape(60, 3, 3) / 255
    torch.testing.assert_close(colors, shown[:, None].expand(-1, 3, -1), atol=0.003, rtol=0)


def test_edited_triangles_move_their_gaussians_and_no_others() -> None:
    scene = flat()
    bound, mesh = pseudo_mesh(scene)
    vertices = torch.from_numpy(mesh.vertices).double()
    same = deformed(bound, mesh, vertices)
    assert torch.equal(same.means, scene.means)
    vertices[: 3 * 20] = vertices[: 3 * 20] @ SHEAR.T + 1
    moved = deformed(bound, mesh, vertices)
    before, after = (covariances(g.quats, g.scales.exp()).double() for g in (scene, moved))
    expected = torch.cat([SHEAR @ before[:20] @ SHEAR.T, before[20:]])
    apart = (after - expected).flatten(1).norm(dim=1) / expected.flatten(1).norm(dim=1)
    assert apart.max() < 1e-4
    torch.testing.assert_close(moved.means[:20].double(), scene.means[:20].double() @ SHEAR.T + 1)
    assert torch.equal(moved.means[20:], scene.means[20:])


def test_needles_and_specks_far_away_have_triangles_too() -> None:
    scene = flat(4)
    scales = torch.tensor([[-2.0, -20, -20], [-30, -30, -30], [-12, -12, -12], [-2, -2, -2]])
    bound, mesh = pseudo_mesh(replace(scene, scales=scales, means=scene.means + 1000))
    assert (faces_of(bound) >= 0).all()
    assert (mesh.areas() > 0).all()
    lost = replace(scene, means=scene.means.clone().index_fill(0, torch.tensor([1]), torch.nan))
    assert faces_of(pseudo_mesh(lost)[0]).tolist() == [0, -1, 2, 3]


def test_primitives_whose_fields_cannot_follow_are_told() -> None:
    with pytest.raises(UsageError, match="primitive '6dgs' cannot follow a mesh"):
        pseudo_mesh(flat(2).with_primitive("6dgs"))
