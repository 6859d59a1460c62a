"""gsplat_core/render/planes.py: flat Gaussians, which pixels see at the depths of their planes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from splats import Scene, adapted, assert_agrees, one_thread, random_scene, truth_of

from gsplat_core import primitive, rasterization, reference
from gsplat_core.quaternions import rotation_matrices
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import render
from gsplat_core.render.surfaces import normals_of_depths

WIDTH, HEIGHT = 33, 26


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def scene_of(num: int = 45, cameras: int = 2, camera: str = "pinhole") -> Scene:
    scene = random_scene(num, cameras=cameras, width=WIDTH, height=HEIGHT, sh_degree=None, seed=4)
    scene = scene.with_(Ks=scene.tensors["Ks"] * torch.tensor([[0.5], [0.5], [1.0]]))
    return adapted(scene, camera)


@pytest.mark.parametrize("camera", ["pinhole", "fisheye"])
def test_colours_and_depths_are_those_of_the_reference(camera: str) -> None:
    """With all gradients, although here 1/z is blended and there each splat's z is found in each pixel."""
    scene = scene_of(camera=camera)
    for mode in ("RGB+ED", "D") if camera == "pinhole" else ("RGB+ED",):
        options = {"planes": True, "camera_model": camera, "render_mode": mode}
        assert_agrees(rasterization, scene, truth_of(scene, **options), **options)


def test_hits_are_those_of_the_reference() -> None:
    scene = scene_of()
    t = scene.tensors
    seen = primitive.Evaluated(t["means"], t["quats"], t["scales"], t["opacities"], t["colors"], planes=True)
    cameras = Cameras(t["viewmats"], t["Ks"], WIDTH, HEIGHT)
    hits = render(seen, cameras, outputs=Outputs(hits=True)).hits
    meta = reference.rasterization(**scene.arguments(), planes=True)[2]
    keep = ~meta["ambiguous"]
    assert hits is not None
    assert keep.double().mean() > 0.7
    torch.testing.assert_close(hits[keep].double(), meta["hits"][keep], atol=1e-4, rtol=1e-4)


QUAT = (0.0, 0.85, 0.3, -0.4)
"""Of which the third axis looks at a camera that looks along z, obliquely."""


def wall(num: int = 400) -> Scene:
    """Flat Gaussians in one plane, which lies obliquely before a camera."""
    g = torch.Generator().manual_seed(1)
    quat = torch.nn.functional.normalize(torch.tensor(QUAT), dim=0)
    axes = rotation_matrices(quat)
    assert -0.8 < axes[2, 2] < -0.5
    places = (torch.rand(num, 2, generator=g) - 0.5) * 10
    return Scene(
        {
            "means": places @ axes[:, :2].T + torch.tensor([0.0, 0.0, 5.0]),
            "quats": quat.expand(num, 4).contiguous(),
            "scales": torch.tensor([0.4, 0.3, 0.0]).expand(num, 3).contiguous(),
            "opacities": torch.full((num,), 0.7),
            "colors": torch.rand(num, 3, generator=g),
            "viewmats": torch.eye(4)[None],
            "Ks": torch.tensor([[[40.0, 0, 16], [0, 40, 13], [0, 0, 1]]]),
        },
        WIDTH,
        HEIGHT,
    )


def test_a_wall_has_its_depth_and_its_normal_in_every_pixel() -> None:
    scene = wall()
    rendered, alphas, meta = rasterization(
        **scene.arguments(), planes=True, render_mode="ED", outputs=["normals"]
    )
    seen = alphas[0, ..., 0] > 0.5
    assert seen.double().mean() > 0.9
    normal = rotation_matrices(scene.tensors["quats"][0])[:, 2]
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    rays = torch.stack([(x + 0.5 - 16) / 40, (y + 0.5 - 13) / 40, torch.ones(HEIGHT, WIDTH)], dim=-1)
    expected = (normal[2] * 5.0) / (rays @ normal)
    torch.testing.assert_close(rendered[0, ..., 0][seen], expected[seen], atol=1e-4, rtol=1e-4)
    depths = torch.where(seen, rendered[0, ..., 0], 0.0)[None]
    found = normals_of_depths(depths, scene.tensors["viewmats"], scene.tensors["Ks"])[0]
    inside = found.any(-1)
    assert inside.double().mean() > 0.7
    torch.testing.assert_close(found[inside], normal.expand_as(found[inside]), atol=1e-3, rtol=0)
    shown = meta["normals"][0][inside] / alphas[0][inside]
    torch.testing.assert_close(shown, normal.expand_as(shown), atol=1e-4, rtol=0)
    # Depths of centres, blended, are those of no plane.
    blurred = rasterization(**scene.arguments(), render_mode="ED")[0][0, ..., 0]
    assert (blurred - expected)[seen].abs().median() > 0.02


def test_from_behind_nothing_is_seen() -> None:
    scene = wall()
    behind = torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0]))
    behind[2, 3] = 10.0
    both = scene.with_(viewmats=torch.stack([torch.eye(4), behind]), Ks=scene.tensors["Ks"].repeat(2, 1, 1))
    _, alphas, meta = rasterization(**both.arguments(), planes=True)
    assert alphas[0].mean() > 0.8
    assert not alphas[1].any()
    assert not meta["radii"][1].any()


def test_what_nobody_sees_does_not_spoil_gradients() -> None:
    scene = scene_of()
    quats, means = scene.tensors["quats"].clone(), scene.tensors["means"].clone()
    quats[:3], means[3] = 0, torch.nan
    leaves = scene.with_(quats=quats, means=means).leaves()
    rasterization(**scene.arguments(leaves), planes=True, render_mode="ED")[0].sum().backward()
    for name in ("quats", "means", "viewmats"):
        assert leaves[name].grad is not None
        assert leaves[name].grad.isfinite().all(), name
        assert leaves[name].grad.any()


def test_what_has_no_planes_is_refused_by_name() -> None:
    with pytest.raises(NotImplementedError, match=r"'planes' = True .* with the response 'ray'"):
        rasterization(**scene_of().arguments(), planes=True, response="ray")
    with pytest.raises(NotImplementedError, match="parallel rays"):
        rasterization(**scene_of().arguments(), planes=True, camera_model="ortho")
