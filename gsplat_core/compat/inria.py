"""The interface of ``diff_gaussian_rasterization`` (graphdeco-inria), on top of our rasterizer.

Two generations are served. "inria-2023" returns (color, radii). "inria-2024" also returns the inverse depth
and knows anti-aliasing; it is chosen by giving the settings' field ``antialiasing``, or by ``profile``.

Differences to the original: Gaussians reach as far as alpha = 1/255 instead of three standard deviations,
rotations are normalised, no gradient passes through the cap of alpha, and ``debug`` checks that all inputs
are finite instead of writing them to a file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gsplat_core.arguments import check_choice, check_tensor
from gsplat_core.checks import checks_enabled, require_finite
from gsplat_core.compat.radii import square_radii
from gsplat_core.optim import Adam
from gsplat_core.pinhole import pose_problem
from gsplat_core.render.inputs import prepare
from gsplat_core.render.settings import RenderSettings
from gsplat_core.render.stages import bin_splats, colour, composite, project

NEAR_PLANE = 0.2
SMALLEST_SKEW = 1e-4  # callers multiply the matrices in float32
PROFILES = ("inria-2023", "inria-2024")


class GaussianRasterizationSettings(NamedTuple):
    """A camera and how to render it. Matrices are transposed, for row vectors."""

    image_height: int
    image_width: int
    tanfovx: float  # tangent of half the horizontal field of view
    tanfovy: float
    bg: Tensor  # [3]
    scale_modifier: float  # factor on all scales, not on cov3D_precomp
    viewmatrix: Tensor  # [4, 4] world to camera
    projmatrix: Tensor  # [4, 4] world to clip space; only its principal point is read
    sh_degree: int
    campos: Tensor  # [3] where view directions start
    prefiltered: bool  # has no effect, as in the original
    debug: bool
    antialiasing: bool | None = None  # None: the generation of 2023, which has no such field


class SparseGaussianAdam(Adam):
    """Adam that only moves the Gaussians in view, without the correction of young moments.

    Args:
        params: float32 tensors or groups, rows of which are Gaussians.
        lr: learning rate.
        eps: added to the denominator.
    """

    def __init__(self, params: Iterable[Tensor] | Iterable[dict[str, Any]], lr: float, eps: float) -> None:
        super().__init__(params, lr=lr, eps=eps, bias_correction=False)

    def step(self, visibility: Tensor, N: int) -> None:  # type: ignore[override]
        """One step of the rows [N] that are True in `visibility`."""
        super().step(visible=visibility[:N].bool())


class GaussianRasterizer(nn.Module):
    """Renders Gaussians with one camera."""

    def __init__(self, raster_settings: GaussianRasterizationSettings, profile: str | None = None) -> None:
        super().__init__()
        self.raster_settings = raster_settings
        self.profile = profile

    def markVisible(self, positions: Tensor) -> Tensor:
        """Which positions [N, 3] are in front of the near plane: bool [N]."""
        with torch.no_grad():
            view = self.raster_settings.viewmatrix
            return positions @ view[:3, 2] + view[3, 2] > NEAR_PLANE

    def forward(
        self,
        means3D: Tensor,
        means2D: Tensor,
        opacities: Tensor,
        shs: Tensor | None = None,
        colors_precomp: Tensor | None = None,
        scales: Tensor | None = None,
        rotations: Tensor | None = None,
        cov3D_precomp: Tensor | None = None,
        *,
        dc: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """See :func:`rasterize_gaussians`. With `dc` [N, 1, 3], the first coefficient, `shs` is the rest."""
        return rasterize_gaussians(
            means3D,
            means2D,
            shs if dc is None else (dc, means3D.new_zeros(len(dc), 0, 3) if shs is None else shs),
            colors_precomp,
            opacities,
            scales,
            rotations,
            cov3D_precomp,
            self.raster_settings,
            profile=self.profile,
        )


def rasterize_gaussians(
    means3D: Tensor,
    means2D: Tensor,
    sh: Tensor | tuple[Tensor, Tensor] | None,
    colors_precomp: Tensor | None,
    opacities: Tensor,
    scales: Tensor | None,
    rotations: Tensor | None,
    cov3Ds_precomp: Tensor | None,
    raster_settings: GaussianRasterizationSettings,
    profile: str | None = None,
) -> tuple[Tensor, ...]:
    """Renders Gaussians with one camera.

    Args:
        means3D: [N, 3].
        means2D: [N, 3]; its values do not matter. After backward its gradient is that of the image
            positions in normalised device coordinates: the one in pixels times (width / 2, height / 2);
                the third column is 0.
        sh, colors_precomp: coefficients [N, K, 3], or colours [N, 3]: exactly one of them. An empty tensor
            counts as none, here and below.
        opacities: [N, 1], activated.
        scales, rotations, cov3Ds_precomp: [N, 3] activated and [N, 4] (w, x, y, z), or [N, 6] (xx, xy, xz,
            yy, yz, zz): exactly one of the two ways.
        profile: "inria-2023", "inria-2024", or None to go by the settings.

    Returns:
        color [3, H, W] (not clamped) and radii [N] int32 (three standard deviations in pixels, 0 if not
        visible); with "inria-2024" also the sum of weight / depth [1, H, W].

    Raises:
        ValueError: a shape is wrong, a camera has skew or numbers that are not finite, or both or none of
            two ways to give something.
    """
    settings = raster_settings
    profile = profile or (PROFILES[0] if settings.antialiasing is None else PROFILES[1])
    check_choice("profile", profile, PROFILES)
    colors = _given(sh)
    degree = None if colors is None else settings.sh_degree
    colors_precomp, scales, rotations = _given(colors_precomp), _given(scales), _given(rotations)
    cov3Ds_precomp = _given(cov3Ds_precomp)
    if (colors is None) == (colors_precomp is None):
        raise ValueError("exactly one of the arguments 'shs' and 'colors_precomp' must be given")
    if (cov3Ds_precomp is None) == (scales is None and rotations is None):
        raise ValueError("exactly one of 'scales' with 'rotations' and 'cov3D_precomp' must be given")
    width, height = int(settings.image_width), int(settings.image_height)
    num = {"N": len(means3D)}
    required = {"means3D": (means3D, "N 3"), "means2D": (means2D, "N 3"), "opacities": (opacities, "N 1")}
    if cov3Ds_precomp is None:
        required |= {"scales": (scales, "N 3"), "rotations": (rotations, "N 4")}
    else:
        required |= {"cov3D_precomp": (cov3Ds_precomp, "N 6")}
    for name, (tensor, layout) in required.items():
        check_tensor(name, tensor, layout, num, ())
    viewmat, K = _camera(settings)
    inputs = prepare(
        means3D,
        rotations,
        None if scales is None else scales * settings.scale_modifier,
        cov3Ds_precomp,
        opacities[:, 0],
        colors_precomp if colors is None else colors,
        degree,
        viewmat[None],
        K[None],
        settings.bg[None],
    )
    if settings.debug or checks_enabled():
        require_finite(**inputs.named_tensors())

    drawn = RenderSettings(near_plane=NEAR_PLANE, antialiased=bool(settings.antialiasing))
    splats = project(
        inputs.means, inputs.quats, inputs.scales, inputs.covars, inputs.opacities, inputs.viewmats,
        inputs.Ks, width, height, drawn,
    )  # fmt: skip
    # Adds zero, and so hands the gradient of the image positions to means2D in the units that callers expect.
    units = splats.means2d.new_tensor([0.5 * width, 0.5 * height])
    carrier = (means2D - means2D.detach())[:, :2] * units
    splats = splats._replace(means2d=splats.means2d + carrier)

    assert inputs.colors is not None
    eye = viewmat.clone()
    eye[:3, 3] = -viewmat[:3, :3] @ settings.campos.reshape(3).to(viewmat)
    channels = colour(inputs.colors, degree, inputs.means, eye[None, None], splats.radii)
    background = inputs.backgrounds
    if profile == "inria-2024":
        assert background is not None
        inverse_depths = torch.where(splats.depths > 0, splats.depths, 1.0).reciprocal()
        channels = torch.cat([channels, inverse_depths[..., None]], dim=-1)
        background = nn.functional.pad(background, (0, 1))

    tiles = bin_splats(splats, width, height, drawn)
    blended = composite(splats, channels, background, tiles, width, height, drawn)
    planes = blended.colors[0, 0].permute(2, 0, 1)
    radii = square_radii(splats.shapes, splats.radii)[0, 0]
    return (planes, radii) if profile == "inria-2023" else (planes[:3], radii, planes[3:])


def _given(value: Any) -> Any:
    """None for the empty tensors of one dimension that the original uses for what is absent."""
    return None if isinstance(value, Tensor) and value.shape == (0,) else value


def _camera(settings: GaussianRasterizationSettings) -> tuple[Tensor, Tensor]:
    """World-to-camera matrix [4, 4] and intrinsics [3, 3] in pixels."""
    for name in ("viewmatrix", "projmatrix"):
        check_tensor(f"raster_settings.{name}", getattr(settings, name), "4 4", {}, ())
    viewmat = settings.viewmatrix.detach().T.contiguous()
    if problem := pose_problem(viewmat.tolist()):
        raise ValueError(f"argument 'raster_settings.viewmatrix', transposed, {problem}")
    for name in ("tanfovx", "tanfovy"):
        tangent = float(getattr(settings, name))
        if not 0.0 < tangent < math.inf:
            raise ValueError(f"argument 'raster_settings.{name}' must be positive and finite, got {tangent}")
    clip_from_camera = settings.projmatrix.detach().T.double() @ torch.linalg.inv(viewmat.double())
    skew = clip_from_camera[[0, 1], [1, 0]].abs().max()
    if not skew < SMALLEST_SKEW:  # nor NaN
        raise ValueError(
            f"argument 'raster_settings.projmatrix' must be finite and without skew, got {float(skew):g} "
            "beside the diagonal of the projection"
        )
    width, height = settings.image_width, settings.image_height

    def principal(offset: Tensor, size: int) -> float:
        # Callers multiply the matrices in float32, so a centre is only centred up to rounding.
        return 0.5 * size * (1.0 + (float(offset) if abs(float(offset)) > 1e-5 else 0.0))

    K: list[list[Any]] = [
        [width / (2 * settings.tanfovx), 0.0, principal(clip_from_camera[0, 2], width)],
        [0.0, height / (2 * settings.tanfovy), principal(clip_from_camera[1, 2], height)],
        [0.0, 0.0, 1.0],
    ]
    return viewmat, viewmat.new_tensor(K)
