"""Small inputs that lead through every kernel and every loop of the CUDA operators, in a few seconds.

Splats outnumber the batches in which tiles are composited, images are no multiple of a tile, some tiles end
early, and some splats are culled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from anchor_decoders import anchors, decoder, tensors_of
from radiative.fields import detectors, field, leaves
from second_order.scenes import Camera
from splats import Scene, adapted, covariances, random_scene, render_with_gradients
from torch import Tensor

import gsplat_core
from cuda_on_cpu.operators import emulated
from gsplat_core import radiative
from gsplat_core.ops.variants import GAUSSIAN
from gsplat_core.primitive import Evaluated
from gsplat_core.raygauss import raycast
from gsplat_core.render.camera_types import RollingShutterType
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import measure, render
from gsplat_core.render.settings import USUAL, RenderSettings
from gsplat_core.render.shutter import Exposure
from gsplat_core.render.stages import project
from gsplat_core.render.variants import CAMERAS, RESPONSES
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.second_order.linearization import Linearization, Settings
from gsplat_core.second_order.preconditioner import BlockPreconditioner

ops = torch.ops.gsplat_core


Case = Callable[[], dict[str, Tensor]]
"""Some operators, and their results by name."""


@dataclass(frozen=True)
class Ran:
    """A case with all threads in order."""

    case: Case
    results: dict[str, Tensor]
    counters: dict[str, dict[str, Any]]  # of each kernel (`runtime/counters.h`)

    @property
    def name(self) -> str:
        return self.case.__name__

    @property
    def waits(self) -> set[str]:
        """The barriers where its kernels wait for other threads, as FILE:LINE."""
        return {place for kernel in self.counters.values() for place in kernel["waits"]}

    @property
    def loaded_bytes(self) -> int:
        """How much there is to do."""
        return sum(k["global_load_bytes"] + k["shared_load_bytes"] for k in self.counters.values())


def run_in_order() -> list[Ran]:
    """All cases."""
    ran = []
    with emulated() as emulation:
        emulation.take_counters()
        for case in CASES:
            results = case()
            ran.append(Ran(case, results, emulation.take_counters()))
    return ran


def distance(a: Tensor, b: Tensor) -> float:
    """The largest difference, relative to the typical size of the values."""
    a, b = a.double(), b.double()
    if a.shape != b.shape or not (a.isfinite() == b.isfinite()).all():
        return float("inf")
    difference = torch.where(a.isfinite(), a - b, 0).abs()
    typical = torch.where(b.isfinite(), b, 0).square().mean().sqrt().item()
    return difference.max().item() / max(typical, 1e-12) if difference.numel() else 0.0


def _rendered(scene: Scene, **options: object) -> dict[str, Tensor]:
    result = render_with_gradients(gsplat_core.rasterization, scene, **options)
    statistics = result.meta.get("statistics") if options.get("statistics") else None
    extra = {} if statistics is None or statistics.grad is None else {"statistics": statistics.grad}
    return {"colors": result.colors, "alphas": result.alphas, **extra, **result.gradients}


def crowded() -> dict[str, Tensor]:
    """Hundreds of splats over one and a half tiles."""
    scene = random_scene(330, width=22, height=18)
    faint = scene.with_(opacities=0.1 * scene.tensors["opacities"], scales=scene.tensors["scales"] + 0.1)
    return _rendered(faint, rasterize_mode="antialiased", absgrad=True)


def opaque() -> dict[str, Tensor]:
    """Tiles that end before their last splat."""
    scene = random_scene(290, width=20, height=17, sh_degree=1)
    solid = scene.with_(opacities=torch.full((290,), 0.95), scales=scene.tensors["scales"] + 0.2)
    return _rendered(solid, render_mode="RGB+ED", statistics=True)


def two_cameras() -> dict[str, Tensor]:
    scene = random_scene(70, cameras=2, width=41, height=23, sh_degree=4)
    quats, scales = scene.tensors.pop("quats"), scene.tensors.pop("scales")
    return _rendered(scene.with_(covars=covariances(quats, scales)))


def other_cameras() -> dict[str, Tensor]:
    """Every camera model but the usual one, with its derivatives in both modes."""
    results = {}
    for camera in CAMERAS:
        if camera == "pinhole":
            continue
        scene = adapted(random_scene(40, cameras=2, width=25, height=21, sh_degree=1), camera)
        covars = covariances(scene.tensors["quats"], scene.tensors["scales"])
        for name, given in {"": scene, " of covariances": scene.with_(covars=covars)}.items():
            rendered = _rendered(given, camera_model=camera)
            changes = _tangents(given, camera_model=camera)
            results |= {f"{camera}{name}, {part}": value for part, value in (rendered | changes).items()}
    return results


def rolling_shutters() -> dict[str, Tensor]:
    """Bounds of what is seen by cameras that move, for every camera model and shape."""
    results = {}
    bounds = RenderSettings(unscented=True, bounds_only=True, margin=1.0)
    for camera in CAMERAS:
        scene = adapted(random_scene(150, width=25, height=21), camera)
        t = {name: tensor[None] for name, tensor in scene.tensors.items()}
        end = t["viewmats"].clone()
        end[..., 0, 3] += 0.3
        moving = Exposure.between(t["viewmats"], end, RollingShutterType.ROLLING_TOP_TO_BOTTOM, 25, 21)
        covars = covariances(t["quats"][0], t["scales"][0]).flatten(-2)[None, :, [0, 1, 2, 4, 5, 8]]
        shapes = {"": (t["quats"], t["scales"], None), " of covariances": (None, None, covars.contiguous())}
        for name, shape in shapes.items():
            for levels in (None, torch.full_like(t["opacities"], 8.0)):
                splats = project(
                    t["means"], *shape, t["opacities"], moving.viewmats, t["Ks"], 25, 21, bounds,
                    lens=t.get("lens"), camera=camera, levels=levels, motion=moving.motion,
                )  # fmt: skip
                results[f"{camera}{name}, levels {levels is not None}"] = splats.means2d
    return results


def sigma_points() -> dict[str, Tensor]:
    """The unscented transform for every camera model, in both modes."""
    results = {}
    for camera in CAMERAS:
        scene = adapted(random_scene(40, cameras=2, width=25, height=21, sh_degree=1), camera)
        covars = covariances(scene.tensors["quats"], scene.tensors["scales"])
        for name, given in {"": scene, " of covariances": scene.with_(covars=covars)}.items():
            rendered = _rendered(given, camera_model=camera, with_ut=True)
            changes = _tangents(given, camera_model=camera, with_ut=True)
            results |= {f"{camera}{name}, {part}": value for part, value in (rendered | changes).items()}
    return results


def other_responses() -> dict[str, Tensor]:
    """Every response but the usual one, with what is measured along its lists."""
    results = {}
    for response in RESPONSES:
        if response == "gaussian":
            continue
        scene = adapted(random_scene(40, cameras=2, width=25, height=21, sh_degree=1), response=response)
        rendered = _rendered(scene, response=response, absgrad=True, statistics=True)
        changes = _tangents(scene, response=response)
        results |= {f"{response}, {part}": value for part, value in (rendered | changes).items()}
    return results


def surfels() -> dict[str, Tensor]:
    """Discs with all that their images have, more of them than a batch holds, in both modes, and measured."""
    results = {}
    for channels in (3, 9):
        scene = random_scene(280, width=22, height=18, sh_degree=None)
        g = torch.Generator().manual_seed(1)
        colors, behind = torch.rand(280, channels, generator=g), torch.rand(1, channels, generator=g)
        scene = scene.with_(colors=colors, backgrounds=behind, opacities=0.3 * scene.tensors["opacities"])
        for absgrad in (False, True):
            leaves = scene.leaves()
            *images, meta = gsplat_core.rasterization_2dgs(
                **scene.arguments(leaves), render_mode="RGB+D", distloss=True, absgrad=absgrad
            )
            meta["means2d"].retain_grad()
            sum((image * torch.randn(image.shape, generator=g)).sum() for image in images).backward()
            found = {f"image {i}": image.detach() for i, image in enumerate(images)}
            found |= {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
            found["signal"] = meta["means2d"].grad
            results |= {f"{channels}, {absgrad}, {name}": value for name, value in found.items()}
        results |= {f"{channels}, {name}": value for name, value in _measured_surfels(scene).items()}
    return results


def _measured_surfels(scene: Scene) -> dict[str, Tensor]:
    t = scene.tensors
    gaussians = Evaluated(
        *(t[name] for name in ("means", "quats", "scales", "opacities", "colors")), response="surfel"
    )
    cameras = Cameras(t["viewmats"], t["Ks"], scene.width, scene.height)
    labels = ((torch.arange(scene.width) // 7).expand(1, scene.height, scene.width), 4)
    wanted = Outputs(further=("median_ids", "counts"), top=2)
    seen = render(gaussians, cameras, outputs=wanted, labels=labels).meta
    first = render(gaussians, cameras, outputs=Outputs(further=("first_ids",))).meta

    def image(means: Tensor) -> Tensor:
        found = render(gaussians._replace(means=means), cameras, outputs=Outputs(hits=True))
        assert found.hits is not None
        return torch.cat([found.channels, found.hits], dim=-1)

    means = t["means"].clone().requires_grad_()
    image(means).sum().backward()  # of cameras that are not trained
    return {
        "means": means.grad,
        "contributions": measure(gaussians, cameras)[0],
        "tangents": torch.func.jvp(image, (t["means"],), (torch.ones_like(t["means"]),))[1],
        "first_ids": first["first_ids"],
        **{name: seen[name] for name in ("median_ids", "counts", "top_ids", "label_weights")},
    }


def pixel_order() -> dict[str, Tensor]:
    """Each pixel's own order of more splats than a lane or a batch has room for, for every response, with all
    that is measured."""
    results = {}
    for response in RESPONSES:
        scene = adapted(random_scene(280, width=19, height=9, sh_degree=1), response=response)
        faint = scene.with_(opacities=0.2 * scene.tensors["opacities"], scales=scene.tensors["scales"] + 0.2)
        chosen = {"order": "pixel", "response": response}
        labels = (torch.arange(19) // 7).expand(1, 9, 19)
        with torch.no_grad():
            meta = gsplat_core.rasterization(
                **faint.arguments(), **chosen, outputs=["median_ids", "counts"], top=2, labels=(labels, 4)
            )[2]
            first = gsplat_core.rasterization(**faint.arguments(), **chosen, outputs=["first_ids"])[2]
        found = {name: meta[name] for name in ("median_ids", "counts", "top_ids", "label_weights")}
        found["first_ids"] = first["first_ids"]
        found["contributions"] = _contributions(faint, response)
        for payloads in (False, True):
            rendered = _rendered(faint, **chosen, statistics=payloads, absgrad=payloads)
            found |= {f"{name} {payloads}": value for name, value in rendered.items()}
        results |= {f"{response}, {part}": value for part, value in found.items()}
    return results


def _contributions(scene: Scene, response: str) -> Tensor:
    """What an image shows of each Gaussian, in the order of each pixel's own."""
    t = scene.tensors
    gaussians = Evaluated(
        *(t[name] for name in ("means", "quats", "scales", "opacities", "colors")),
        extras=t.get("extras"), response=response,
    )  # fmt: skip
    cameras = Cameras(t["viewmats"], t["Ks"], scene.width, scene.height)
    return measure(gaussians, cameras, replace(USUAL, order="pixel"))[0]


def many_channels() -> dict[str, Tensor]:
    scene = random_scene(40, width=19, height=17, sh_degree=None)
    colors = torch.rand(40, 35, generator=torch.Generator().manual_seed(1))
    return _rendered(scene.with_(colors=colors, backgrounds=torch.zeros(1, 35)))


def _projected(width: int, height: int) -> tuple[list[Tensor], tuple[int, int, list[float]]]:
    """Splats, and the image that they are binned for."""
    scene = random_scene(80, width=width, height=height).tensors
    arguments = [scene[n][None] for n in ("means", "quats", "scales")]
    cameras = [scene[n][None] for n in ("opacities", "viewmats", "Ks")]
    drawing = (width, height, USUAL.numbers())
    splats = ops.project(*arguments, None, *cameras, None, "pinhole", *drawing)
    return [s.flatten(0, 1) for s in splats], drawing


def bounded_binning() -> dict[str, Tensor]:
    """The lists of tiles with room to spare and with too little, which only CUDA has."""
    flat, drawing = _projected(40, 30)
    results = {}
    for room in (2000, 50):
        *_, totals = ops.bin_splats_bounded(*flat, *drawing, room)
        results[f"totals with room for {room}"] = totals
    return results


def binning() -> dict[str, Tensor]:
    """The lists of tiles, and what is measured along them."""
    flat, drawing = _projected(40, 30)
    lists = ops.bin_splats(*flat, *drawing)
    results = {f"list {i}": values for i, values in enumerate(lists)}
    means2d, shapes, _, opacities, _ = flat
    results["contributions"] = ops.contributions(means2d, shapes, opacities, *lists, *drawing)
    along = (means2d, shapes, opacities, *lists, *drawing, *GAUSSIAN)
    for top in (0, 3):
        seen = ops.sightings(*along, True, True, top > 0, top > 0, top)
        results |= {f"seen of {top}, {i}": values for i, values in enumerate(seen)}
    labels = (torch.arange(30 * 40) // 7 % 6 - 1).reshape(1, 30, 40).int()
    results["label weights"] = ops.label_weights(*along, labels, 1, 3)
    return results


def levels() -> dict[str, Tensor]:
    """How far splats reach whose response has numbers of its own."""
    opacities = torch.rand(1, 80, generator=torch.Generator().manual_seed(10))
    return {"levels": ops.response_levels(opacities, 1.0 + opacities[..., None], "generalized")}


def loss() -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(2)
    image, target = torch.rand(2, 21, 35, 3, generator=g), torch.rand(2, 21, 35, 3, generator=g)
    results = {}
    for valid in (False, True):
        results[f"bytes {valid}"] = torch.cat(
            [x.flatten() for x in ops.l1_ssim(image, (255 * target).byte(), 0.2, valid, True)]
        )
    results["floats"] = torch.cat([x.flatten() for x in ops.l1_ssim(image, target, 0.2, False, True)])
    return results


def adam() -> dict[str, Tensor]:
    results = {}
    for masked in (False, True):
        g = torch.Generator().manual_seed(3)
        param, grad, exp_avg = (torch.randn(100, 5, generator=g) for _ in range(3))
        exp_avg_sq = torch.rand(100, 5, generator=g)
        visible = torch.arange(100) % 3 == 0 if masked else None
        ops.adam_step_(param, grad, exp_avg, exp_avg_sq, visible, 3, 1e-2, 0.9, 0.999, 1e-15)
        results |= {f"param {masked}": param, f"moments {masked}": exp_avg + exp_avg_sq}
    return results


def activations() -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(4)
    log_scales, logits = torch.randn(300, 3, generator=g), torch.randn(300, generator=g)
    scales, opacities = ops.activate(log_scales, logits)
    gradients = ops.activate_backward(scales, opacities, log_scales, logits)
    names = ("scales", "opacities", "gradient of scales", "gradient of opacities")
    return dict(zip(names, (scales, opacities, *gradients), strict=True))


def slices() -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(7)
    shapes = ((3,), (), (3,), (4,), (3,), (3, 3))
    rows = [0.5 * torch.randn(300, *shape, generator=g) for shape in shapes]
    inputs = (*rows, torch.tensor([0.0, 1.0, -4.0]), 0.35, False)
    means, opacities = ops.directional_slices(*inputs)
    gradients = ops.directional_slices_backward(*inputs, means, opacities, True)
    return {"means": means, "opacities": opacities, **{f"gradient {i}": g for i, g in enumerate(gradients)}}


def decoded_anchors() -> dict[str, Tensor]:
    """Anchors of two windows, and more of one than a warp has lanes; some are not visible."""
    given = anchors(300, 5, 3)
    networks = torch.cat([tensor.flatten() for _, tensor in tensors_of(decoder(5, 3, hidden=9))])
    visible = torch.arange(300) % 3 != 0
    inputs = (*given.values(), visible, networks, 9)
    splats = ops.decode_anchors(*inputs)
    gradients = ops.decode_anchors_backward(*inputs, *splats, True)
    named = {f"gradient {i}": gradient for i, gradient in enumerate(gradients)}
    return {f"splats {i}": values for i, values in enumerate(splats)} | named


def volume() -> dict[str, Tensor]:
    """Rays through more Gaussians than are staged at a time, some of which end before the last of them."""
    g = torch.Generator().manual_seed(8)
    viewmat = torch.eye(4)
    viewmat[2, 3] = 3.0
    gaussians = (
        0.4 * torch.randn(70, 3, generator=g),
        torch.randn(70, 4, generator=g),
        0.1 + 0.1 * torch.rand(70, 3, generator=g),
        4.0 * torch.rand(70, generator=g),
        torch.rand(70, 3, generator=g),
        viewmat[None],
    )
    leaves = [tensor.requires_grad_() for tensor in gaussians]
    K = torch.tensor([[[9.0, 0.0, 4.5], [0.0, 9.0, 2.5], [0.0, 0.0, 1.0]]])
    images, alphas, _ = raycast(*leaves, K, 9, 5, step=0.2, near=0.1, far=6.0, tile_size=8)
    (images.sum() + alphas.square().sum()).backward()
    gradients = {f"gradient {i}": leaf.grad for i, leaf in enumerate(leaves) if leaf.grad is not None}
    return {"images": images.detach(), **gradients}


def mcmc() -> dict[str, Tensor]:
    t = random_scene(200).tensors
    copies = torch.randint(1, 6, (200,), generator=torch.Generator().manual_seed(5)).int()
    opacities, scales = ops.relocate(t["opacities"], t["scales"], copies)
    gaussians = (t["means"], t["quats"], t["scales"], 0.1 * t["opacities"])
    perturbed = ops.perturb_means(*gaussians, 1.0, 100.0, 0.005, 0, 1)
    return {"opacities": opacities, "scales": scales, "means": perturbed}


def forward_mode() -> dict[str, Tensor]:
    """Tangents of images: of hundreds of splats over two tiles, and of many channels and covariances."""
    crowd = random_scene(290, width=22, height=18, sh_degree=2)
    scene = random_scene(40, cameras=2, width=19, height=17, sh_degree=None)
    covars = covariances(scene.tensors.pop("quats"), scene.tensors.pop("scales"))
    colors = torch.rand(40, 11, generator=torch.Generator().manual_seed(6))
    features = scene.with_(covars=covars, colors=colors, backgrounds=torch.ones(2, 11))
    return {
        f"{name}, {part}": tangents
        for name, case in {"crowd": crowd, "features": features}.items()
        for part, tangents in _tangents(case).items()
    }


def _tangents(scene: Scene, **options: object) -> dict[str, Tensor]:
    def render(*tensors: Tensor) -> tuple[Tensor, Tensor]:
        given = dict(zip(scene.tensors, tensors, strict=True))
        colors, alphas, _ = gsplat_core.rasterization(**scene.arguments(given) | options)
        return colors, alphas

    values = tuple(scene.tensors.values())
    g = torch.Generator().manual_seed(7)
    directions = tuple(0.1 * torch.randn(value.shape, generator=g) for value in values)
    colors, alphas = torch.func.jvp(render, values, directions)[1]
    return {"change of colors": colors, "change of alphas": alphas}


def gauss_newton() -> dict[str, Tensor]:
    """Blocks of 70 Gaussians in two images, not all of them seen, and steps of their systems."""
    scene = random_scene(70, cameras=2, width=25, height=21, sh_degree=3).tensors
    gaussians = Gaussians(
        scene["means"],
        scene["quats"],
        scene["scales"].log(),
        torch.logit(scene["opacities"]),
        scene["colors"][:, :1].contiguous(),
        scene["colors"][:, 1:].contiguous(),
    )
    views = [Camera(v[None], k[None], 25, 21) for v, k in zip(scene["viewmats"], scene["Ks"], strict=True)]
    linearization = Linearization(gaussians, views, Settings(3, scene["backgrounds"][0]))
    blocks = linearization.blocks([image + 0.1 for image in linearization.images])
    damping = {name: 0.1 * d + 1.0 for name, d in blocks.diagonal().items()}
    step = BlockPreconditioner(blocks, damping)({name: torch.ones_like(d) for name, d in damping.items()})
    return {
        "blocks": blocks.geometry,
        "diagonal of sh0": blocks.sh0,
        "diagonal of shN": blocks.shN,
        **step,
    }


def clusters() -> dict[str, Tensor]:
    """More points and centroids than a block compares at a time, more dimensions than a warp has lanes."""
    g = torch.Generator().manual_seed(6)
    points, centroids = torch.randn(150, 40, generator=g), torch.randn(70, 40, generator=g)
    labels, squared_distances = ops.nearest_centroids(points, centroids)
    weights = torch.rand(150, generator=g)
    means, masses = ops.cluster_means(points, labels, 70, weights)
    return {"labels": labels, "squared": squared_distances, "means": means, "masses": masses}


def neighbours() -> dict[str, Tensor]:
    """Warps with points of one node of the tree, and of several; a last warp that is not full; places
    elsewhere, which have a tree of their own."""
    g = torch.Generator().manual_seed(8)
    points, queries = torch.randn(300, 3, generator=g), torch.randn(150, 3, generator=g)
    _, squared_distances = ops.knn(points, 4)
    _, _, within = ops.neighbors_within(points, torch.rand(150, generator=g), queries)
    return {"squared": squared_distances, "within": within}


def sorted_grid() -> dict[str, Tensor]:
    """Both blurs, groups of four and of less, more channels than a warp has lanes."""
    picture = torch.rand(23, 25, 35, generator=torch.Generator().manual_seed(9))
    order = ops.grid_sort(picture, 1, 10.0, 0.15, 0.2)[1]
    return {"order": order}


def radiative_field() -> dict[str, Tensor]:
    """More Gaussians than a batch holds in pixels and in voxels, of which nobody sees some."""
    results = {}
    gaussians = field(170)
    gaussians[0] *= 0.3  # most of them in one tile
    gaussians[0][::9] *= 30
    for beam in ("cone", "parallel"):
        inputs = leaves([*gaussians, *detectors(beam)])
        images = radiative.project(*inputs, 27, 25, beam=beam)
        results |= _named(beam, images, torch.autograd.grad(images.square().sum(), inputs))
        fixed = radiative.project(*inputs[:4], *detectors(beam), 27, 25, beam=beam)
        results |= _named(f"{beam}, fixed detectors", fixed, torch.autograd.grad(fixed.sum(), inputs[:4]))
    inputs = leaves(gaussians)
    volume = radiative.voxelize(*inputs, origin=(-1, -1, -1), spacing=0.2, shape=(9, 10, 11))
    return results | _named("voxels", volume, torch.autograd.grad(volume.square().sum(), inputs))


def _named(name: str, result: Tensor, gradients: Iterable[Tensor]) -> dict[str, Tensor]:
    return {name: result.detach()} | {f"{name}, gradient {i}": v for i, v in enumerate(gradients)}


CASES: list[Case] = [
    crowded,
    opaque,
    two_cameras,
    other_cameras,
    sigma_points,
    rolling_shutters,
    other_responses,
    surfels,
    pixel_order,
    many_channels,
    bounded_binning,
    binning,
    levels,
    loss,
    adam,
    activations,
    slices,
    decoded_anchors,
    volume,
    mcmc,
    forward_mode,
    gauss_newton,
    clusters,
    neighbours,
    sorted_grid,
    radiative_field,
]
