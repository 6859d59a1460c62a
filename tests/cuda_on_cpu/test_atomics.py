"""How often gradients and moments are added to memory, counted and worked out from the scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from splats import random_scene
from torch import Tensor

from cuda_on_cpu.library import Library
from cuda_on_cpu.operators import emulated
from gsplat_core.ops.gauss_newton import MOMENTS
from gsplat_core.ops.variants import NO_CARRIERS, NO_RAYS
from gsplat_core.render import stages
from gsplat_core.render.settings import USUAL

ops = torch.ops.gsplat_core

WIDTH, HEIGHT, PATCH = 50, 40, 8  # a warp has a patch of PATCH x PATCH pixels


def blended(splats: stages.Splats, slack: float) -> Tensor:
    """Which splats blend at which pixels, [splats, H, W]; decided with `slack`, in favour of blending."""
    means, roots, depths, opacities, radii = (s[0, 0] for s in splats)
    order = depths.argsort()
    order = order[(radii[order] > 0).all(-1)]
    y, x = torch.meshgrid(torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij")
    dx, dy = (
        axis.double() - mean[:, None, None]
        for axis, mean in zip((x, y), means[order].double().T, strict=True)
    )
    l11, l21, l22 = (root[:, None, None] for root in roots[order].double().T)
    sigma = ((l11 * dx + l21 * dy) ** 2 + (l22 * dy) ** 2) / 2
    uncapped = opacities[order].double()[:, None, None] * torch.exp(-sigma)
    hits = uncapped >= (1 - slack) / 255
    behind = torch.cumprod(1 - torch.where(hits, uncapped.clamp(max=0.99), 0), dim=0)
    return hits & (behind > (1 - slack) * 1e-4)


def pairs_of_warps_and_splats(pixels: Tensor) -> int:
    """In how many patches each splat blends at least once, summed over the splats."""
    room = (0, -pixels.shape[2] % PATCH, 0, -pixels.shape[1] % PATCH)
    padded = torch.nn.functional.pad(pixels, room)
    return int(padded.unflatten(2, (-1, PATCH)).unflatten(1, (-1, PATCH)).any(dim=4).any(dim=2).sum())


@dataclass(frozen=True)
class Case:
    """Splats, their compositing's arguments but for the means, and the pairs of warps and splats."""

    splats: stages.Splats
    compositing: tuple[Any, ...]
    least: int
    most: int

    @staticmethod
    def of(channels: int, opaque: bool) -> Case:
        scene = random_scene(150, width=WIDTH, height=HEIGHT).tensors
        t = {name: value[None] for name, value in scene.items()}
        opacities = torch.full((1, 150), 0.95) if opaque else t["opacities"]
        shapes = (t["means"], t["quats"], t["scales"] + 0.1 * opaque, None, opacities)
        splats = stages.project(*shapes, t["viewmats"], t["Ks"], WIDTH, HEIGHT)
        tiles = stages.bin_splats(splats, WIDTH, HEIGHT)
        colors = torch.rand(1, 150, channels)
        compositing = (
            splats.shapes[0],
            splats.opacities[0],
            colors,
            None,
            *tiles,
            WIDTH,
            HEIGHT,
            USUAL.numbers(),
            None,
            "gaussian",
            *NO_RAYS,
        )
        least, most = (pairs_of_warps_and_splats(blended(splats, slack)) for slack in (-1e-4, 1e-4))
        assert most < 1.01 * least
        return Case(splats, compositing, least, most)

    def assert_adds_once(self, library: Library, components: int) -> None:
        """One atomic operation per warp, splat and component, since the counters were taken last."""
        atomics = sum(counted["global_atomics"] for counted in library.take_counters().values())
        assert components * self.least <= atomics <= components * self.most


@pytest.mark.parametrize(
    ("channels", "absgrad", "statistics"),
    [(3, False, False), (3, True, False), (3, True, True), (7, False, False)],
)
@pytest.mark.parametrize("opaque", [False, True])
def test_gradients(channels: int, absgrad: bool, statistics: bool, opaque: bool) -> None:
    case = Case.of(channels, opaque)
    means2d = case.splats.means2d[0]
    with emulated(check=False) as library:
        image, alphas, *_ = ops.composite(means2d, *case.compositing, *NO_CARRIERS)
        upstream = (torch.ones_like(image), torch.ones_like(alphas))
        probe = torch.ones(1, HEIGHT, WIDTH) if statistics else None
        library.take_counters()
        wanted = {"statistics": statistics, "absgrad": absgrad}
        ops.composite_backward(means2d, *case.compositing, image, alphas, *upstream, probe, **wanted)
        case.assert_adds_once(library, 6 + channels + 2 * absgrad + 3 * statistics)


@pytest.mark.parametrize("opaque", [False, True])
def test_moments(opaque: bool) -> None:
    case = Case.of(3, opaque)
    means2d = case.splats.means2d[0]
    with emulated(check=False) as library:
        image, *_ = ops.composite(means2d, *case.compositing, *NO_CARRIERS)
        library.take_counters()
        *inputs, extras, response, _, _ = case.compositing
        ops.composite_moments(means2d, *inputs, image, torch.ones_like(image), extras, response)
        case.assert_adds_once(library, MOMENTS)
