"""The tensors that describe scene and cameras: checked, and brought to one batch dimension."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gsplat_core.arguments import check_choice, check_same_device, check_tensor
from gsplat_core.pinhole import check_cameras
from gsplat_core.render.distortion import lens_of, without_distortion
from gsplat_core.render.variants import CAMERAS, EVERY_RESPONSE

MAX_SH_DEGREE = 4


class Windshield(NamedTuple):
    """A pane before all cameras, see :mod:`gsplat_core.render.windshield`: coefficients [T] of two
    polynomials, and whether these make directions at the lens of those outside, or the other way round."""

    horizontal: Tensor
    vertical: Tensor
    towards_lens: bool


class Inputs(NamedTuple):
    """What the stages of :mod:`gsplat_core.render.stages` take: B scenes, C cameras each, N Gaussians."""

    batch: tuple[int, ...]  # the batch dimensions that the caller used
    means: Tensor  # [B, N, 3]
    quats: Tensor | None  # [B, N, 4]
    scales: Tensor | None  # [B, N, 3]
    covars: Tensor | None  # [B, N, 6]
    opacities: Tensor  # [B, N]
    colors: (
        Tensor | tuple[Tensor, Tensor] | None
    )  # [B, (C,) N, D] or [B, (C,) N, 1, 3] and [B, (C,) N, K - 1, 3]
    viewmats: Tensor  # [B, C, 4, 4]
    Ks: Tensor  # [B, C, 3, 3]
    lens: Tensor | None  # [B, C, P]
    backgrounds: Tensor | None  # [B, C, D]
    extras: Tensor | None  # [B, N, E]
    camera: str  # the model of all cameras
    response: str  # of all Gaussians
    motion: Tensor | None = None  # [B, C, 9] of rolling shutters, gsplat_core.render.shutter
    sh_means: Tensor | None = None  # [B, N, 3] that harmonics are seen at, where that is not at the means
    rays: Tensor | None = None  # [B, C, H, W, 6] origins and directions, in place of the cameras'
    windshield: Windshield | None = None
    planes: bool = False  # Gaussians are flat, gsplat_core.render.planes

    def detached(self) -> Inputs:
        """The same as constants."""

        def constant(value: Any) -> Any:
            if isinstance(value, Tensor):
                return value.detach()
            if isinstance(value, Windshield):
                return Windshield(*map(constant, value))
            return tuple(map(constant, value)) if isinstance(value, tuple) else value

        return Inputs(*map(constant, self))

    def named_tensors(self) -> dict[str, Tensor | None]:
        """All tensors by the name of their argument."""
        named = self._asdict()
        del named["batch"], named["camera"], named["response"], named["planes"]
        named["viewmats_rs"] = named.pop("motion")
        if (pane := named.pop("windshield")) is not None:
            named["external_distortion_coeffs"] = torch.cat([pane.horizontal, pane.vertical])
        if isinstance(self.colors, tuple):
            named["colors"], named["colors[1]"] = self.colors
        return named


def prepare(
    means: Tensor,
    quats: Tensor | None,
    scales: Tensor | None,
    covars: Tensor | None,
    opacities: Tensor,
    colors: Tensor | tuple[Tensor, Tensor] | None,
    sh_degree: int | None,
    viewmats: Tensor,
    Ks: Tensor,
    backgrounds: Tensor | None,
    lens: Tensor | None = None,
    camera_model: str = "pinhole",
    extras: Tensor | None = None,
    response: str = "gaussian",
    distortion: tuple[Tensor | None, Tensor | None, Tensor | None] = (None, None, None),
    sh_means: Tensor | None = None,
    rays: Tensor | None = None,
    size: tuple[int, int] = (0, 0),
    planes: bool = False,
) -> Inputs:
    """Checks the arguments of :func:`gsplat_core.rasterization` of the same names and reshapes them.

    Args:
        distortion: `radial_coeffs`, `tangential_coeffs` and `thin_prism_coeffs`.
        size: width and height of the images, which `rays` must fit.

    Raises:
        ValueError: a shape, dtype or device does not fit the others, or a camera is none of
            :mod:`gsplat_core.pinhole`; the message names the argument.
        NotImplementedError: there is no such camera model.
    """
    check_choice("response", response, tuple(EVERY_RESPONSE))
    for name, tensor, dims in (("means", means, 2), ("viewmats", viewmats, 3)):
        if not isinstance(tensor, Tensor) or tensor.dim() < dims:
            got = list(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
            raise ValueError(f"argument '{name}' must have at least {dims} dimensions, got {got}")
    batch = tuple(means.shape[:-2])
    sizes = {"N": means.shape[-2], "C": viewmats.shape[-3]}
    check_tensor("means", means, "N 3", sizes, batch)
    check_tensor("opacities", opacities, "N", sizes, batch)
    if sh_means is not None:
        check_tensor("sh_means", sh_means, "N 3", sizes, batch)
    check_tensor("viewmats", viewmats, "C 4 4", sizes, batch)
    check_tensor("Ks", Ks, "C 3 3", sizes, batch)
    radial, tangential, thin_prism = distortion
    if radial is not None or tangential is not None or thin_prism is not None:
        camera_model, lens = lens_of(camera_model, *distortion, lens, tuple(viewmats.shape[:-2]))
    lens = _lens(lens, camera_model, viewmats, sizes, batch)
    extras = _extras(extras, response, sizes, batch)
    if covars is None:
        check_tensor("quats", quats, "N 4", sizes, batch)
        check_tensor("scales", scales, "N 3", sizes, batch)
    else:
        quats = scales = None
        covars = _upper_triangle(covars, sizes, batch)
    parts: list[Tensor] = []
    if colors is not None:
        parts = _colors(colors, sh_degree, sizes, batch)
        sizes["D"] = parts[0].shape[-1]
    if backgrounds is not None:
        check_tensor("backgrounds", backgrounds, "C D", sizes, batch)
    if rays is not None:
        if not EVERY_RESPONSE[response].along_rays:
            raise ValueError(
                "argument 'rays' needs a response along rays, such as 'ray' (with_eval3d=True), got "
                f"{response!r}"
            )
        check_tensor("rays", rays, "C H W 6", {**sizes, "W": size[0], "H": size[1]}, batch)

    scenes, dims = math.prod(batch), len(batch)

    def flat(tensor: Tensor) -> Tensor:
        return tensor.reshape(scenes, *tensor.shape[dims:])

    flat_colors: Tensor | tuple[Tensor, Tensor] | None = None
    if len(parts) == 2:
        flat_colors = (flat(parts[0]), flat(parts[1]))
    elif len(parts) == 1:
        flat_colors = flat(parts[0])
    inputs = Inputs(
        batch=batch,
        means=flat(means),
        quats=None if quats is None else flat(quats),
        scales=None if scales is None else flat(scales),
        covars=None if covars is None else flat(covars),
        opacities=flat(opacities),
        colors=flat_colors,
        viewmats=flat(viewmats),
        Ks=flat(Ks),
        lens=None if lens is None else flat(lens),
        backgrounds=None if backgrounds is None else flat(backgrounds),
        extras=None if extras is None else flat(extras),
        camera=camera_model,
        response=response,
        sh_means=None if sh_means is None else flat(sh_means),
        rays=None if rays is None else flat(rays),
        planes=planes,
    )
    check_same_device(inputs.named_tensors())
    check_cameras(viewmats, Ks, rigid=sh_degree is not None)
    return inputs


def _lens(
    lens: Tensor | None,
    camera_model: str,
    viewmats: Tensor,
    sizes: Mapping[str, int],
    batch: tuple[int, ...],
) -> Tensor | None:
    """What the camera model needs beyond `Ks`, None if that is nothing."""
    if camera_model not in CAMERAS:
        raise NotImplementedError(
            f"argument 'camera_model' = {camera_model!r} is not supported by gsplat_core, only "
            f"{', '.join(map(repr, CAMERAS))} are"
        )
    if lens is None:
        return without_distortion(camera_model, viewmats) if CAMERAS[camera_model] else None
    what = f"coefficients per camera for the camera model {camera_model!r}"
    return _own_numbers("lens", lens, "C", CAMERAS[camera_model], what, sizes, batch)


def _extras(
    extras: Tensor | None, response: str, sizes: Mapping[str, int], batch: tuple[int, ...]
) -> Tensor | None:
    """What the response needs beyond a splat's shape, None if that is nothing."""
    if extras is None and not EVERY_RESPONSE[response].extras:
        return None
    what = f"numbers per Gaussian for the response {response!r}"
    return _own_numbers("extras", extras, "N", EVERY_RESPONSE[response].extras, what, sizes, batch)


def _own_numbers(
    name: str,
    tensor: Tensor | None,
    rows: str,
    count: int,
    what: str,
    sizes: Mapping[str, int],
    batch: tuple[int, ...],
) -> Tensor | None:
    """Checks the numbers [*batch, ROWS, count] that a variant has for itself, None if it has none."""
    given = tensor.shape[-1] if isinstance(tensor, Tensor) and tensor.dim() > 0 else 0
    if given != count:
        raise ValueError(f"argument {name!r} must have {count} {what}, got {given}")
    if tensor is not None:
        check_tensor(name, tensor, f"{rows} P", {**sizes, "P": count}, batch)
    return tensor if count else None


def _upper_triangle(covars: Tensor, sizes: Mapping[str, int], batch: tuple[int, ...]) -> Tensor:
    """[..., N, 6] from that or from symmetric matrices [..., N, 3, 3]."""
    if isinstance(covars, Tensor) and covars.dim() == len(batch) + 2:
        check_tensor("covars", covars, "N 6", sizes, batch)
        return covars
    check_tensor("covars", covars, "N 3 3", sizes, batch)
    # The mean with the transpose shares each gradient between both triangles, as that of a symmetric
    # matrix is.
    return ((covars + covars.mT) / 2).flatten(-2)[..., [0, 1, 2, 4, 5, 8]]


def _colors(
    colors: Tensor | tuple[Tensor, Tensor],
    sh_degree: int | None,
    sizes: Mapping[str, int],
    batch: tuple[int, ...],
) -> list[Tensor]:
    """The tensors that hold features (one) or SH coefficients (one, or the first one and the rest)."""
    if sh_degree is None:
        if not isinstance(colors, Tensor):
            raise ValueError(
                "argument 'colors' must be one tensor of features when 'sh_degree' is None, got a pair"
            )
        cameras = "C " if colors.dim() == len(batch) + 3 else ""
        width = colors.shape[-1] if colors.dim() > 0 else 0
        check_tensor("colors", colors, f"{cameras}N D", {**sizes, "D": width}, batch)
        if width == 0:
            raise ValueError(
                f"argument 'colors' must have at least one channel, got shape {list(colors.shape)}"
            )
        return [colors]

    if not 0 <= sh_degree <= MAX_SH_DEGREE:
        raise ValueError(f"argument 'sh_degree' must be between 0 and {MAX_SH_DEGREE}, got {sh_degree}")
    names = ("colors",) if isinstance(colors, Tensor) else ("colors[0]", "colors[1]")
    parts = [colors] if isinstance(colors, Tensor) else list(colors)
    if len(parts) != len(names):
        raise ValueError(f"argument 'colors' must be a tensor or a pair (sh0, shN), got {len(parts)} parts")
    layouts = ["N K 3"] if len(parts) == 1 else ["N 1 3", "N K-1 3"]
    for name, part, layout in zip(names, parts, layouts, strict=True):
        dims = part.dim() if isinstance(part, Tensor) else 0
        cameras = "C " if dims == len(batch) + 4 else ""
        rest = part.shape[-2] if dims >= 2 else 0
        check_tensor(name, part, cameras + layout, {**sizes, "K": rest, "K-1": rest}, batch)
    if len(parts) == 2 and parts[0].dim() != parts[1].dim():
        raise ValueError(
            "argument 'colors[1]' must have as many dimensions as 'colors[0]', "
            f"{list(parts[0].shape)}, got {list(parts[1].shape)}"
        )
    num_bases = sum(part.shape[-2] for part in parts)
    if num_bases < (sh_degree + 1) ** 2:
        raise ValueError(
            f"argument 'sh_degree' = {sh_degree} needs {(sh_degree + 1) ** 2} coefficients per channel, "
            f"but 'colors' has {num_bases}"
        )
    return parts
