"""gsplat's names, on top of our rasterizer.

`profile` says which gsplat is meant: "gsplat-1.4" returns ``radii`` [..., C, N] of three standard deviations
and caps alpha at 0.999, "gsplat-1.5" returns ``radii`` [..., C, N, 2] and caps alpha at 0.999, "gsplat-1.6"
caps it at 0.99. In all of them a Gaussian reaches as far as alpha = 1/255.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from typing import Any, NoReturn

import torch
from torch import Tensor

from gsplat_core.arguments import check_choice
from gsplat_core.compat.radii import square_radii
from gsplat_core.quaternions import rotation_matrices
from gsplat_core.render.camera_types import (
    BivariateWindshieldModelParameters as BivariateWindshieldModelParameters,
)
from gsplat_core.render.camera_types import (
    ExternalDistortionReferencePolynomial as ExternalDistortionReferencePolynomial,
)
from gsplat_core.render.camera_types import (
    FThetaCameraDistortionParameters as FThetaCameraDistortionParameters,
)
from gsplat_core.render.camera_types import FThetaPolynomialType as FThetaPolynomialType
from gsplat_core.render.camera_types import RollingShutterType as RollingShutterType
from gsplat_core.render.camera_types import UnscentedTransformParameters
from gsplat_core.render.inputs import prepare
from gsplat_core.render.meta import conics
from gsplat_core.render.rasterizer import rasterization as _rasterization
from gsplat_core.render.settings import RenderSettings
from gsplat_core.render.sparse_gradients import SeenRows, sparse_gradients
from gsplat_core.render.stages import Splats, project
from gsplat_core.render.surfaces import rasterization_2dgs as rasterization_2dgs
from gsplat_core.scene.harmonics import sh_basis

__version__ = "1.5.3"
PROFILES = {"gsplat-1.4": 0.999, "gsplat-1.5": 0.999, "gsplat-1.6": 0.99}  # cap of alpha

# Arguments that gsplat 1.6 added and that only have their defaults here, and what to do instead.
NOT_LATER: dict[str, tuple[Any, str]] = {
    "global_z_order": (True, "leave it out, or let each pixel have its own order with order='pixel'"),
    "lidar_coeffs": (
        None,
        "give camera_model='equirectangular', with_eval3d=True, the beams as 'rays' and render_mode='Ed'",
    ),
    "renderer_config": (None, "leave it out: it chooses among gsplat's kernels, which make the same image"),
    "macro_tile": (False, "leave it out: it chooses among gsplat's kernels, which make the same image"),
}


def _signature() -> inspect.Signature:
    parameters = dict(inspect.signature(_rasterization).parameters)
    del parameters["max_alpha"]  # the profile decides
    parameters["packed"] = parameters["packed"].replace(default=True)
    profile = inspect.Parameter(
        "profile", inspect.Parameter.KEYWORD_ONLY, default="gsplat-1.5", annotation=str
    )
    return inspect.Signature([*parameters.values(), profile])


_NAMES = list(inspect.signature(_rasterization).parameters)
_STABLE = _NAMES.index("height") + 1


def rasterization(
    *args: Any, profile: str = "gsplat-1.5", **kwargs: Any
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """:func:`gsplat_core.rasterization` with `packed` on by default, and with what `profile` says. The
    `extra_signals` [..., (C,) N, E] of gsplat 1.6 are blended into ``meta["render_extra_signals"]``; with
    `extra_signals_sh_degree` they are coefficients of spherical harmonics [N, K, E]. `return_normals` is the
    output "normals", ``meta["normals"]``, of shortest axes instead of third ones.

    Arguments after `height` should be given by keyword, because their order differs between gsplat's
    versions; positions mean those of gsplat 1.5.

    Raises:
        NotImplementedError: an argument asks for what is not there; the message names it.
    """
    check_choice("profile", profile, tuple(PROFILES))
    if len(args) > _STABLE:
        warnings.warn("give rasterization's arguments after 'height' by keyword", FutureWarning, stacklevel=2)
    for name, (default, instead) in NOT_LATER.items():
        value = kwargs.pop(name, default)
        if value is not default and value != default:
            _refuse(name, value, instead)
    kwargs = dict(zip(_NAMES[_STABLE:], args[_STABLE:], strict=False)) | kwargs
    if kwargs.get("camera_model") == "lidar":
        _refuse("camera_model", "lidar", NOT_LATER["lidar_coeffs"][1])
    signals, degree = kwargs.pop("extra_signals", None), kwargs.pop("extra_signals_sh_degree", None)
    if signals is not None:
        if degree is not None:
            stable = dict(zip(_NAMES, args[:_STABLE], strict=False)) | kwargs
            signals = _of_cameras(signals, degree, stable["means"], stable["viewmats"])
        kwargs["features"] = {**kwargs.get("features", {}), "extra_signals": signals}
    if kwargs.pop("return_normals", False):
        kwargs["outputs"] = ["normals", *kwargs.get("outputs", ())]
    kwargs.setdefault("packed", True)
    if kwargs.get("with_ut") and kwargs.get("ut_params") is None:
        kwargs["ut_params"] = UnscentedTransformParameters()
    if kwargs.get("tile_size", 16) is None:  # gsplat 1.6 chooses
        del kwargs["tile_size"]
    colors, alphas, meta = _rasterization(*args[:_STABLE], **kwargs, max_alpha=PROFILES[profile])
    if signals is not None:
        meta["render_extra_signals"] = meta["features"]["extra_signals"]
    if profile == "gsplat-1.4":
        meta["radii"] = square_radii(meta["shapes"], meta["radii"])
    return colors, alphas, meta


def _refuse(name: str, value: Any, instead: str) -> NoReturn:
    raise NotImplementedError(f"argument '{name}' = {value!r} is not supported by gsplat_core: {instead}")


def _of_cameras(coefficients: Tensor, degree: int, means: Tensor, viewmats: Tensor) -> Tensor:
    """Harmonics [N, K, E] as cameras [..., C, 4, 4] see them at means [..., N, 3]: [..., C, N, E]."""
    centres = -(viewmats[..., :3, :3].mT @ viewmats[..., :3, 3:])[..., 0]
    directions = means[..., None, :, :] - centres[..., :, None, :]
    return spherical_harmonics(degree, directions, coefficients) + 0.5


rasterization.__signature__ = _signature()  # type: ignore[attr-defined]


def fully_fused_projection(
    means: Tensor,
    covars: Tensor | None,
    quats: Tensor | None,
    scales: Tensor | None,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    eps2d: float = 0.3,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    packed: bool = False,
    sparse_grad: bool = False,
    calc_compensations: bool = False,
    camera_model: str = "pinhole",
    opacities: Tensor | None = None,
) -> tuple[Tensor | None, ...]:
    """Projects Gaussians, as gsplat 1.5 does.

    Args:
        covars: [..., N, 6] or None; see :func:`gsplat_core.rasterization` for the others.
        packed: whether there is a row for each visible pair of camera and Gaussian only, nnz in all.
        sparse_grad: as for :func:`gsplat_core.rasterization`.
        calc_compensations: whether to return the factors on opacities that anti-aliasing needs.
        opacities: [..., N], makes the extents tighter, and culls what is too faint to be seen. None for 1.

    Returns:
        radii [..., C, N, 2] int32, means2d [..., C, N, 2], depths [..., C, N], conics [..., C, N, 3] and
        compensations [..., C, N] or None. If `packed`, batch_ids, camera_ids and gaussian_ids [nnz] int64,
        then the same with [nnz] for [..., C, N].

    Raises:
        ValueError: an argument has a wrong shape, type or value; says which and what was expected.
        NotImplementedError: there is no such camera model.
    """
    seen = SeenRows()
    if sparse_grad:
        means, quats, scales, covars = sparse_gradients(packed, seen, means, quats, scales, covars)
    full = torch.ones_like(means[..., 0])
    inputs = prepare(
        means, quats, scales, covars, full if opacities is None else opacities, None, None, viewmats, Ks,
        None, camera_model=camera_model,
    )  # fmt: skip

    def run(opacities: Tensor, antialiased: bool) -> Splats:
        return project(
            inputs.means, inputs.quats, inputs.scales, inputs.covars, opacities, inputs.viewmats, inputs.Ks,
            width, height, RenderSettings(eps2d, near_plane, far_plane, radius_clip, antialiased),
            lens=inputs.lens, camera=camera_model,
        )  # fmt: skip

    splats = run(inputs.opacities, antialiased=False)
    visible = (splats.radii > 0).all(dim=-1)

    factors = None
    if calc_compensations:
        # What becomes of an opacity so large that none is lowered below what can be seen.
        lowered = run(torch.full_like(inputs.opacities, _LARGE), antialiased=True).opacities
        factors = torch.where(visible, lowered / _LARGE, 0.0)
    results = [splats.radii, splats.means2d, splats.depths, conics(splats.shapes), factors]
    if not packed:
        return tuple(None if r is None else r.reshape(*inputs.batch, *r.shape[1:]) for r in results)
    batch_ids, camera_ids, gaussian_ids = visible.nonzero(as_tuple=True)
    seen.set(gaussian_ids)
    rows = (batch_ids, camera_ids, gaussian_ids)
    return (*rows, *(None if r is None else r[rows] for r in results))


_LARGE = 2.0**90


def spherical_harmonics(
    degrees_to_use: int, dirs: Tensor, coeffs: Tensor, masks: Tensor | None = None
) -> Tensor:
    """Evaluates spherical harmonics: dirs [..., 3] of any length, coeffs [..., K, D], masks [...] bool or
    None (zero where False). Returns [..., D], without the offset and the clamp that rasterization applies."""
    basis = sh_basis(torch.nn.functional.normalize(dirs, dim=-1), degrees_to_use)
    values = (basis[..., None] * coeffs[..., : basis.shape[-1], :]).sum(dim=-2)
    return values if masks is None else torch.where(masks[..., None], values, 0.0)


def quat_scale_to_covar_preci(
    quats: Tensor, scales: Tensor, compute_covar: bool = True, compute_preci: bool = True, triu: bool = False
) -> tuple[Tensor | None, Tensor | None]:
    """Covariances and their inverses, each [..., 3, 3], with `triu` the upper triangles [..., 6], or None
    if not asked for, of Gaussians with rotations [..., 4] (w, x, y, z) and standard deviations [..., 3]."""
    rotation = rotation_matrices(quats)

    def squared(root: Tensor) -> Tensor:
        matrix = root @ root.mT
        return matrix.flatten(-2)[..., [0, 1, 2, 4, 5, 8]] if triu else matrix

    covars = squared(rotation * scales[..., None, :]) if compute_covar else None
    precis = squared(rotation / scales[..., None, :]) if compute_preci else None
    return covars, precis


def __getattr__(name: str) -> Any:
    """gsplat's other names, or the sentence that says what is missing."""
    from gsplat_core.compat import gsplat_package  # which asks this module for its own

    return getattr(gsplat_package, name)


rendering = sys.modules[__name__]  # gsplat.rendering.rasterization is the same function
