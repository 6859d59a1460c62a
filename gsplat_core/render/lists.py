"""From Gaussians to the lists of splats by which pixels are drawn: what everything that looks at an image has
in common, whether it blends colours or only measures."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from gsplat_core.render.inputs import Inputs
from gsplat_core.render.planes import flattened, fronts
from gsplat_core.render.rays import Rays, places_of, rays_of
from gsplat_core.render.seam import TURN, Copies
from gsplat_core.render.settings import RenderSettings
from gsplat_core.render.stages import Splats, TileLists, bin_splats, extras_of_splats, levels, project
from gsplat_core.render.surfels import seen_surfels
from gsplat_core.render.variants import EVERY_RESPONSE
from gsplat_core.render.windshield import behind


class Projected(NamedTuple):
    """Splats as the cameras see them, with the numbers that their response has besides their shape, and the
    rays of the pixels, where the response or the order looks along them."""

    splats: Splats
    extras: Tensor | None
    rays: Rays | None


class Listed(NamedTuple):
    """What is drawn: the splats with their copies beyond the seam, if there is one, and the tiles' lists."""

    copies: Copies | None
    splats: Splats
    extras: Tensor | None
    rays: Rays | None
    tiles: TileLists


def projected(inputs: Inputs, width: int, height: int, settings: RenderSettings) -> Projected:
    """Projects, differentiably. The settings are those for the response, `RenderSettings.for_response`.

    Raises:
        NotImplementedError: Gaussians or cameras of which that is not known.
    """
    if inputs.planes:
        inputs = flattened(inputs)
    if EVERY_RESPONSE[inputs.response].flat:
        splats, surfels = seen_surfels(inputs, width, height, settings)
        return Projected(splats, None, surfels)
    seen = inputs if inputs.windshield is None else behind(inputs)
    splats = project(
        seen.means, seen.quats, seen.scales, seen.covars, seen.opacities, seen.viewmats, seen.Ks, width,
        height, settings, lens=seen.lens, camera=seen.camera,
        levels=levels(seen.opacities, seen.response, seen.extras), motion=seen.motion,
    )  # fmt: skip
    if seen is not inputs:
        images = inputs.viewmats.shape[:2]
        splats = Splats(*[tensor.reshape(*images, *tensor.shape[2:]) for tensor in splats])
    extras = None if inputs.extras is None else extras_of_splats(inputs.extras, splats)
    rays = rays_of(inputs, width, height, settings)
    if EVERY_RESPONSE[inputs.response].along_rays:
        splats = places_of(splats)
    if inputs.planes:
        splats = fronts(inputs, splats)
    return Projected(splats, extras, rays)


def listed(
    inputs: Inputs,
    splats: Splats,
    extras: Tensor | None,
    rays: Rays | None,
    width: int,
    height: int,
    settings: RenderSettings,
) -> Listed:
    """Sorts what is projected and lists it for every tile."""
    copies = Copies.of(inputs.camera, inputs.Ks, splats, width) if inputs.camera in TURN else None
    if copies is not None:
        splats = copies.drawn(splats)
        extras, rays = copies.seen(extras, rays)
    tiles = bin_splats(splats, width, height, settings, response=inputs.response, extras=extras)
    return Listed(copies, splats, extras, rays, tiles)
