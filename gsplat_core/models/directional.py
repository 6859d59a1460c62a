"""Gaussians over places and viewing directions: N-DG (Diolatzis et al. 2024) and 6DGS (Gao et al. 2024).

A row is a Gaussian of six dimensions, of which a camera sees the slice along the direction d from its centre
to the row's place m_p (`means`). Its covariance is L L^T with the direction first,

    L = [[Ld, 0], [X, Lp]],

and so what is drawn needs no inverse, and its covariance is the same from everywhere and never indefinite:

    y = Ld^-1 (d - m_d),    mean m_p + X y,    covariance Lp Lp^T,    opacity o exp(-lambda |y|^2).

Both blocks on the diagonal are a rotation times standard deviations. Those of Lp are the plain Gaussian's
`quats` and `scales`, by which density control clones, splits and prunes: 6DGS takes them for that from a
singular value decomposition, here they are what is trained. Those of Ld are `lobe_quats` and `lobe_scales`,
around the mean direction m_d, `directions`, which may have any length; `slopes` [N, 3, 3] are the columns of
X, where the mean goes per standard deviation along each axis of the lobe. Nothing of this is constrained.

N-DG has lambda = 1, colours that are the same from everywhere, and a direction that is a constant to places;
6DGS has lambda = 0.35, spherical harmonics along d and all gradients. What is drawn with an opacity below
1/255 is culled by the projection, exactly.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gsplat_core.ops.directional import directional_slices
from gsplat_core.primitive import Evaluated, gaussian, register
from gsplat_core.quaternions import quaternions_of
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import sh0_of
from gsplat_core.scene.schema import GAUSSIAN, Field

NDG, SIX = "ndg", "6dgs"
FALLOFF = {NDG: 1.0, SIX: 0.35}
"""Lambda."""

_WIDE = 14.0
"""The logarithm of a width in front of which all directions are one: y and what depends on it vanish."""

SCHEMA = GAUSSIAN.plus(
    Field("directions", (3,), learning_rate=1e-3, similarity="direction"),
    Field("lobe_quats", (4,), learning_rate=1e-3, similarity="rotation", blank=(1.0, 0.0, 0.0, 0.0)),
    Field("lobe_scales", (3,), activation="exp", learning_rate=1e-2, blank=_WIDE),
    Field("slopes", (3, 3), learning_rate=1e-4, similarity="vector"),
)
"""Lobes as wide as the blank ones are the same from everywhere."""


def started(scene: Gaussians, seed: int) -> Gaussians:
    """Lobes as N-DG starts: around random directions, with an opacity that falls as exp(-|d - m_d|^2)."""
    random = torch.Generator().manual_seed(seed)
    directions = torch.nn.functional.normalize(torch.randn(scene.num, 3, generator=random), dim=1)
    width = math.log(FALLOFF[scene.primitive]) / 2
    lobes = {
        "directions": directions.to(scene.means),
        "lobe_scales": torch.full_like(scene.further["lobe_scales"], width),
    }
    return dataclasses.replace(scene, further=scene.further | lobes)


def from_position_first(
    means: Tensor, factors: Tensor, opacities: Tensor, colors: Tensor, primitive: str = NDG
) -> Gaussians:
    """The scene of Gaussians whose covariance is given as N-DG has it, with the position first.

    Args:
        means: [N, 6] places and directions.
        factors: [N, 6, 6] lower triangular L, of the covariances L L^T in the same order.
        opacities: [N] in (0, 1).
        colors: [N, 3] in [0, 1].
        primitive: which of the two.

    Raises:
        ValueError: the shapes do not fit.
    """
    num = means.shape[0]
    shapes = {"means": (means, (num, 6)), "factors": (factors, (num, 6, 6)),
              "opacities": (opacities, (num,)), "colors": (colors, (num, 3))}  # fmt: skip
    for name, (tensor, expected) in shapes.items():
        if tuple(tensor.shape) != expected:
            raise ValueError(f"{name}: expected shape {list(expected)}, got {list(tensor.shape)}")
    rows = factors.double()
    # Direction first: then the triangular factor of the same covariance, which is R^T of rows^T = Q R.
    upper = torch.linalg.qr(torch.cat([rows[:, 3:], rows[:, :3]], dim=1).mT).R
    lobe_axes, lobe_scales, turn = torch.linalg.svd(upper[:, :3, :3].mT)
    axes, scales, _ = torch.linalg.svd(upper[:, 3:, 3:].mT)
    plain = Gaussians(
        means=means[:, :3],
        quats=quaternions_of(_right_handed(axes)).to(means.dtype),
        scales=scales.log().to(means.dtype),
        opacities=opacities.logit(),
        sh0=sh0_of(colors)[:, None],
        shN=means.new_zeros(num, 0, 3),
    )
    # X y is the same with y along the axes of the lobe: X Ld^-1 = (X V) (U S)^-1 where Ld = U S V^T. An axis
    # that points the other way changes the sign of its y.
    handed = _right_handed(lobe_axes)
    slopes = turn @ upper[:, :3, 3:] * (handed * lobe_axes).sum(dim=1).sign()[:, :, None]
    own = {
        "directions": means[:, 3:],
        "lobe_quats": quaternions_of(handed).to(means.dtype),
        "lobe_scales": lobe_scales.log().to(means.dtype),
        "slopes": slopes.to(means.dtype),
    }
    return Gaussians.of(plain.params | own, primitive)


def _right_handed(axes: Tensor) -> Tensor:
    """Rotations [N, 3, 3] with the columns of orthogonal matrices, the last one reversed where need be."""
    signs = torch.ones_like(axes[:, 0])
    signs[:, 2] = torch.linalg.det(axes)
    return axes * signs[:, None]


def _centre(viewmat: Tensor) -> Tensor:
    """[3] of the camera."""
    return -(viewmat[:3, 3] @ viewmat[:3, :3])


def _sliced(kind: str, params: Mapping[str, Tensor], context: Mapping[str, Any]) -> Evaluated:
    plain, viewmat = gaussian(params, context), context["viewmats"][0]
    detached = context.get("detached_directions", kind == NDG)
    means, opacities = directional_slices(
        plain.means,
        plain.opacities,
        params["directions"],
        params["lobe_quats"],
        params["lobe_scales"],
        params["slopes"],
        centre=_centre(viewmat),
        falloff=FALLOFF[kind],
        detached=detached,
    )
    places = plain.means.detach() if detached else plain.means
    return plain._replace(means=means, opacities=opacities, sh_means=places)


@register(SIX, SCHEMA, per_camera=True, started=started, any_axes=True)
def six_dimensional(params: Mapping[str, Tensor], context: Mapping[str, Any]) -> Evaluated:
    """Reads "viewmats" [1, 4, 4] from the context, and whether there are "detached_directions"."""
    return _sliced(SIX, params, context)


@register(NDG, SCHEMA, per_camera=True, started=started, sh_degree=0, any_axes=True)
def n_dimensional(params: Mapping[str, Tensor], context: Mapping[str, Any]) -> Evaluated:
    """Reads "viewmats" [1, 4, 4] from the context, and whether there are "detached_directions"."""
    return _sliced(NDG, params, context)
