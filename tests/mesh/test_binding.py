"""What hangs on a mesh goes where the mesh goes, exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from sheets import looking_at_origin
from splat_files import typical_scene

import gsplat_core.io
from gsplat_core import rasterization
from gsplat_core.errors import UsageError
from gsplat_core.mesh import Mesh
from gsplat_core.mesh.binding import FACE, NORMAL_MODES, UNBOUND, bind, deformed, faces_of, pose
from gsplat_core.metrics import psnr
from gsplat_core.quaternions import quaternions_of, rotation_matrices
from gsplat_core.render.scene import render
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import sh_basis
from gsplat_core.scene.similarity import Similarity

SHEAR = torch.tensor([[1.3, 0.5, -0.2], [0.1, 0.8, 0.3], [-0.4, 0.2, 1.1]]).double()


def ball(subdivisions: int = 2) -> Mesh:
    made = trimesh.creation.icosphere(subdivisions)
    vertices = made.vertices.astype(np.float32)
    return Mesh(vertices, made.faces.astype(np.int32), np.zeros((len(vertices), 3), np.uint8))


def scene(degree: int = 3, count: int = 120) -> Gaussians:
    """Around the ball, inside and outside of it; float64."""
    made = typical_scene(count, degree).without_extras().to(dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    means = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    radius = 0.8 + 0.5 * torch.rand(count, 1, generator=generator, dtype=torch.float64)
    scales = -3 + torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return replace(made, means=torch.nn.functional.normalize(means) * radius, scales=scales)


def covariances(gaussians: Gaussians) -> torch.Tensor:
    axes = rotation_matrices(gaussians.quats.double()) * gaussians.scales.double().exp()[:, None]
    return axes @ axes.mT


def vertices_of(mesh: Mesh) -> torch.Tensor:
    return torch.from_numpy(mesh.vertices).double()


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).flatten(1).norm(dim=1).div(expected.flatten(1).norm(dim=1)).max())


def frames(mesh: Mesh, faces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Corners [N, 3, 3], unit normals [N, 3] and areas [N], by the textbook."""
    corners = vertices_of(mesh)[torch.from_numpy(mesh.faces).long()[faces]]
    normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return corners, torch.nn.functional.normalize(normals), normals.norm(dim=1) / 2


@pytest.mark.parametrize("mode", NORMAL_MODES)
def test_an_affine_motion_is_exact(mode) -> None:
    """Against the frames of faces, E_now E_rest^-1, one by one, and barycentric coordinates and heights."""
    mesh = ball()
    bound, _ = bind(scene(), mesh)
    moved = replace(mesh, vertices=(vertices_of(mesh) @ SHEAR.T + 0.7).float().numpy())
    result = deformed(bound, mesh, vertices_of(moved), mode)
    faces = faces_of(bound)
    before, normal, area = frames(mesh, faces)
    after, normal_now, area_now = frames(moved, faces)
    grown = {"unit": torch.ones_like(area), "similar": (area_now / area).sqrt(), "volume": area / area_now}
    across = normal_now * grown[mode][:, None]
    edges = [torch.stack([c[:, 1] - c[:, 0], c[:, 2] - c[:, 0]], 2) for c in (before, after)]
    linear = torch.cat([edges[1], across[:, :, None]], 2) @ torch.linalg.inv(
        torch.cat([edges[0], normal[:, :, None]], 2)
    )
    assert error(covariances(result), linear @ covariances(bound) @ linear.mT) < 1e-6
    heights = ((bound.means - before[:, 0]) * normal).sum(1)
    feet = bound.means - heights[:, None] * normal
    weights = torch.linalg.lstsq(
        torch.cat([before.mT, torch.ones(len(feet), 1, 3).double()], 1),
        torch.cat([feet, torch.ones(len(feet), 1).double()], 1)[:, :, None],
    ).solution
    expected = (weights * after).sum(1) + heights[:, None] * across
    assert error(result.means, expected) < 1e-6
    if mode == "volume":
        volumes = [torch.linalg.det(covariances(g)) for g in (bound, result)]
        torch.testing.assert_close(volumes[1] / volumes[0], torch.ones(len(area)).double())


def test_a_mesh_that_grows_takes_its_gaussians_with_it() -> None:
    bound, _ = bind(scene(), ball())
    result = deformed(bound, ball(), 1.5 * vertices_of(ball()), "similar")
    assert error(covariances(result), 2.25 * covariances(bound)) < 1e-6
    assert error(result.means, 1.5 * bound.means) < 1e-6
    torch.testing.assert_close(result.shN, bound.shN)


def test_what_lies_in_faces_follows_any_affine_motion_as_its_ellipsoid_does() -> None:
    """Of flat Gaussians on flat faces it is A Sigma A^T itself."""
    mesh = ball(0)
    corners, normals, _ = frames(mesh, torch.arange(20))
    along = torch.nn.functional.normalize(corners[:, 1] - corners[:, 0])
    axes = torch.stack([along, torch.linalg.cross(normals, along), normals], 2)
    flat = replace(
        scene(count=20),
        means=corners.mean(1),
        quats=quaternions_of(axes),
        scales=torch.tensor([0.2, 0.1, 1e-9]).double().log().repeat(20, 1),
    )
    bound, distances = bind(flat, mesh)
    assert distances.max() < 1e-6
    result = deformed(bound, mesh, vertices_of(mesh) @ SHEAR.T)
    assert error(covariances(result), SHEAR @ covariances(bound) @ SHEAR.T) < 1e-6


def test_a_rigid_motion_is_that_of_the_camera() -> None:
    """More than 60 dB, with colours of degree 3."""
    mesh, camera = ball(), looking_at_origin(np.array([2.0, 2.5, 1.5]), 96)
    bound, _ = bind(scene().to(dtype=torch.float32), mesh)
    turn = torch.linalg.qr(SHEAR)[0]
    motion = Similarity(turn * torch.linalg.det(turn), torch.tensor([0.4, -0.3, 0.8]))
    moved = deformed(bound, mesh, motion.apply(vertices_of(mesh)))
    with_it = replace(camera, viewmat=camera.viewmat @ motion.inverse().matrix().numpy())
    before, after = render(bound, camera).colors, render(moved, with_it).colors
    assert float(before.std()) > 0.05
    assert psnr(after[0].clamp(0, 1), before[0].clamp(0, 1)) > 60


def test_colours_of_each_turn_with_its_face() -> None:
    mesh = ball()
    bound, _ = bind(scene(4), mesh)
    bent = vertices_of(mesh).clone()
    bent[:, 0] += 0.4 * bent[:, 1] ** 2
    result = deformed(bound, mesh, bent)
    maps = []
    for row, face in enumerate(faces_of(bound).tolist()):
        corners = mesh.faces[face]
        e = [
            torch.stack([v[corners[1]] - v[corners[0]], v[corners[2]] - v[corners[0]]])
            for v in (vertices_of(mesh), bent)
        ]
        e = [torch.cat([x, torch.nn.functional.normalize(torch.linalg.cross(*x), dim=0)[None]]) for x in e]
        u, _, v = torch.linalg.svd(e[1].T @ torch.linalg.inv(e[0].T))
        maps.append(u @ v)
        direction = torch.nn.functional.normalize(torch.tensor([0.3, -0.5, 0.8]).double(), dim=0)
        then = sh_basis(direction, 4)[1:] @ bound.shN[row]
        torch.testing.assert_close(sh_basis(maps[-1] @ direction, 4)[1:] @ result.shN[row], then)
    assert max(float((m - torch.eye(3)).norm()) for m in maps) > 0.5


def test_a_mesh_that_stays_leaves_the_scene_as_it_is() -> None:
    mesh, camera = ball(), looking_at_origin(np.array([2.0, 2.5, 1.5]), 64)
    bound, _ = bind(scene().to(dtype=torch.float32), mesh)
    same = deformed(bound, mesh, vertices_of(mesh))
    assert torch.equal(same.means, bound.means)
    torch.testing.assert_close(render(same, camera).colors, render(bound, camera).colors, atol=1e-5, rtol=0)


def test_covariances_are_those_of_the_deformed_scene_and_render_as_they_do() -> None:
    mesh, camera = ball(), looking_at_origin(np.array([2.0, 2.5, 1.5]), 64)
    bound, _ = bind(scene(0).to(dtype=torch.float32), mesh)
    now = vertices_of(mesh) @ SHEAR.T
    plain, given = deformed(bound, mesh, now), pose(bound, mesh, now)
    assert error(given.covars, covariances(plain)) < 1e-5
    image, _, _ = rasterization(
        means=given.means, quats=None, scales=None, covars=given.covars, opacities=bound.opacities.sigmoid(),
        colors=bound.sh0, sh_degree=0, viewmats=torch.from_numpy(camera.viewmat)[None].float(),
        Ks=torch.from_numpy(camera.K)[None].float(), width=64, height=64,
    )  # fmt: skip
    torch.testing.assert_close(image, render(plain, camera).colors, atol=1e-4, rtol=0)


@pytest.mark.parametrize("mode", NORMAL_MODES)
def test_vertices_have_gradients(mode) -> None:
    mesh = ball(0)
    bound, _ = bind(scene(count=8), mesh, within=0.12)
    assert (bound.extras[FACE] == UNBOUND).any()
    vertices = (vertices_of(mesh) @ SHEAR.T).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: pose(bound, mesh, v, mode)[:2], vertices)


def test_what_is_too_far_stays_where_it_is() -> None:
    mesh = ball()
    bound, distances = bind(scene(), mesh, within=0.1)
    far = torch.from_numpy(distances > 0.1)
    assert 0 < far.sum() < bound.num
    assert torch.equal(bound.extras[FACE] == UNBOUND, far)
    result = deformed(bound, mesh, vertices_of(mesh) @ SHEAR.T)
    for name, tensor in result.subset(far).params.items():
        assert torch.equal(tensor, bound.subset(far).params[name]), name
    assert not torch.isclose(result.means, bound.means).all(1)[~far].any()


def test_faces_go_with_their_rows_into_files(tmp_path) -> None:
    bound, _ = bind(scene().to(dtype=torch.float32), ball(), within=0.1)
    rows = torch.tensor([5, 3, 3, 90])
    gsplat_core.io.save(tmp_path / "scene.ply", bound.subset(rows))
    read = gsplat_core.io.load(tmp_path / "scene.ply")
    assert torch.equal(faces_of(read), faces_of(bound)[rows])
    both = Gaussians.merge([read, scene().to(dtype=torch.float32)])
    assert (faces_of(both)[4:] == UNBOUND).all()
    assert faces_of(replace(read, extras={FACE: torch.zeros(4)})) is None


def test_faces_of_no_area_carry_nothing_and_a_mesh_of_such_is_none() -> None:
    mesh = ball()
    flat = np.concatenate([mesh.faces, [[0, 0, 1], [0, 1, 1]]]).astype(np.int32)
    bound, _ = bind(scene(), replace(mesh, faces=flat))
    assert torch.equal(faces_of(bound), faces_of(bind(scene(), mesh)[0]))
    with pytest.raises(ValueError, match="no face with an area"):
        bind(scene(), replace(mesh, faces=flat[-2:]))


def test_a_pose_that_cannot_be_is_told() -> None:
    mesh = ball()
    bound, _ = bind(scene(), mesh)
    now = vertices_of(mesh)
    with pytest.raises(ValueError, match=r"vertices \[161, 3\] of a mesh that has \[162, 3\]"):
        deformed(bound, mesh, now[1:])
    with pytest.raises(ValueError, match="vertex 7 is not finite"):
        deformed(bound, mesh, now.index_fill(0, torch.tensor([7]), torch.nan))
    face = int(faces_of(bound)[0])
    collapsed = now.clone()
    collapsed[mesh.faces[face][0]] = collapsed[mesh.faces[face][1]]
    with pytest.raises(ValueError, match=r"face \d+, which Gaussians hang on, has no area"):
        deformed(bound, mesh, collapsed)
    with pytest.raises(ValueError, match="no Gaussian hangs on a mesh"):
        deformed(scene(), mesh, now)
    with pytest.raises(ValueError, match=r"hangs on face \d+, and the mesh has 10: it is another"):
        deformed(bound, replace(mesh, faces=mesh.faces[:10]), now)


def test_primitives_whose_fields_cannot_follow_are_told() -> None:
    with pytest.raises(UsageError, match="primitive '6dgs' cannot follow a mesh"):
        bind(scene().with_primitive("6dgs"), ball())
