"""Images of a density made of Gaussians, by casting a ray through every pixel (RayGauss, Blanc, Deschaud and
Paljic 2025).

The density at a place is the sum of those of all Gaussians there, sigma(x) = sum s_i w_i(x) with the peak s_i
and w_i = exp(-d^2 / 2) at d standard deviations from the centre, and the colour there is the mean of their
colours c_i, weighted by s_i w_i. A term of at most `density_threshold` counts as nothing. A ray takes samples
at even distances `step`, and blends them front to back with alpha = 1 - exp(-sigma step), until less than
0.003 of the light comes through. So Gaussians that lie in each other mix, whatever their order, and none pops
up in front of another when the camera moves.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from gsplat_core.arguments import check_choice, check_same_device, check_tensor
from gsplat_core.ops.volume import cast_rays
from gsplat_core.pinhole import check_cameras
from gsplat_core.render.ellipsoids import CAMERAS, seen_ellipsoids
from gsplat_core.render.rays import canonical_frames
from gsplat_core.render.settings import TILE_SIZES
from gsplat_core.render.volume import MOST_SAMPLES, lists_of, rays_of_samples

OFFSETS = ("mid", "start", "random")
"""Where in its step a sample is taken."""


def raycast(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    densities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    step: float,
    near: float,
    far: float,
    backgrounds: Tensor | None = None,
    density_threshold: float = 0.1,
    offset: str = "mid",
    seed: int = 0,
    camera_model: str = "pinhole",
    tile_size: int = 16,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Renders N Gaussians into the images of C cameras, differentiably with respect to all tensors.

    Args:
        means: [N, 3] centres.
        quats: [N, 4] rotations (w, x, y, z) of any length.
        scales: [N, 3] standard deviations, scene units.
        densities: [N] of the centres, per scene unit; what is not above `density_threshold` is not seen.
        colors: [N, 3] or, if each camera sees others, [C, N, 3].
        viewmats: [C, 4, 4] rigid, world to camera.
        Ks: [C, 3, 3] pixels.
        width, height: of the images.
        step: between samples, scene units.
        near, far: samples lie between these distances from the ray's origin; of "ortho", from its plane.
        backgrounds: [C, 3] behind everything; None: black.
        density_threshold: of one Gaussian; positive, as it bounds where a Gaussian is looked for.
        offset: where in their steps samples are: "mid", at the "start", or "random", the same in all steps
            of a ray.
        seed: of "random".
        camera_model: "pinhole" or "ortho".
        tile_size: side of the tiles in pixels, 8, 16 or 32. It does not change images.

    Returns:
        - images [C, H, W, 3],
        - alphas [C, H, W, 1]: what does not come through,
        - and a dictionary: ``visible`` [C, N], whether a camera may see a Gaussian, and ``radii`` [C, N, 2]
          int32, how far from its middle in pixels, zero where not visible.

    Raises:
        ValueError: an argument has a wrong shape, type or value; says which and what was expected.
    """
    sizes = {"N": len(means), "C": len(viewmats)}
    shapes = {
        "means": (means, "N 3"), "quats": (quats, "N 4"), "scales": (scales, "N 3"),
        "densities": (densities, "N"), "colors": (colors, "N 3" if colors.dim() == 2 else "C N 3"),
        "viewmats": (viewmats, "C 4 4"), "Ks": (Ks, "C 3 3"),
    }  # fmt: skip
    if backgrounds is not None:
        shapes["backgrounds"] = (backgrounds, "C 3")
    for name, (tensor, layout) in shapes.items():
        check_tensor(name, tensor, layout, sizes, ())
    check_same_device({name: tensor for name, (tensor, _) in shapes.items()})
    check_choice("offset", offset, OFFSETS)
    check_choice("camera_model", camera_model, CAMERAS)
    check_choice("tile_size", tile_size, TILE_SIZES)
    check_cameras(viewmats, Ks, rigid=True)
    for name, number in (("width", width), ("height", height), ("step", step),
                         ("density_threshold", density_threshold)):  # fmt: skip
        if not (number > 0 and math.isfinite(number)):
            raise ValueError(f"argument '{name}' must be positive and finite, got {number}")
    if not 0 <= near < far:
        raise ValueError(f"arguments 'near' and 'far' must be 0 <= near < far, got {near} and {far}")
    far = min(far, near + MOST_SAMPLES * step)

    levels = 2 * (densities.detach() / density_threshold).log()
    seen = seen_ellipsoids(means, quats, scales, levels, camera_model, viewmats, Ks, width, height, near, far)
    first: Tensor | float = near + (0.5 * step if offset == "mid" else 0.0)
    if offset == "random":
        generator = torch.Generator().manual_seed(seed)
        shares = torch.rand(len(viewmats), height, width, generator=generator)
        first = near + step * shares.to(means.device)
    cameras = (len(viewmats), len(means))
    images, transmittances = cast_rays(
        canonical_frames(means[None], quats[None], scales[None], None, viewmats[None])[0],
        densities.expand(cameras),
        colors.expand(*cameras, 3),
        seen.reaches,
        rays_of_samples(camera_model, viewmats, Ks, width, height, first),
        lists_of(seen, width, height, tile_size),
        tile_size,
        step=step,
        near=near,
        far=far,
        threshold=density_threshold,
    )
    if backgrounds is not None:
        images = images + transmittances[..., None] * backgrounds[:, None, None]
    return images, 1 - transmittances[..., None], {"visible": seen.visible, "radii": seen.radii}
