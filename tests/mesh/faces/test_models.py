"""Gaussians on faces: derivatives, and what becomes of them when the mesh moves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from meshes import ball
from splats import covariances

from gsplat_core.errors import UsageError
from gsplat_core.mesh.binding import deformed, faces_of
from gsplat_core.mesh.faces import FACE_MODELS, Layout, Placed, face_model, started
from gsplat_core.mesh.faces.consistency import neighbors, normal_consistency
from gsplat_core.quaternions import rotation_matrices
from gsplat_core.scene.harmonics import rgb_of

SHEAR = torch.tensor([[1.3, 0.5, -0.2], [0.1, 0.8, 0.3], [-0.4, 0.2, 1.1]]).double()
MODELS = sorted(FACE_MODELS)


def numbers(name: str, count: int, num: int) -> dict[str, torch.Tensor]:
    """As in the middle of a training, float64."""
    random = torch.Generator().manual_seed(3)
    made = face_model(name).tensors(num, count, seed=5)
    return {
        key: (value + 0.3 * torch.randn(value.shape, generator=random)).double()
        for key, value in made.items()
    }


def sigma(placed: Placed) -> torch.Tensor:
    axes = rotation_matrices(placed.quats) * placed.scales.exp()[:, None]
    return axes @ axes.mT


@pytest.mark.parametrize("name", MODELS)
def test_derivatives_are_those_of_finite_differences(name: str) -> None:
    """Of centres and covariances, with respect to vertices, the model's numbers and scales."""
    mesh, count, model = ball(0), 3, face_model(name)
    layout = Layout.of(mesh.with_faces(mesh.faces[:2]), count)
    vertices = torch.from_numpy(mesh.with_faces(mesh.faces[:2]).vertices).double() @ SHEAR.T
    tensors = numbers(name, count, layout.num)
    if name == "games":
        tensors["alphas"][0, 1] = -0.4  # counts as 0, and has no derivative
    scales = -1 + torch.rand(layout.num, 3, generator=torch.Generator().manual_seed(1)).double()

    def placed(vertices, flat, *values):
        own = dict(zip(tensors, values, strict=True))
        # Thickness is given, not trained.
        fixed = torch.cat([flat, scales[:, 2:]], dim=1)
        made = model.placed(layout.corners(vertices), own, fixed, count)
        return made.means, sigma(made)

    leaves = [x.clone().requires_grad_() for x in (vertices, scales[:, :2], *tensors.values())]
    assert torch.autograd.gradcheck(placed, leaves)


@pytest.mark.parametrize("name", MODELS)
def test_they_lie_in_their_faces(name: str) -> None:
    """Centres inside, thin across: and the two scales of GaMeS by the textbook."""
    mesh, count, model = ball(1), 3, face_model(name)
    layout = Layout.of(mesh, count)
    vertices = torch.from_numpy(mesh.vertices).double() @ SHEAR.T
    corners, tensors = layout.corners(vertices), numbers(name, count, layout.num)
    thin = math.log(1e-5)
    scales = torch.tensor([-2.0, -3.0, thin]).double().repeat(layout.num, 1)
    made = model.placed(corners, tensors, scales, count)
    each = corners.repeat_interleave(count, 0)
    normals = torch.nn.functional.normalize(
        torch.linalg.cross(each[:, 1] - each[:, 0], each[:, 2] - each[:, 0])
    )
    across = (sigma(made) @ normals[:, :, None])[:, :, 0]
    torch.testing.assert_close(across, normals * 1e-10, atol=1e-14, rtol=0)
    weights = torch.linalg.solve(each.mT, made.means)
    torch.testing.assert_close(weights.sum(1), torch.ones(layout.num).double())
    assert weights.min() > -1e-9
    if name == "sugar":
        torch.testing.assert_close(made.scales, scales)
        return
    centroids = each.mean(1)
    one = each[:, 1] - centroids
    two = each[:, 2] - centroids
    first = torch.nn.functional.normalize(one)
    second = two - (two * normals).sum(1, True) * normals - (two * first).sum(1, True) * first
    second = torch.nn.functional.normalize(second)
    grown = tensors["rhos"].clamp(min=0)[:, None, None] / 2
    axes = grown * torch.stack(
        [one.norm(dim=1, keepdim=True) * first, (two * second).sum(1, True) * second], 2
    )
    axes = torch.cat([axes, 1e-5 * normals[:, :, None]], 2)
    torch.testing.assert_close(sigma(made), axes @ axes.mT)


def test_an_angle_of_sugar_turns_in_the_face() -> None:
    """By twice the angle of u, whatever its length; half a turn, too."""
    mesh, model = ball(0), face_model("sugar")
    layout = Layout.of(mesh, 1)
    corners = layout.corners(torch.from_numpy(mesh.vertices).double())
    scales = torch.tensor([-1.0, -2.0, -9.0]).double().repeat(layout.num, 1)
    along = torch.nn.functional.normalize(corners[:, 1] - corners[:, 0])
    normals = torch.linalg.cross(along, torch.nn.functional.normalize(corners[:, 2] - corners[:, 0]))
    aside = torch.linalg.cross(torch.nn.functional.normalize(normals), along)
    for half in (0.0, 0.4, math.pi / 2, 2.5):
        turn = 1.7 * torch.tensor([[math.cos(half), math.sin(half)]]).double()
        made = model.placed(corners, {"turns": turn.expand(layout.num, 2)}, scales, 1)
        longest = math.cos(2 * half) * along + math.sin(2 * half) * aside
        length = (longest[:, None] @ sigma(made) @ longest[:, :, None]).flatten()
        torch.testing.assert_close(length, torch.full((layout.num,), math.exp(-2.0)).double())


@pytest.mark.parametrize("name", MODELS)
def test_the_start_hangs_on_the_mesh_in_its_colours_and_follows_any_affine_motion(name: str) -> None:
    mesh, model = ball(1), face_model(name)
    random = np.random.default_rng(0)
    mesh = replace(mesh, colors=random.integers(0, 255, mesh.colors.shape, np.uint8))
    layout = Layout.of(mesh, 6)
    scene = started(mesh, layout, model, 2.0, 0.25, 1, 7)
    assert torch.equal(faces_of(scene), layout.of_rows())
    torch.testing.assert_close(scene.opacities.sigmoid(), torch.full((layout.num,), 0.25))
    assert scene.shN.shape == (layout.num, 3, 3)
    torch.testing.assert_close(scene.scales[:, 2].exp(), torch.full((layout.num,), 2 * model.thickness))
    corners = layout.corners(torch.from_numpy(mesh.colors) / 255).repeat_interleave(6, 0)
    weights = torch.linalg.solve(
        layout.corners(torch.from_numpy(mesh.vertices)).repeat_interleave(6, 0).mT, scene.means
    )
    torch.testing.assert_close(
        rgb_of(scene.sh0[:, 0]), (weights[:, :, None] * corners).sum(1), atol=1e-4, rtol=0
    )
    moved = deformed(scene, mesh, torch.from_numpy(mesh.vertices).double() @ SHEAR.T + 0.3)
    before, after = (covariances(g.quats, g.scales.exp()).double() for g in (scene, moved))
    expected = SHEAR @ before @ SHEAR.T
    apart = (after - expected).flatten(1).norm(dim=1) / expected.flatten(1).norm(dim=1)
    assert apart.max() < 2e-5
    torch.testing.assert_close(moved.means.double(), scene.means.double() @ SHEAR.T + 0.3, atol=1e-5, rtol=0)


def test_normals_of_neighbours_agree_where_a_mesh_is_flat() -> None:
    mesh = ball(1)
    edges, vertices = neighbors(mesh), torch.from_numpy(mesh.vertices).double()
    assert len(edges) == 3 * len(mesh.faces) / 2
    normals = torch.nn.functional.normalize(
        torch.linalg.cross(*(vertices[mesh.faces[:, i]] - vertices[mesh.faces[:, 0]] for i in (1, 2)))
    )
    ends = {}
    for face, corners in enumerate(mesh.faces.tolist()):
        for i in range(3):
            ends.setdefault(frozenset((corners[i], corners[i - 1])), []).append(face)
    expected = [1 - float(normals[a] @ normals[b]) for a, b in ends.values()]
    assert float(normal_consistency(vertices, edges)) == pytest.approx(sum(expected) / len(expected))
    # Fronts do not matter.
    turned = replace(mesh, faces=np.where(np.arange(80)[:, None] % 3 == 0, mesh.faces[:, ::-1], mesh.faces))
    assert float(normal_consistency(vertices, neighbors(turned))) == pytest.approx(sum(expected) / 120)
    vertices.requires_grad_()
    assert torch.autograd.gradcheck(lambda v: normal_consistency(v, edges[:20]), vertices)


def test_a_model_that_there_is_not_is_told() -> None:
    with pytest.raises(UsageError, match="called 'nerf'; there are: sugar, games"):
        face_model("nerf")
