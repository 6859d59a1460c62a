"""Flow: where what a pixel shows moves, between two cameras, two states of a scene, or both.

GaussianFlow (Gao et al., "GaussianFlow: Splatting Gaussian Dynamics for 4D Content Creation", 2024): a splat
with centre u1 and covariance S1 becomes one with u2 and S2, and what it shows at the pixel x goes to
u2 + B (x - u1). A pixel's flow is the sum of B (x - u1) + u2 - x with the blending weights of the first
rendering.

That is affine in x, so it needs no lists of splats per pixel: six numbers of each splat are blended like
colours, and the pixel puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from gsplat_core.arguments import check_choice
from gsplat_core.checks import checks_enabled, require_finite
from gsplat_core.quaternions import rotation_matrices
from gsplat_core.render.inputs import Inputs, prepare
from gsplat_core.render.layers import Layer
from gsplat_core.render.settings import RenderSettings
from gsplat_core.render.stages import Splats, project

MODES = ("roots", "translation", "material")
_GIVEN = ("means", "quats", "scales", "covars", "viewmats", "Ks", "lens")


@dataclass(frozen=True, eq=False)
class Flow:
    """Where the Gaussians of a rendering are for the second camera: arguments of
    :func:`gsplat_core.rasterization` with the shapes that they have there. None for what is as in the first.

    Args:
        means: [..., N, 3] and so on, at the second time.
        quats, scales: both or none.
        covars: [..., N, 3, 3] or [..., N, 6], instead of these.
        viewmats, Ks, lens: of the second cameras, as many as there are first ones, of the same model.
        mode: what B is: "roots", S2^(1/2) S1^(-1/2) with the symmetric roots, as published; "translation",
            the unit matrix; "material", the motion of the Gaussian's matter, which knows rotations:
            J2 R2 L R1^T E with L = Q2 diag(s2 / s1) Q1^T and E from pixels to the plane through the centre
            that is parallel to the image. The last one needs quats and scales, and a pinhole camera.
        detached: whether the first rendering, with its blending weights, is a constant, as in the paper:
            gradients then reach what is given here only.
    """

    means: Tensor | None = None
    quats: Tensor | None = None
    scales: Tensor | None = None
    covars: Tensor | None = None
    viewmats: Tensor | None = None
    Ks: Tensor | None = None
    lens: Tensor | None = None
    mode: Literal["roots", "translation", "material"] = "roots"
    detached: bool = True

    def second(self, first: Inputs) -> Inputs:
        """What the second camera looks at, checked.

        Raises:
            ValueError: an argument has a wrong shape, type or value; the message names it.
            gsplat_core.errors.NumericalError: with :func:`gsplat_core.set_checks`, if a number is not finite.
        """
        check_choice("flow.mode", self.mode, MODES)
        shaped = [name for name in ("quats", "scales", "covars") if getattr(self, name) is not None]
        if shaped not in ([], ["quats", "scales"], ["covars"]):
            raise ValueError(
                f"flow needs quats and scales, or covars, or neither; got {' and '.join(shaped)}"
            )

        # All in the caller's shape: what is not given is as in the first rendering.
        values: dict[str, Any] = {}
        for name in ("means", "quats", "scales", "covars", "opacities", "viewmats", "Ks", "lens", "extras"):
            old: Tensor | None = getattr(first, name)
            values[name] = None if old is None else old.reshape(*first.batch, *old.shape[1:])
        if shaped:
            values |= {"quats": None, "scales": None, "covars": None}
        for name in _GIVEN:
            if getattr(self, name) is not None:
                values[name] = getattr(self, name)
        try:
            second = prepare(
                **values, colors=None, sh_degree=None, backgrounds=None, camera_model=first.camera,
                response=first.response,
            )  # fmt: skip
        except ValueError as error:
            raise ValueError(f"flow: {error}") from error
        if second.means.shape != first.means.shape or second.viewmats.shape != first.viewmats.shape:
            raise ValueError(
                f"flow needs as many Gaussians and cameras as the rendering has, {first.means.shape[-2]} and "
                f"{first.viewmats.shape[-3]}, got {second.means.shape[-2]} and {second.viewmats.shape[-3]}"
            )
        if checks_enabled():
            require_finite(**{f"flow.{name}": getattr(self, name) for name in _GIVEN})
        return second


def flow_layer(flow: Flow, first: Inputs, width: int, height: int, settings: RenderSettings) -> Layer:
    """What is blended: of each splat the flow in its linear and its constant part.

    A Gaussian that the second camera does not see because it is not between the near and the far plane, or
    farther outside the image than the image is large, counts as one that does not move.

    Raises:
        ValueError: an argument has a wrong shape, type or value, or the mode needs what these Gaussians or
            cameras do not have.
    """
    second = flow.second(first)
    if flow.detached:
        first = first.detached()
    # Far more of the image plane than the image, the same for both, so that a splat that is there for one of
    # them is nowhere clamped or culled for the other.
    splats1, splats2 = (_projected(inputs, width, height, settings) for inputs in (first, second))
    there = ((splats1.radii > 0) & (splats2.radii > 0)).all(-1)[..., None]
    unit = splats1.means2d.new_tensor([1.0, 0.0, 1.0])
    shapes1, shapes2 = (torch.where(there, splats.shapes, unit) for splats in (splats1, splats2))
    moved = torch.where(there, splats2.means2d - splats1.means2d, 0.0)
    if flow.mode == "translation":
        return Layer(moved)
    if flow.mode == "roots":
        left, right = covariance_roots(shapes2), conic_roots(shapes1)
        first_column, second_column = _times(left, right[..., 0]), _times(left, right[..., 1])
    else:
        first_column, second_column = material_map(first, second, there).unbind(-1)
    first_column = torch.where(there, first_column - moved.new_tensor([1.0, 0.0]), 0.0)
    second_column = torch.where(there, second_column - moved.new_tensor([0.0, 1.0]), 0.0)
    # Offsets from the middle of the image are smaller than those from its corner, and so are rounding errors.
    middle = (width / 2, height / 2)
    centre = splats1.means2d - moved.new_tensor([width + middle[0], height + middle[1]])
    there_x, there_y = torch.where(there, centre, 0.0).split(1, dim=-1)
    constant = moved - (first_column * there_x + second_column * there_y)

    def at_pixels(blended: Tensor) -> Tensor:
        x = torch.arange(width, device=blended.device)[:, None] + (0.5 - middle[0])
        y = torch.arange(height, device=blended.device)[:, None, None] + (0.5 - middle[1])
        first_column, second_column, constant = blended.split(2, dim=-1)
        return first_column * x + second_column * y + constant

    return Layer(torch.cat([first_column, second_column, constant], dim=-1), at_pixels)


def _times(matrices: Tensor, vectors: Tensor) -> Tensor:
    """[..., 2, 2] times [..., 2]: for so small ones faster than a batched product."""
    return matrices[..., 0] * vectors[..., :1] + matrices[..., 1] * vectors[..., 1:]


def _projected(inputs: Inputs, width: int, height: int, settings: RenderSettings) -> Splats:
    """Splats on three times the image, which lies in the middle."""
    shift = inputs.Ks.new_zeros(3, 3)
    shift[0, 2], shift[1, 2] = width, height
    plain = replace(settings, radius_clip=0.0, antialiased=False, margin=0.0, bounds_only=False)
    return project(
        inputs.means, inputs.quats, inputs.scales, inputs.covars, torch.ones_like(inputs.opacities),
        inputs.viewmats, inputs.Ks + shift, 3 * width, 3 * height, plain,
        lens=inputs.lens, camera=inputs.camera,
    )  # fmt: skip


def conic_roots(shapes: Tensor) -> Tensor:
    """S^(-1/2) [..., 2, 2], symmetric, of splats U = [[l11, l21], [0, l22]] as [..., 3], U^T U = S^-1."""
    l11, l21, l22 = shapes.unbind(-1)
    return _root(l11 * l11, l11 * l21, l21 * l21 + l22 * l22, l11 * l22)


def covariance_roots(shapes: Tensor) -> Tensor:
    """S^(1/2) of the same: the inverse of U has the entries 1 / l11, -l21 / (l11 l22), 1 / l22."""
    l11, l21, l22 = shapes.unbind(-1)
    a, b, c = 1 / l11, -l21 / (l11 * l22), 1 / l22
    return _root(a * a + b * b, b * c, c * c, a * c)


def _root(xx: Tensor, xy: Tensor, yy: Tensor, d: Tensor) -> Tensor:
    """(M + d I) / sqrt(tr M + 2 d), which squared is M, with d = sqrt(det M) > 0. Without eigenvectors, its
    derivative is as harmless where the eigenvalues are equal as anywhere else."""
    scale = (xx + yy + 2 * d).rsqrt()
    return torch.stack([(xx + d) * scale, xy * scale, xy * scale, (yy + d) * scale], dim=-1).unflatten(
        -1, (2, 2)
    )


LEAST_STRETCH, MOST_STRETCH = 0.2, 5.0


def material_map(first: Inputs, second: Inputs, there: Tensor) -> Tensor:
    """B = J2 R2 L R1^T E [B, C, N, 2, 2]: from pixels to the plane through the Gaussian's centre that is
    parallel to the first image, with the Gaussian's matter, and into the second image."""
    if first.camera != "pinhole":
        raise ValueError(f"flow.mode 'material' needs a pinhole camera, not {first.camera!r}")
    if first.quats is None or first.scales is None or second.quats is None or second.scales is None:
        raise ValueError("flow.mode 'material' needs 'quats' and 'scales', not 'covars'")
    visible = there.any(1)
    unit = first.quats.new_tensor([1.0, 0.0, 0.0, 0.0])
    turned1, turned2 = (
        rotation_matrices(torch.where(visible, quats, unit)) for quats in (first.quats, second.quats)
    )
    thick = visible & (first.scales > 0)
    stretch = torch.where(thick, second.scales / torch.where(thick, first.scales, 1.0), 1.0)
    stretch = stretch.clamp(LEAST_STRETCH, MOST_STRETCH)
    matter = ((turned2 * stretch[..., None, :]) @ turned1.mT)[:, None]  # [B, 1, N, 3, 3]

    def seen(inputs: Inputs) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        rotation = inputs.viewmats[:, :, None, :3, :3]
        points = (rotation @ inputs.means[:, None, :, :, None])[..., 0] + inputs.viewmats[:, :, None, :3, 3]
        points = torch.where(there, points, torch.tensor([0.0, 0.0, 1.0], device=points.device))
        x, y, z = points.unbind(-1)
        return rotation, x / z, y / z, inputs.Ks[:, :, None, 0, 0] / z, inputs.Ks[:, :, None, 1, 1] / z

    rotation1, _, _, x_pixels1, y_pixels1 = seen(first)
    rotation2, x2, y2, x_pixels2, y_pixels2 = seen(second)
    motion = rotation2 @ matter @ rotation1.mT  # [B, C, N, 3, 3] between the cameras' axes
    rows = [x_pixels2[..., None] * (motion[..., 0, :2] - x2[..., None] * motion[..., 2, :2]),
            y_pixels2[..., None] * (motion[..., 1, :2] - y2[..., None] * motion[..., 2, :2])]  # fmt: skip
    to_plane = torch.stack([1 / x_pixels1, 1 / y_pixels1], dim=-1)[..., None, :]
    return torch.stack(rows, dim=-2) * to_plane
