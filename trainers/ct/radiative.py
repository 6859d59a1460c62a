"""Fits a density field to X-ray projections (Zha et al. 2024, "R2-Gaussian")."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from gsplat_core.densify.store import ParameterStore
from gsplat_core.densify.strategy import SceneView
from gsplat_core.losses import l1_dssim
from gsplat_core.optim import Adam
from gsplat_core.tomography.backprojection import fdk
from gsplat_core.tomography.between_rows import between_rows
from gsplat_core.tomography.density_control import DensityControl, DensityControlConfig
from gsplat_core.tomography.field import FIELDS, DensityField, activated, inverted, started
from gsplat_core.tomography.grid import Grid
from gsplat_core.tomography.scan import Scan
from gsplat_core.tomography.scanner import Scanner
from trainers.ct.config import RadiativeConfig
from trainers.schedules import exponential

FINAL_RATE = 0.1
"""Of all learning rates, as a share of the first."""
FITTED_VIEWS = 4

Told = Callable[[int, float, int], None]
"""Of a step, the loss and the number of Gaussians."""


def fitted(scan: Scan, config: RadiativeConfig, device: torch.device, told: Told) -> DensityField:
    """The field whose line integrals are those of the training projections.

    Args:
        scan: with its volume in [-1, 1]^3.
        told: called after each step.
    """
    train = scan.train
    scanner, targets = train.scanner, train.integrals.to(device)
    peak = float(targets.max())
    params = {
        name: value.to(device).requires_grad_()
        for name, value in inverted(first_field(train, config)).items()
    }
    optimizer = Adam(
        [{"params": [value], "lr": _rate(config, name), "name": name} for name, value in params.items()],
        eps=1e-15,
    )
    store = ParameterStore(params, optimizer, most=config.max_gaussians)
    control = DensityControl(_control(config))
    control.initialize(store.num, device)
    random = torch.Generator().manual_seed(config.seed)
    for step, view in zip(range(1, config.steps + 1), shuffled(train.scanner.num, random), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = exponential(1, FINAL_RATE, step, config.steps) * _rate(config, group["name"])
        camera = scanner.selected(torch.tensor([view]))
        target = targets[view]
        if scanner.beam == "parallel" and torch.rand(1, generator=random) < config.between_rows:
            share = float(torch.rand(1, generator=random)) - 0.5
            camera, target = between_rows(camera, target[None], share)
            target = target[0]
        loss = _differentiated(store.params, camera, target / peak, peak, config.ssim)
        gradient = store.params["means"].grad
        assert gradient is not None
        if step < control.config.refine_stop:
            control.on_projection(gradient, store.params["means"].detach(), camera)
        if config.tv:
            part = _part(scanner.grid, config.tv_side, random)
            (config.tv * _variation(activated(store.params).volume(part))).backward()
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            plan = store.apply(control.on_step(step, SceneView(store.params, 1.0)))
        control.follow(plan)
        told(step, loss, store.num)
    with torch.no_grad():
        return DensityField(*(tensor.detach() for tensor in activated(store.params)))


def first_field(train: Scan, config: RadiativeConfig) -> DensityField:
    """Where a fit begins: Gaussians in a backprojected volume, with densities whose line integrals fit best.

    Raises:
        ValueError: nothing is in the volume.
    """
    volume = fdk(train.scanner, train.integrals, hann=True)
    field = started(
        volume, train.scanner.grid, count=min(config.initial, config.max_gaussians),
        least=config.initial_least, share=config.initial_share, seed=config.seed,
    )  # fmt: skip
    some = torch.arange(0, train.scanner.num, max(train.scanner.num // FITTED_VIEWS, 1))[:FITTED_VIEWS]
    with torch.no_grad():
        projected = field.projections(train.scanner.selected(some)).double()
    factor = (projected * train.integrals[some]).sum() / projected.square().sum()
    return field._replace(densities=field.densities * float(factor.clamp(1e-3, 1e3)))


def _differentiated(
    raw: Mapping[str, Tensor], camera: Scanner, target: Tensor, peak: float, ssim: float
) -> float:
    """The loss of one projection, after its backward pass; no graph is left, as density control demands."""
    image = activated(raw).projections(camera)[0] / peak
    loss = _difference(image, target, ssim)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item()


def _rate(config: RadiativeConfig, name: str) -> float:
    published = FIELDS[name].learning_rate
    assert published is not None
    return config.rate * published


def _control(config: RadiativeConfig) -> DensityControlConfig:
    return DensityControlConfig(
        gradient_threshold=config.gradient_threshold,
        split_scale=config.split_scale,
        refine_start=round(config.densify_from * config.steps),
        refine_stop=round(config.densify_until * config.steps),
        refine_every=config.densify_every,
        max_gaussians=config.max_gaussians,
        seed=config.seed,
    )


def _difference(image: Tensor, target: Tensor, ssim: float) -> Tensor:
    """The mean absolute difference + ssim (1 - SSIM), of images [H, W] with values around [0, 1]."""
    channels = (*image.shape, 3)
    loss = l1_dssim(image[..., None].expand(channels), target[..., None].expand(channels), ssim / (1 + ssim))
    return (1 + ssim) * loss


def shuffled(count: int, random: torch.Generator) -> Iterator[int]:
    """Numbers of views without end, all of them before any comes again."""
    while True:
        yield from torch.randperm(count, generator=random).tolist()


def _part(grid: Grid, side: int, random: torch.Generator) -> Grid:
    """A cube of voxels somewhere in the grid."""
    shape = [min(side, n) for n in grid.shape]
    first = [
        int(torch.randint(n - m + 1, (1,), generator=random)) for n, m in zip(grid.shape, shape, strict=True)
    ]
    ox, oy, oz = (o + i * d for o, i, d in zip(grid.origin, first, grid.spacing, strict=True))
    return dataclasses.replace(grid, shape=(shape[0], shape[1], shape[2]), origin=(ox, oy, oz))


def _variation(volume: Tensor) -> Tensor:
    """The mean absolute difference between neighbours along each axis, of all axes together."""
    return torch.stack(
        [volume.diff(dim=axis).abs().mean() for axis in range(3) if volume.shape[axis] > 1]
    ).sum()
