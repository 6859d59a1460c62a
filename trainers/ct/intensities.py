"""Fits blended intensities to X-ray projections (Cai et al. 2024, "X-Gaussian")."""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core import rasterization
from gsplat_core.activations import activate
from gsplat_core.densify.adc import ADC, ADCConfig
from gsplat_core.densify.store import ParameterStore
from gsplat_core.densify.strategy import RenderStats, SceneView
from gsplat_core.losses import l1_dssim
from gsplat_core.ops.neighbors import knn
from gsplat_core.optim import Adam
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import rgb_of, sh0_of
from gsplat_core.tomography.intensities import cuboid
from gsplat_core.tomography.scan import Scan
from gsplat_core.tomography.scanner import Scanner
from trainers.ct.config import IntensityConfig
from trainers.ct.radiative import Told, shuffled
from trainers.schedules import exponential

PUBLISHED_STEPS = 20_000
MEANS_RATE, FINAL_MEANS_RATE = 1.9e-4, 1.9e-6
# An Adam step of 0.002 moves an intensity by 0.002 k_0, and those of a twentieth of it for the other 15
# coefficients by the sum of their |k|.
RATES = {"quats": 0.001, "scales": 0.005, "opacities": 0.008, "sh0": 0.0064}
OPACITY = 0.1


def fitted(scan: Scan, config: IntensityConfig, device: torch.device, told: Told) -> Gaussians:
    """The Gaussians that blend into the training projections, whose largest line integral is an intensity of
    1.

    Args:
        scan: with its volume in [-1, 1]^3.
        told: called after each step.
    """
    train = scan.train
    scanner = train.scanner
    targets = (train.integrals / train.integrals.max()).to(device)
    scene = first_scene(train, config).to(device)
    extent = _extent(scanner)
    params = {name: value.requires_grad_() for name, value in scene.params.items()}
    optimizer = Adam([{"params": [params[name]], "lr": config.rate * rate, "name": name}
                      for name, rate in {"means": 0.0, **RATES}.items()], eps=1e-15)  # fmt: skip
    store = ParameterStore(params, optimizer, most=config.max_gaussians)
    control = ADC(adc(config))
    control.initialize(store.num, device)
    random = torch.Generator().manual_seed(config.seed)
    for step, view in zip(range(1, config.steps + 1), shuffled(scanner.num, random), strict=False):
        optimizer.param_groups[0]["lr"] = extent * exponential(
            MEANS_RATE, FINAL_MEANS_RATE, step, config.steps
        )
        loss, stats = _differentiated(
            store.params, scanner.selected(torch.tensor([view])), targets[view], extent
        )
        control.on_backward(step, stats)
        optimizer.step()
        optimizer.zero_grad()
        plan = store.apply(control.on_step(step, SceneView(store.params, extent)))
        control.follow(plan)
        told(step, loss, store.num)
    return Gaussians.of({name: value.detach() for name, value in store.params.items()})


def _differentiated(
    params: dict[str, Tensor], camera: Scanner, target: Tensor, extent: float
) -> tuple[float, RenderStats]:
    """The loss of one projection after its backward pass, and what density control learns of it."""
    image, meta = blended(params, camera)
    meta["means2d"].retain_grad()
    channels = (*target.shape, 3)
    loss = l1_dssim(image[0, ..., None].expand(channels), target[..., None].expand(channels))
    loss.backward()  # type: ignore[no-untyped-call]
    gradient = meta["means2d"].grad
    assert gradient is not None
    return loss.item(), RenderStats(
        gradient, meta["radii"], camera.width, camera.height, 1, scene_extent=extent
    )


def blended(params: dict[str, Tensor], scanner: Scanner) -> tuple[Tensor, dict[str, Tensor]]:
    """The intensities [C, H, W] that a scanner sees of raw parameters, and what the rasterizer tells."""
    scales, opacities = activate(params["scales"], params["opacities"])
    images, _, meta = rasterization(
        params["means"], params["quats"], scales, opacities,
        rgb_of(params["sh0"]).mean(dim=2).clamp(min=0),
        scanner.viewmats.to(scales), scanner.Ks.to(scales), scanner.width, scanner.height,
        camera_model="pinhole" if scanner.beam == "cone" else "ortho",
    )  # fmt: skip
    return images[..., 0], meta


def adc(config: IntensityConfig) -> ADCConfig:
    """The published density control, for as many steps."""
    published = ADCConfig(
        gradient_threshold=2.6e-5, scale="published", refine_start=500, refine_stop=8000, refine_every=200,
        reset_every=4000, max_gaussians=config.max_gaussians, seed=config.seed,
    )  # fmt: skip
    return published.stretched(config.steps / PUBLISHED_STEPS)


def _extent(scanner: Scanner) -> float:
    """What 3DGS calls the extent of cameras: how far they are from their middle."""
    centres = -torch.einsum("cji,cj->ci", scanner.viewmats[:, :3, :3], scanner.viewmats[:, :3, 3])
    return 1.1 * float((centres - centres.mean(dim=0)).norm(dim=1).max())


def first_scene(train: Scan, config: IntensityConfig) -> Gaussians:
    """Gaussians on a grid of the scanned cuboid, almost black; no volume or points are needed."""
    means = cuboid(train.scanner.grid, config.interval)
    _, squares = knn(means, 3)
    random = torch.Generator().manual_seed(config.seed)
    num = len(means)
    colours = 0.01 * torch.rand(num, 1, 1, generator=random)
    return Gaussians(
        means=means,
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(num, 1),
        scales=squares.mean(dim=1).sqrt().log()[:, None].repeat(1, 3),
        opacities=torch.full((num,), OPACITY).logit(),
        sh0=sh0_of(colours).expand(-1, -1, 3).contiguous(),
        shN=torch.zeros(num, 0, 3),
    )
