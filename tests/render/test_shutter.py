"""Rolling shutters: cameras that move while they expose an image line by line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from splats import Scene, adapted, look_at, random_scene
from torch import Tensor

from gsplat_core import rasterization, reference
from gsplat_core.render.camera_types import RollingShutterType
from gsplat_core.render.rays import pixel_rays
from gsplat_core.render.settings import RenderSettings
from gsplat_core.render.shutter import DIRECTIONS, Exposure, rotation_of_vector, rotation_vector
from gsplat_core.render.stages import Splats, project
from gsplat_core.render.variants import CAMERAS, RESPONSES

on_every_backend = pytest.mark.usefixtures("backend")
ALONG_RAYS = [name for name, response in RESPONSES.items() if response.along_rays]
WIDTH, HEIGHT = 24, 18
START = look_at((0.6, -0.5, -4.0))[None]
END = look_at((0.25, -0.4, -3.85), (0.15, 0.05, 0.0))[None]
EVERY_SHUTTER = pytest.mark.parametrize("shutter", DIRECTIONS, ids=lambda kind: kind.name)
DOWN = RollingShutterType.ROLLING_TOP_TO_BOTTOM


def pose_at(time: float) -> Tensor:
    """[1, 4, 4] on the way from START to END, by the turn between them."""
    first, last = START[0].double(), END[0].double()
    turn = torch.matrix_exp(time * _logarithm(last[:3, :3] @ first[:3, :3].mT))
    pose = torch.eye(4).double()
    pose[:3, :3] = turn @ first[:3, :3]
    pose[:3, 3] = (1 - time) * first[:3, 3] + time * last[:3, 3]
    return pose[None]


def _logarithm(rotation: Tensor) -> Tensor:
    """By halving the angle until the series converges at once."""
    for _ in range(20):
        values, vectors = torch.linalg.eig(rotation)
        rotation = (vectors @ values.sqrt().diag() @ torch.linalg.inv(vectors)).real
    return (rotation - rotation.mT) / 2 * 2**20


def line_times(shutter: RollingShutterType) -> Tensor:
    """[H, W] when each pixel is exposed, from 0 to 1."""
    y, x = torch.meshgrid(torch.linspace(0, 1, HEIGHT), torch.linspace(0, 1, WIDTH), indexing="ij")
    right, down = DIRECTIONS[shutter]
    return (x if right else y) if right + down > 0 else 1 - (x if right else y)


def exposure(shutter: RollingShutterType, start: Tensor = START, end: Tensor = END) -> Exposure:
    return Exposure.between(start[None], end[None], shutter, WIDTH, HEIGHT)


def test_rotations_and_their_vectors() -> None:
    g = torch.Generator().manual_seed(0)
    for size in (0.0, 1e-9, 1e-3, 0.011, 1.0, 3.0):
        vectors = size * torch.nn.functional.normalize(torch.randn(5, 3, generator=g).double(), dim=-1)
        rotations = rotation_of_vector(vectors)
        across = torch.linalg.cross(
            vectors[:, None].expand(5, 3, 3), torch.eye(3).double().expand(5, 3, 3)
        ).mT
        torch.testing.assert_close(rotations, torch.matrix_exp(across))
        torch.testing.assert_close(rotation_vector(rotations), vectors)
        vectors.requires_grad_()
        assert torch.autograd.gradcheck(rotation_of_vector, vectors)
        assert torch.autograd.gradcheck(lambda v: rotation_vector(rotation_of_vector(v)), vectors)


@EVERY_SHUTTER
def test_a_camera_that_does_not_move_has_exactly_its_pose(shutter: RollingShutterType) -> None:
    still = exposure(shutter, END, END)
    assert torch.equal(still.viewmats[0], END)
    assert not still.motion[..., :6].any()
    Ks = torch.tensor([[[[20.0, 0, 12], [0, 20, 9], [0, 0, 1]]]])
    rays = pixel_rays("pinhole", still.viewmats, Ks, None, WIDTH, HEIGHT, still.motion)
    assert not rays[..., 3:].any()
    assert torch.equal(rays[..., :3], pixel_rays("pinhole", END[None], Ks, None, WIDTH, HEIGHT))


@EVERY_SHUTTER
@pytest.mark.parametrize("camera", CAMERAS)
def test_rays_are_those_of_the_pose_of_their_line(camera: str, shutter: RollingShutterType) -> None:
    scene = adapted(random_scene(1, width=WIDTH, height=HEIGHT), camera)
    Ks, lens = scene.tensors["Ks"][None].double(), scene.tensors.get("lens")
    lens = None if lens is None else lens[None].double()
    moving = exposure(shutter)
    moving = Exposure(*(part.double() for part in moving))
    rays = pixel_rays(camera, moving.viewmats, Ks, lens, WIDTH, HEIGHT, moving.motion)[0, 0]
    times = line_times(shutter)

    def centre(pose: Tensor) -> Tensor:
        return -(pose[0, :3, :3].mT @ pose[0, :3, 3])

    middle = centre(moving.viewmats[0])
    for row, column in [(0, 0), (3, 20), (9, 7), (17, 23)]:
        pose = pose_at(float(times[row, column]))
        still = pixel_rays(camera, pose[None], Ks, lens, WIDTH, HEIGHT)[0, 0, row, column]
        begins = centre(pose) - middle + (still[3:] if len(still) == 6 else 0)
        torch.testing.assert_close(rays[row, column, :3], still[:3], atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(rays[row, column, 3:], begins, atol=2e-6, rtol=1e-6)


def test_rays_have_derivatives_by_both_poses() -> None:
    Ks = torch.tensor([[[[3.0, 0, 0.5], [0, 3, 1.5], [0, 0, 1]]]]).double()

    def rays(start: Tensor, end: Tensor) -> Tensor:
        moving = Exposure.between(start, end, DOWN, 1, 3)
        return pixel_rays("pinhole", moving.viewmats, Ks, None, 1, 3, moving.motion)

    poses = [pose.double()[None].requires_grad_() for pose in (START, END)]
    assert torch.autograd.gradcheck(rays, poses)
    poses = [START.double()[None].clone().requires_grad_() for _ in range(2)]
    assert torch.autograd.gradcheck(rays, poses)


BOUNDS = RenderSettings(unscented=True, bounds_only=True, margin=1.0)


def bounded(scene: Scene, camera: str, viewmats: Tensor, motion: Tensor | None) -> Splats:
    given = {name: tensor[None] for name, tensor in scene.tensors.items()}
    return project(
        given["means"], given["quats"], given["scales"], None, given["opacities"], viewmats, given["Ks"],
        scene.width, scene.height, BOUNDS, lens=given.get("lens"), camera=camera, motion=motion,
    )  # fmt: skip


@on_every_backend
@EVERY_SHUTTER
@pytest.mark.parametrize("camera", CAMERAS)
def test_gaussians_appear_where_their_line_sees_them(camera: str, shutter: RollingShutterType) -> None:
    """The pixel of a small Gaussian is that of the pose with which the line of this pixel is exposed."""
    scene = adapted(random_scene(250, width=WIDTH, height=HEIGHT), camera)
    scene = scene.with_(scales=0.01 * scene.tensors["scales"])
    moving = exposure(shutter)
    splats = bounded(scene, camera, moving.viewmats, moving.motion)
    seen = (splats.radii[0, 0] > 0).all(-1).nonzero()[:, 0].tolist()
    assert len(seen) > 15
    K, kind = scene.tensors["Ks"][0].double(), reference.CAMERAS[camera]
    lens = scene.tensors.get("lens", torch.zeros(1, 0)).double()
    numbers = [K[i, j].reshape(1) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2))]
    intrinsics = reference.Intrinsics(*numbers, lens, WIDTH, HEIGHT)
    right, down = DIRECTIONS[shutter]
    for i in seen[:12]:
        pixel = splats.means2d[0, 0, i].double()
        along = (pixel[0] - 0.5) / (WIDTH - 1) if right else (pixel[1] - 0.5) / (HEIGHT - 1)
        time = (along if right + down > 0 else 1 - along).clamp(0, 1)
        pose = pose_at(float(time))[0]
        point = pose[:3, :3] @ scene.tensors["means"][i].double() + pose[:3, 3]
        torch.testing.assert_close(kind.pixel(point[None], intrinsics)[0], pixel, atol=0.02, rtol=0)
    middle = bounded(scene, camera, moving.viewmats, None)
    both = (splats.radii > 0).all(-1) & (middle.radii > 0).all(-1)
    torch.testing.assert_close(splats.depths[both], middle.depths[both])
    moved = (middle.means2d - splats.means2d)[both].norm(dim=-1)
    assert moved.max() > 0.5


@on_every_backend
@pytest.mark.parametrize("camera", CAMERAS)
def test_splats_of_a_camera_that_does_not_move_are_exactly_those_of_a_global_shutter(camera: str) -> None:
    scene = adapted(random_scene(250, width=WIDTH, height=HEIGHT), camera)
    still = exposure(DOWN, START, START)
    found = bounded(scene, camera, still.viewmats, still.motion)
    expected = bounded(scene, camera, START[None], None)
    assert (expected.radii > 0).all(-1).sum() > 20
    for part, other in zip(found, expected, strict=True):
        assert torch.equal(part, other)


def test_an_operator_wants_motion_for_bounds_only() -> None:
    scene = random_scene(5, width=WIDTH, height=HEIGHT)
    moving = exposure(DOWN)
    given = {name: tensor[None] for name, tensor in scene.tensors.items()}
    for settings in (RenderSettings(), replace(BOUNDS, bounds_only=False)):
        with pytest.raises(RuntimeError, match="'motion' needs 'unscented' and 'bounds_only'"):
            project(
                given["means"], given["quats"], given["scales"], None, given["opacities"], moving.viewmats,
                given["Ks"], WIDTH, HEIGHT, settings, motion=moving.motion,
            )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"viewmats_rs": END}, "'viewmats_rs' needs a 'rolling_shutter'"),
        ({"viewmats_rs": END, "rolling_shutter": RollingShutterType.GLOBAL}, "needs a 'rolling_shutter'"),
        ({"viewmats_rs": END, "rolling_shutter": 7}, "'rolling_shutter' must be one of"),
        ({"viewmats_rs": END, "rolling_shutter": DOWN}, "needs with_ut=True and a response along rays"),
        (
            {"viewmats_rs": END, "rolling_shutter": DOWN, "with_ut": True},
            "with_ut=True and the response 'gaussian'",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rasterization(**random_scene(5).arguments(), **options)


@pytest.mark.parametrize("response", ALONG_RAYS)
@pytest.mark.parametrize("camera", CAMERAS)
def test_the_image_of_a_camera_that_does_not_move(camera: str, response: str) -> None:
    scene = adapted(random_scene(60, width=WIDTH, height=HEIGHT, sh_degree=None), camera, response)
    options = {"camera_model": camera, "response": response, "with_ut": True}
    viewmats = scene.tensors["viewmats"]
    expected, *_ = rasterization(**scene.arguments(), **options)
    found, *_ = rasterization(
        **scene.arguments(), **options, rolling_shutter=DOWN, viewmats_rs=viewmats.clone()
    )
    assert expected.std() > 0.05
    assert torch.equal(found, expected)
    trained, *_ = rasterization(
        **scene.arguments(), **options, rolling_shutter=DOWN, viewmats_rs=viewmats.clone().requires_grad_()
    )
    # The rays of a pinhole camera at rest are affine in the pixel; those of moving lines are not taken so.
    torch.testing.assert_close(trained.detach(), expected, atol=4e-6, rtol=0)


@EVERY_SHUTTER
@pytest.mark.parametrize("response", ALONG_RAYS)
def test_the_image_of_a_moving_camera_is_put_together_of_lines(
    response: str, shutter: RollingShutterType
) -> None:
    """Each line is that of a camera with the line's own pose. Bounds are approximate, and with them how far
    out Gaussians are seen at all; the order is that of the middle."""
    scene = adapted(random_scene(40, width=WIDTH, height=HEIGHT, sh_degree=None), "pinhole", response).with_(
        viewmats=START
    )
    options = {"response": response, "with_ut": True}
    moving, *_ = rasterization(**scene.arguments(), **options, rolling_shutter=shutter, viewmats_rs=END)
    times, lines = line_times(shutter), torch.zeros_like(moving)
    for time in times.unique().tolist():
        still, *_ = rasterization(**scene.with_(viewmats=pose_at(time).float()).arguments(), **options)
        lines = torch.where((times == time)[None, ..., None], still, lines)
    start, *_ = rasterization(**scene.arguments(), **options)
    assert (lines - start).abs().mean() > 0.01
    assert (moving - lines).abs().quantile(0.97) < 1e-5
    assert (moving - lines).abs().max() < 2 / 255


@pytest.mark.parametrize("response", ALONG_RAYS)
def test_an_image_has_derivatives_by_both_poses(response: str) -> None:
    scene = adapted(random_scene(20, width=WIDTH, height=HEIGHT, sh_degree=None), "pinhole", response)
    scene = scene.with_(  # that cover the image, so that no border of theirs moves over pixels
        means=0.3 * scene.tensors["means"],
        scales=scene.tensors["scales"] + 0.8,
        opacities=torch.linspace(0.1, 0.4, 20),
    )
    g = torch.Generator().manual_seed(0)
    weights = torch.randn(1, HEIGHT, WIDTH, 3, generator=g)
    direction = [0.3 * torch.randn(6, generator=g) for _ in range(2)]

    def loss(share: Tensor) -> Tensor:
        """As both poses move."""
        poses = []
        for pose, by in zip((START, END), direction, strict=True):
            moved = pose.clone().double()
            turn = rotation_of_vector(share * by[:3].double())
            moved = torch.cat([turn @ moved[:, :3, :3], moved[:, :3, 3:] + (share * by[3:])[:, None]], dim=-1)
            poses.append(torch.cat([moved, torch.eye(4).double()[None, 3:]], dim=1).float())
        image, *_ = rasterization(
            **scene.with_(viewmats=poses[0]).arguments(),
            response=response, with_ut=True, rolling_shutter=DOWN, viewmats_rs=poses[1],
        )  # fmt: skip
        return (weights * image).double().sum()

    at = torch.zeros(1, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(at), at)
    step = 2e-3
    difference = (loss(torch.full((1,), step)) - loss(torch.full((1,), -step))) / (2 * step)
    # Images in single precision give a difference that is off by a thousandth.
    assert float(gradient) == pytest.approx(float(difference), rel=0.01, abs=2e-3)
