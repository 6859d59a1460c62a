"""Plain Gaussians in place of a scene that is other Gaussians for each camera, for what knows only such:
those that one camera sees, or what many cameras see on average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core import primitive
from gsplat_core.errors import UsageError
from gsplat_core.primitive import Evaluated
from gsplat_core.quaternions import quaternions_of, rotation_matrices
from gsplat_core.render.cameras import Cameras
from gsplat_core.scene.gaussians import PLAIN, Gaussians
from gsplat_core.scene.harmonics import degree_of, num_coefficients, sh0_of, sh_basis

FAINTEST = 1 / 255
"""What is less opaque is never drawn."""

# So many splats are averaged at a time, of each of which there are some hundred sums.
_SPLATS = 20_000
# Cameras whose images do not show a splat count a little, so that each splat has some that do.
_ELSEWHERE = 1e-3
# What coefficients of degrees above 0 cost beside errors of colours, so that nothing is said about directions
# from which nobody looks.
_RIDGE = 0.03
# The least standard deviation beside the largest.
_FLATTEST = 1e-4


def seen_from(scene: Gaussians, viewmat: Tensor) -> Gaussians:
    """The Gaussians that a camera at one place sees, wherever it looks from there; those that are not drawn
    are left out. Their colours are those that it sees, without harmonics.

    Args:
        viewmat: [4, 4] world to camera.

    Raises:
        UsageError: the scene is the same from everywhere.
    """
    _require_per_camera(scene)
    viewmat = viewmat.to(scene.means)
    seen = _seen(scene, viewmat)
    colors = {0: sh0_of(seen.colors)[:, None]}
    return _drawn(scene, seen.opacities, seen.means, seen.quats, seen.scales.log(), colors)[0]


@torch.no_grad()
def averaged(
    scene: Gaussians, cameras: Sequence[Cameras], degrees: Sequence[int] = (0,)
) -> dict[int, Gaussians]:
    """The Gaussians that cameras see on average: opacities are means over the cameras whose images show a
    splat; places, covariances and colours are means, too, in which cameras count as much as they see of it.
    Colours are harmonics that fit what is seen from each direction.

    Args:
        cameras: of one image each, on the scene's device.
        degrees: of the harmonics, 0 to 4.

    Returns:
        The scene by degree.

    Raises:
        UsageError: the scene is the same from everywhere.
    """
    _require_per_camera(scene)
    rows = max(_SPLATS // primitive.get(scene.primitive).splats, 1)
    pieces = [
        _averaged(scene.subset(slice(start, start + rows)), cameras, degrees)
        for start in range(0, max(scene.num, 1), rows)
    ]
    return {degree: Gaussians.merge([piece[degree] for piece in pieces]) for degree in degrees}


def _averaged(scene: Gaussians, cameras: Sequence[Cameras], degrees: Sequence[int]) -> dict[int, Gaussians]:
    """Of one piece of the scene."""
    num = scene.num * primitive.get(scene.primitive).splats
    size = num_coefficients(max(degrees))
    zeros = scene.means.new_zeros
    shown, seen_opacity, weight = zeros(num), zeros(num), zeros(num)
    means, covariances = zeros(num, 3), zeros(num, 3, 3)
    products, colors = zeros(num, size, size), zeros(num, size, 3)
    for camera in cameras:
        viewmat = camera.viewmats[0].to(scene.means)
        seen = _seen(scene, viewmat)
        counts = _inside(seen.means, camera) + _ELSEWHERE
        weights = counts * seen.opacities + 1e-12
        spread = rotation_matrices(seen.quats) * seen.scales[:, None]
        along = torch.nn.functional.normalize(seen.means - _centre(viewmat), dim=1)
        basis = sh_basis(along, max(degrees))
        weighted = weights[:, None] * basis
        shown += counts
        seen_opacity += counts * seen.opacities
        weight += weights
        means += weights[:, None] * seen.means
        covariances += weights[:, None, None] * (spread @ spread.mT)
        products += weighted[:, :, None] * basis[:, None]
        colors += weighted[:, :, None] * (seen.colors - 0.5)[:, None]
    variances, axes = torch.linalg.eigh(covariances / weight[:, None, None])
    axes[:, :, 0] *= torch.linalg.det(axes).sign()[:, None]
    sizes = variances.clamp(min=0).sqrt()
    sizes = sizes.maximum(_FLATTEST * sizes[:, 2:]).clamp(min=1e-30)
    fitted = {degree: _fitted(products, colors, weight, degree) for degree in degrees}
    return _drawn(
        scene, seen_opacity / shown, means / weight[:, None], quaternions_of(axes), sizes.log(), fitted
    )


def _fitted(products: Tensor, colors: Tensor, weight: Tensor, degree: int) -> Tensor:
    """[M, K, 3] coefficients of a degree, by least squares.

    Args:
        products: [M, K', K'] sums over cameras of products of basis functions, K' at least K.
        colors: [M, K', 3] of basis functions and colours.
        weight: [M] of cameras.
    """
    size = num_coefficients(degree)
    ridge = torch.full((size,), _RIDGE).to(weight)
    ridge[0] = 1e-6
    system = products[:, :size, :size] + torch.diag_embed(weight[:, None] * ridge)
    return torch.linalg.solve(system, colors[:, :size])


def _drawn(
    scene: Gaussians,
    opacities: Tensor,
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    harmonics: Mapping[int, Tensor],
) -> dict[int, Gaussians]:
    """Plain Gaussians with harmonics of several degrees, without those that are too faint to be drawn."""
    rows = (opacities >= FAINTEST).nonzero().squeeze(1)
    sources = rows // primitive.get(scene.primitive).splats
    extras = {name: tensor[sources] for name, tensor in scene.with_primitive(PLAIN).extras.items()}
    params = {
        "means": means[rows],
        "quats": quats[rows],
        "scales": scales[rows],
        "opacities": opacities[rows].clamp(max=1 - 1e-7).logit(),
    }
    return {
        degree: Gaussians.of(
            {**params, "sh0": values[rows, :1], "shN": values[rows, 1:]},
            PLAIN, dict(extras), scene.metadata,
        )
        for degree, values in harmonics.items()
    }  # fmt: skip


class _Seen(NamedTuple):
    """Splats for one camera, M of them."""

    means: Tensor  # [M, 3]
    quats: Tensor  # [M, 4]
    scales: Tensor  # [M, 3] linear
    opacities: Tensor  # [M]
    colors: Tensor  # [M, 3] as seen


def _seen(scene: Gaussians, viewmat: Tensor) -> _Seen:
    seen = primitive.evaluate(scene, {"viewmats": viewmat[None]})
    if seen.response != "gaussian" or seen.quats is None or seen.scales is None or seen.volume is not None:
        raise UsageError(f"what is seen of the primitive {scene.primitive!r} are no plain Gaussians.")
    return _Seen(seen.means, seen.quats, seen.scales, seen.opacities, _rgb(seen, _centre(viewmat)))


def _rgb(seen: Evaluated, centre: Tensor) -> Tensor:
    """[M, 3] the colours that a camera at a place sees."""
    if isinstance(seen.colors, Tensor) and seen.colors.dim() == 2:
        return seen.colors
    parts = (seen.colors,) if isinstance(seen.colors, Tensor) else seen.colors
    coefficients = torch.cat(parts, dim=1)
    places = seen.means if seen.sh_means is None else seen.sh_means
    along = torch.nn.functional.normalize(places - centre, dim=1)
    basis = sh_basis(along, degree_of(coefficients.shape[1]))
    return (0.5 + (basis[:, :, None] * coefficients).sum(dim=1)).clamp(min=0)


def _centre(viewmat: Tensor) -> Tensor:
    """[3] of the camera."""
    return -(viewmat[:3, 3] @ viewmat[:3, :3])


def _inside(places: Tensor, camera: Cameras) -> Tensor:
    """[M] 1 where an image shows a place [M, 3], else 0; of lenses that are no pinholes 1 everywhere."""
    if camera.model != "pinhole":
        return torch.ones_like(places[:, 0])
    viewmat, K = camera.viewmats[0].to(places), camera.Ks[0].to(places)
    x, y, z = ((places @ viewmat[:3, :3].T + viewmat[:3, 3]) @ K.T).unbind(dim=1)
    inside = (z > 0) & (x >= 0) & (x <= camera.width * z) & (y >= 0) & (y <= camera.height * z)
    return inside.to(places)


def _require_per_camera(scene: Gaussians) -> None:
    if not primitive.get(scene.primitive).per_camera:
        raise UsageError(f"Gaussians of the primitive {scene.primitive!r} are the same from everywhere.")
