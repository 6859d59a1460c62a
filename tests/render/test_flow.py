"""gsplat_core/render/flow.py: how what a pixel shows moves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from splats import Scene, adapted, assert_gradient, covariances, intrinsics, look_at, one_thread, random_scene
from torch import Tensor

from gsplat_core import rasterization, reference
from gsplat_core.quaternions import multiply, rotation_matrices
from gsplat_core.render.flow import MODES, Flow, conic_roots, covariance_roots
from gsplat_core.render.scene import flow_to, render
from gsplat_core.render.seam import TURN
from gsplat_core.render.variants import CAMERAS
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians

WIDTH, HEIGHT, NUM = 33, 26, 30
SETTINGS: dict[str, Any] = {"eps2d": 0.8, "near_plane": 3.3}  # near enough to cut off some Gaussians


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def scene_of(camera: str = "pinhole") -> Scene:
    scene = random_scene(NUM, cameras=2, width=WIDTH, height=HEIGHT, sh_degree=None, seed=6)
    Ks = scene.tensors["Ks"] * torch.tensor([[0.5], [0.5], [1.0]])
    return adapted(scene.with_(Ks=Ks, scales=scene.tensors["scales"] + 0.05), camera)


def second_of(scene: Scene) -> dict[str, Tensor]:
    """Everything has moved: all Gaussians, each in its own way, and the cameras."""
    g = torch.Generator().manual_seed(1)
    t = scene.tensors
    return {
        "means": t["means"] + 0.2 * torch.randn(NUM, 3, generator=g),
        "quats": t["quats"] + 0.2 * torch.randn(NUM, 4, generator=g),
        "scales": t["scales"] * torch.exp(0.2 * torch.randn(NUM, 3, generator=g)),
        "viewmats": t["viewmats"] @ look_at((0.1, 0.05, -0.1), (0.1, 0.1, 5.0)),
        "Ks": t["Ks"] * torch.tensor([[1.1, 1.0, 1.0], [1.0, 1.1, 1.0], [1.0, 1.0, 1.0]]),
    }


def wide(scene: dict[str, Any], camera: str) -> tuple[Tensor, Tensor]:
    """Centres [C, N, 2] and covariances [C, N, 2, 2] on three times the image, for the reference. Centres
    that are not there are not a number."""
    shift = torch.zeros(3, 3).double()
    shift[0, 2], shift[1, 2] = WIDTH, HEIGHT
    meta = reference.rasterization(
        scene["means"], scene["quats"], scene["scales"], torch.ones(NUM).double(), torch.zeros(NUM, 1),
        scene["viewmats"], scene["Ks"] + shift, 3 * WIDTH, 3 * HEIGHT, camera_model=camera,
        lens=scene.get("lens"), **SETTINGS,
    )[2]  # fmt: skip
    seen = (meta["radii"] > 0).all(-1)
    xx, xy, yy = torch.where(seen[..., None], meta["conics"], torch.tensor([1.0, 0, 1]).double()).unbind(-1)
    covars = torch.linalg.inv(torch.stack([xx, xy, xy, yy], -1).unflatten(-1, (2, 2)))
    return torch.where(seen[..., None], meta["means2d"] - shift[:2, 2], torch.nan), covars


def material_maps(first: dict[str, Any], second: dict[str, Any]) -> Tensor:
    """[C, N, 2, 2]: how the second pixel changes with the first one, for the point of the Gaussian's matter
    that is behind it in the plane through the centre."""
    q1, q2 = (rotation_matrices(scene["quats"]) for scene in (first, second))
    matter = q2 @ torch.diag_embed(second["scales"] / first["scales"]) @ q1.mT

    def of_one(view1: Tensor, K1: Tensor, view2: Tensor, K2: Tensor, *of_gaussian: Tensor) -> Tensor:
        m1, m2, moves = of_gaussian
        centre = view1[:3, :3] @ m1 + view1[:3, 3]

        def arrives(pixel: Tensor) -> Tensor:
            point = torch.cat([(pixel - K1[:2, 2]) / K1.diagonal()[:2], torch.ones(1).double()]) * centre[2]
            world = view1[:3, :3].mT @ (point - view1[:3, 3])
            there = view2[:3, :3] @ (moves @ (world - m1) + m2) + view2[:3, 3]
            return K2.diagonal()[:2] * there[:2] / there[2] + K2[:2, 2]

        at: Tensor = K1.diagonal()[:2] * centre[:2] / centre[2] + K1[:2, 2]
        jacobian: Tensor = torch.func.jacrev(arrives)(at)
        return jacobian

    views = (first["viewmats"], first["Ks"], second["viewmats"], second["Ks"])
    each = (first["means"], second["means"], matter)
    return torch.stack([
        torch.stack([of_one(*(v[c] for v in views), *(t[n] for t in each)) for n in range(NUM)])
        for c in range(2)
    ])  # fmt: skip


def symmetric_root(matrix: Tensor, power: float) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag_embed(values**power) @ vectors.mT


def reference_flow(
    first: dict[str, Any], second: dict[str, Any], weights: Tensor, camera: str, mode: str
) -> Tensor:
    """[C, H, W, 2] from the definition, every splat at every pixel."""
    (u1, s1), (u2, s2) = wide(first, camera), wide(second, camera)
    there = ~(u1.isnan() | u2.isnan()).any(-1)
    maps = symmetric_root(s2, 0.5) @ symmetric_root(s1, -0.5)
    if mode == "translation":
        maps = torch.eye(2).double().expand_as(maps)
    if mode == "material":
        maps = torch.where(there[..., None, None], material_maps(first, second), torch.eye(2).double())
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    pixels = torch.stack([x, y], -1).double() + 0.5  # [H, W, 2]
    u1, u2 = torch.where(there[..., None], u1, 0.0), torch.where(there[..., None], u2, 0.0)
    offsets = pixels - u1[:, :, None, None]
    arrives = (maps[:, :, None, None] @ offsets[..., None])[..., 0] + u2[:, :, None, None]
    flows = torch.where(there[:, :, None, None, None], arrives - pixels, 0.0)
    return (weights[..., None] * flows).sum(1)


@pytest.mark.parametrize(
    ("camera", "mode"),
    [(camera, mode) for mode in ("roots", "translation") for camera in CAMERAS if camera not in TURN]
    + [("pinhole", "material")],
)
@pytest.mark.parametrize("detached", [True, False])
@pytest.mark.usefixtures("backend")
def test_the_flow_and_its_gradients_are_those_of_the_definition(
    camera: str, mode: Any, detached: bool
) -> None:
    scene, g = scene_of(camera), torch.Generator().manual_seed(2)
    weighting = torch.randn(2, HEIGHT, WIDTH, 2, generator=g)

    def leaves(tensors: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
        return {n: t.detach().to(dtype).requires_grad_() for n, t in tensors.items()}

    first, then = leaves(scene.tensors, torch.float32), leaves(second_of(scene), torch.float32)
    flow = Flow(**then, mode=mode, detached=detached)  # type: ignore[arg-type]
    colors, _, meta = rasterization(**scene.arguments(first), camera_model=camera, flow=flow, **SETTINGS)

    true_first, true_then = leaves(scene.tensors, torch.float64), leaves(second_of(scene), torch.float64)
    _, _, truth = reference.rasterization(
        **scene.arguments(true_first), camera_model=camera, weights=True, **SETTINGS
    )
    keep = ~truth["ambiguous"][..., None]
    lens = {"lens": true_first["lens"]} if "lens" in true_first else {}
    held = {n: t.detach() for n, t in true_first.items()} if detached else true_first
    expected = reference_flow(
        held, true_then | lens, truth["weights"].detach() if detached else truth["weights"], camera, mode
    )
    assert meta["flow"].shape == expected.shape
    assert expected.abs().max() > 2
    error = ((meta["flow"] - expected).abs() / expected.abs().clamp(min=1))[keep.expand_as(expected)]
    assert error.max() < 1e-3
    assert torch.equal(colors, rasterization(**scene.arguments(), camera_model=camera, **SETTINGS)[0])

    (keep * weighting * meta["flow"]).sum().backward()
    (keep * weighting * expected).sum().backward()
    for name, leaf in then.items():
        if mode == "translation" and name in ("quats", "scales"):
            assert leaf.grad is None or not leaf.grad.any()
            continue
        assert leaf.grad is not None
        assert true_then[name].grad is not None
        assert_gradient(name, leaf.grad, true_then[name].grad)
    for name in ("means", "quats", "scales", "opacities", "viewmats", "Ks"):
        gradient, true = first[name].grad, true_first[name].grad
        if detached:
            assert gradient is None or not gradient.any()
        else:
            assert gradient is not None
            assert true is not None
            if name == "viewmats":  # of what is no rotation, the definition has an inverse of its own
                gradient, true = (turning(first[name].detach(), v) for v in (gradient, true))
            assert_gradient(name, gradient, true)


def turning(viewmats: Tensor, gradient: Tensor) -> Tensor:
    """The gradient of rotating [C, 3, 3] and moving [C, 3] cameras."""
    rotated = viewmats[:, :3, :3].to(gradient.dtype).mT @ gradient[:, :3, :3]
    return torch.cat([rotated - rotated.mT, gradient[:, :3, 3:]], dim=-1)


def test_roots_are_roots_and_have_derivatives_where_both_eigenvalues_are_the_same() -> None:
    shapes = torch.tensor([[1.3, 0.2, 0.4], [0.5, 0.0, 0.5], [30.0, -9.0, 0.01]]).double().requires_grad_()
    l11, l21, l22 = shapes.unbind(-1)
    upper = torch.stack([l11, l21, torch.zeros(3).double(), l22], -1).unflatten(-1, (2, 2))
    conics = upper.mT @ upper
    assert torch.allclose(conic_roots(shapes) @ conic_roots(shapes), conics)
    covars = covariance_roots(shapes) @ covariance_roots(shapes)
    assert torch.allclose(covars @ conics, torch.eye(2).double().expand(3, 2, 2), atol=1e-8)
    assert torch.autograd.gradcheck(conic_roots, shapes)
    assert torch.autograd.gradcheck(covariance_roots, shapes)


def test_what_does_not_move_has_no_flow() -> None:
    """Nothing at all, also where splats lie far outside the image."""
    scene = scene_of()
    wide_scene = scene.with_(means=2 * scene.tensors["means"])
    for mode in ("roots", "translation"):
        flow = rasterization(**wide_scene.arguments(), flow=Flow(mode=mode))[2]["flow"]  # type: ignore[arg-type]
        assert flow.abs().max() < 1e-5


def specks(num: int = 8000) -> tuple[dict[str, Tensor], Tensor]:
    """Small opaque Gaussians on a curved surface, and a camera before it."""
    g = torch.Generator().manual_seed(3)
    x, y = (torch.rand(2, num, generator=g) - 0.5) * 5
    means = torch.stack([x, y, 4 + 0.3 * torch.sin(x) + 0.2 * y], -1)
    return {
        "means": means,
        "quats": torch.randn(num, 4, generator=g),
        "scales": torch.full((num, 3), 0.04),
        "opacities": torch.full((num,), 0.9),
        "colors": torch.rand(num, 3, generator=g),
    }, torch.eye(4)[None]


def test_the_flow_of_a_moved_camera_is_that_of_the_depth() -> None:
    gaussians, viewmats = specks()
    Ks = intrinsics(60.0, 60.0, 32.0, 24.0)[None]
    other = torch.eye(4)[None].clone()
    angle = 0.05
    other[0, 0, 0] = other[0, 2, 2] = math.cos(angle)
    other[0, 0, 2], other[0, 2, 0] = math.sin(angle), -math.sin(angle)
    other[0, :3, 3] = torch.tensor([0.15, -0.1, 0.2])
    image, alphas, meta = rasterization(
        **gaussians,
        viewmats=viewmats,
        Ks=Ks,
        width=64,
        height=48,
        render_mode="ED",
        flow=Flow(viewmats=other),
    )
    depth, solid = image[0, ..., 0], alphas[0, ..., 0] > 0.95
    assert solid.double().mean() > 0.5
    y, x = torch.meshgrid(torch.arange(48) + 0.5, torch.arange(64) + 0.5, indexing="ij")
    points = torch.stack([(x - 32) / 60 * depth, (y - 24) / 60 * depth, depth], -1)
    seen = points @ other[0, :3, :3].mT + other[0, :3, 3]
    expected = torch.stack(
        [60 * seen[..., 0] / seen[..., 2] + 32 - x, 60 * seen[..., 1] / seen[..., 2] + 24 - y], -1
    )
    found = meta["flow"][0] / alphas[0]
    error = (found - expected).norm(dim=-1)[solid]
    assert expected[solid].norm(dim=-1).mean() > 3
    assert error.mean() < 0.02
    assert error.max() < 0.2


def test_the_material_map_knows_rotations_that_round_splats_do_not_show() -> None:
    gaussians, viewmats = specks(400)
    gaussians["scales"] = torch.full((400, 3), 0.2)
    angle = math.radians(15)
    turn = torch.tensor([math.cos(angle / 2), 0, 0, math.sin(angle / 2)])
    rotation = torch.tensor(
        [[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]]
    )
    moved = {
        "means": gaussians["means"] @ rotation.mT,
        "quats": multiply(turn.expand(400, 4), torch.nn.functional.normalize(gaussians["quats"], dim=-1)),
        "scales": gaussians["scales"],
    }
    Ks = intrinsics(60.0, 60.0, 32.0, 24.0)[None]
    y, x = torch.meshgrid(torch.arange(48) - 23.5, torch.arange(64) - 31.5, indexing="ij")
    places = torch.stack([x, y], -1)
    expected = places @ rotation[:2, :2].mT - places
    errors = {}
    for mode in ("material", "roots", "translation"):
        _, alphas, meta = rasterization(
            **gaussians, viewmats=viewmats, Ks=Ks, width=64, height=48,
            flow=Flow(**moved, mode=mode),  # type: ignore[arg-type]
        )  # fmt: skip
        error = (meta["flow"][0] / alphas[0].clamp(min=1e-6) - expected).norm(dim=-1)
        errors[mode] = error[alphas[0, ..., 0] > 0.95].mean().item()
    assert errors["material"] < 1e-3
    assert errors["roots"] > 20 * errors["material"]


def test_whom_the_second_camera_does_not_see_does_not_move() -> None:
    scene = scene_of()
    behind = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, -100.0], [0, 0, 0, 1]]).repeat(2, 1, 1)
    for mode in MODES:
        flow = Flow(
            viewmats=behind,
            quats=scene.tensors["quats"].roll(1, 0),
            scales=scene.tensors["scales"],
            mode=mode,
        )  # type: ignore[arg-type]
        assert not rasterization(**scene.arguments(), flow=flow)[2]["flow"].any()


def test_matter_is_stretched_five_times_at_most() -> None:
    """Gaussians without thickness too: how much these are stretched cannot be known."""
    scene = scene_of()
    scales = scene.tensors["scales"].clone()
    scales[:, 0] = 0
    given = scene.with_(scales=scales).arguments()

    def flow(factor: float) -> Tensor:
        moved = Flow(quats=scene.tensors["quats"], scales=factor * scales, mode="material")
        found: Tensor = rasterization(**given, flow=moved)[2]["flow"]
        return found

    assert flow(1.0).abs().max() < 1e-3
    assert flow(5.0).abs().max() > 1
    assert torch.allclose(flow(50.0), flow(5.0), atol=1e-5)
    assert torch.allclose(flow(0.01), flow(0.2), atol=1e-5)


def test_a_scene_of_another_time_or_for_another_camera() -> None:
    gaussians, _ = specks(500)
    scene = Gaussians(
        gaussians["means"], gaussians["quats"], gaussians["scales"].log(), torch.full((500,), 2.0),
        gaussians["colors"][:, None], torch.zeros(500, 0, 3),
    )  # fmt: skip
    K = intrinsics(60.0, 60.0, 32.0, 24.0).double().numpy()
    poses = [torch.eye(4).double(), torch.eye(4).double()]
    poses[1][0, 3] = -0.3  # to the right
    first, second = (Camera(pose.numpy(), K, 64, 48) for pose in poses)
    moved = Gaussians(**{**vars(scene), "means": scene.means + torch.tensor([0.1, 0, 0])})
    by_camera = render(scene, first, flow=flow_to(scene, second)).meta["flow"]
    by_scene = render(scene, first, flow=flow_to(moved, first)).meta["flow"]
    solid = render(scene, first).alphas[..., 0] > 0.9
    assert by_camera[solid][:, 0].mean() < -1
    assert by_scene[solid][:, 0].mean() > 0.5


def test_what_makes_no_sense_is_refused_by_name() -> None:
    scene = scene_of()
    given, then = scene.arguments(), second_of(scene)
    covars = covariances(then["quats"], then["scales"])
    for flow, message in (
        (Flow(mode="magic"), r"'flow\.mode' must be one of 'roots', "),  # type: ignore[arg-type]
        (Flow(quats=then["quats"]), "flow needs quats and scales, or covars, or neither; got quats"),
        (Flow(means=then["means"][1:]), r"flow.*"),
        (Flow(viewmats=then["viewmats"][:1], Ks=then["Ks"][:1]), "flow needs as many Gaussians and cameras"),
        (Flow(covars=covars, mode="material"), "'material' needs 'quats' and 'scales', not 'covars'"),
    ):
        with pytest.raises(ValueError, match=message):
            rasterization(**given, flow=flow)
    with pytest.raises(ValueError, match="'material' needs a pinhole camera, not 'ortho'"):
        rasterization(**scene_of("ortho").arguments(), camera_model="ortho", flow=Flow(mode="material"))


def test_packed_batched_and_beside_others() -> None:
    scene = scene_of()
    then, given = second_of(scene), scene.arguments()
    plain = rasterization(**given, flow=Flow(**then))[2]["flow"]  # type: ignore[arg-type]
    more = rasterization(
        **given,
        flow=Flow(**then),
        outputs=["normals", "median_depth"],
        packed=True,  # type: ignore[arg-type]
    )[2]
    assert torch.equal(more["flow"], plain)
    batched = {n: t.expand(2, *t.shape) if isinstance(t, Tensor) else t for n, t in given.items()}
    flow = Flow(**{n: t.expand(2, *t.shape) for n, t in then.items()})  # type: ignore[arg-type]
    assert torch.equal(rasterization(**batched, flow=flow)[2]["flow"], plain.expand(2, *plain.shape))
