"""Scenes as densities that rays are cast through, behind the same arguments and results as splats that are
drawn (:mod:`gsplat_core.raygauss` has the equations)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core.checks import checks_enabled, require_finite
from gsplat_core.ops.volume import cast_rays
from gsplat_core.render.drawing import Rendered
from gsplat_core.render.ellipsoids import CAMERAS, Ellipsoids, seen_ellipsoids
from gsplat_core.render.inputs import Inputs
from gsplat_core.render.meta import Meta
from gsplat_core.render.outputs import Outputs
from gsplat_core.render.rays import canonical_frames, pixel_rays
from gsplat_core.render.settings import RenderSettings
from gsplat_core.render.stages import colour

LEAST_THICKNESS = 0.05 * 0.01
"""The optical thickness of a step in a density that counts as nothing: of the density 0.05 with the usual
step. RayGauss has 0.1, and smaller steps."""

MOST_SAMPLES = 2**24
"""Of a ray; what is farther away is not seen."""


def least_density(step: float) -> float:
    """Of one Gaussian, per scene unit: what is at most this counts as nothing where samples are `step`
    apart."""
    return LEAST_THICKNESS / step


class Volume(NamedTuple):
    """What the Gaussians of a scene are besides, where rays are cast through it."""

    densities: Tensor  # [N] of the centres, per scene unit
    lobe_axes: Tensor  # [N, L, 3] of any length
    lobe_sharpness: Tensor  # [N, L]
    lobe_colors: Tensor  # [N, L, 3]


def draw_volume(
    inputs: Inputs,
    volume: Volume,
    sh_degree: int | None,
    width: int,
    height: int,
    settings: RenderSettings,
    outputs: Outputs,
) -> Rendered:
    """What :func:`gsplat_core.render.drawing.draw` makes of splats, of a density.

    `outputs` may have colours, and depths of the centres of Gaussians. The meta has ``radii``, ``depths`` and
    ``means2d``, of which only the gradient is there: that of the loss by where a Gaussian appears, in pixels.

    Raises:
        NotImplementedError: something else is wanted, or the cameras are of another model.
    """
    _check(inputs, settings, outputs)
    if checks_enabled():
        require_finite(**inputs.named_tensors(), densities=volume.densities)
    assert inputs.quats is not None
    assert inputs.scales is not None
    viewmats, Ks, means = inputs.viewmats[0], inputs.Ks[0], inputs.means[0]
    step, near = settings.ray_step, settings.near_plane
    far = min(settings.far_plane, near + MOST_SAMPLES * step)
    threshold = least_density(step)
    quats, scales = inputs.quats[0], inputs.scales[0]
    levels = 2 * (volume.densities.detach() / threshold).log()
    seen = seen_ellipsoids(
        means, quats, scales, levels, inputs.camera, viewmats, Ks, width, height, near, far
    )
    depths = (means @ viewmats[:, 2, :3, None])[..., 0] + viewmats[:, 2, 3:]  # [C, N]
    depths = torch.where(seen.visible, depths, 0.0)
    places = torch.zeros_like(depths)[..., None].expand(-1, -1, 2).clone()
    places.requires_grad_(torch.is_grad_enabled() and means.requires_grad)
    rays = rays_of_samples(inputs.camera, viewmats, Ks, width, height, near + 0.5 * step)
    frames = canonical_frames(means[None], quats[None], scales[None], None, viewmats[None])[0]
    if places.requires_grad:
        frames = _moved(frames, places, inputs, depths)
    lists = lists_of(seen, width, height, settings.tile_size)

    def cast(colors: Tensor) -> tuple[Tensor, Tensor]:
        return cast_rays(
            frames, volume.densities.expand(depths.shape), colors, seen.reaches, rays, lists,
            settings.tile_size, step=step, near=near, far=far, threshold=threshold,
        )  # fmt: skip

    channels = []
    if outputs.colors:
        colors = _colours(inputs, volume, sh_degree, seen.radii)
        image, passed = cast(colors)
        if inputs.backgrounds is not None:
            image = image + passed[..., None] * inputs.backgrounds[0, :, None, None]
        channels.append(image)
    if outputs.depth != "none" or not channels:
        image, passed = cast(depths[..., None].expand(-1, -1, 3))
        if outputs.depth == "expected":
            image = image / (1 - passed[..., None]).clamp(min=1e-10)
        if outputs.depth != "none":
            channels.append(image[..., :1])
    empty = image[..., :0]
    meta = Meta({"radii": seen.radii, "depths": depths, "means2d": places})
    return Rendered(torch.cat([empty, *channels], dim=-1), 1 - passed[..., None], meta, outputs)


def _check(inputs: Inputs, settings: RenderSettings, outputs: Outputs) -> None:
    refused = {
        f"the camera model {inputs.camera!r}": inputs.camera not in CAMERAS,
        "the order 'pixel'": settings.order == "pixel",
        "the unscented transform": settings.unscented,
        "a screen filter to compensate for": settings.antialiased,
        "absolute gradients": outputs.absgrad,
        "statistics or payloads": outputs.statistics or outputs.payloads,
        "further outputs": outputs.further or outputs.top or outputs.hits,
        "distances": outputs.depth in ("distance", "expected_distance"),
    }
    for what, wanted in refused.items():
        if wanted:
            raise NotImplementedError(f"there is no density that rays are cast through with {what}")


def _colours(inputs: Inputs, volume: Volume, sh_degree: int | None, radii: Tensor) -> Tensor:
    """[C, N, 3]: harmonics and lobes in the direction from the camera to the centre of each Gaussian."""
    assert inputs.colors is not None
    colors = colour(inputs.colors, sh_degree, inputs.means, inputs.viewmats, radii[None])[0]
    if sh_degree is None:
        return colors
    viewmats = inputs.viewmats[0]
    centres = -(viewmats[:, :3, :3].mT @ viewmats[:, :3, 3:])[..., 0]
    to_it = torch.nn.functional.normalize(inputs.means[0] - centres[:, None], dim=-1)
    axes = torch.nn.functional.normalize(volume.lobe_axes, dim=-1, eps=1e-12)
    cosines = (axes @ to_it[..., None])[..., 0]  # [C, N, L]
    shares = (volume.lobe_sharpness * (cosines - 1)).exp()
    return (colors + (shares[..., None] * volume.lobe_colors).sum(-2)).clamp(min=0.0)


def lists_of(
    seen: Ellipsoids, width: int, height: int, tile_size: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Those of tiles, nearest first by where rays may enter."""
    entries = seen.reaches[..., 0].contiguous()
    lists: tuple[Tensor, Tensor, Tensor, Tensor, Tensor] = torch.ops.gsplat_core.bin_splats(
        seen.middles, seen.shapes, entries, torch.ones_like(entries), seen.radii, width, height,
        RenderSettings(tile_size=tile_size).numbers(), torch.ones_like(entries),
    )  # fmt: skip
    return lists


def rays_of_samples(
    camera: str, viewmats: Tensor, Ks: Tensor, width: int, height: int, starts: Tensor | float
) -> Tensor:
    """[C, H, W, 7], as :func:`gsplat_core.ops.volume.cast_rays` takes them.

    Args:
        starts: how far away the first sample is; of all rays, or [C, H, W].
    """
    found = pixel_rays(camera, viewmats[None], Ks[None], None, width, height)[0]
    directions = torch.nn.functional.normalize(found[..., :3], dim=-1)
    origins = found[..., 3:] if found.shape[-1] > 3 else torch.zeros_like(directions)
    if not isinstance(starts, Tensor):
        starts = directions.new_full(directions.shape[:-1], starts)
    return torch.cat([directions, origins, starts[..., None]], dim=-1)


def _moved(frames: Tensor, places: Tensor, inputs: Inputs, depths: Tensor) -> Tensor:
    """The frames [C, N, 12], unchanged, but as if Gaussians were moved by `places` [C, N, 2], zeros, pixels
    parallel to the image."""
    viewmats, Ks = inputs.viewmats[0].detach(), inputs.Ks[0].detach()
    focal = torch.stack([Ks[:, 0, 0], Ks[:, 1, 1]], dim=-1)[:, None]
    away = torch.ones_like(depths) if inputs.camera == "ortho" else depths.detach()
    turned = frames[..., :9].detach().unflatten(-1, (3, 3)) @ viewmats[:, None, :2, :3].mT  # [C, N, 3, 2]
    offset = (turned @ (places * away[..., None] / focal)[..., None])[..., 0]
    return torch.cat([frames[..., :9], frames[..., 9:] - offset], dim=-1)
