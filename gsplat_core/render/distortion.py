"""Distortion by gsplat's names, as the cameras here have it.

gsplat describes a lens by its camera model and up to three tensors, ours by the model and the coefficients
`lens`. A pinhole camera with coefficients is the camera "opencv" here.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.arguments import check_tensor
from gsplat_core.render.camera_types import FThetaCameraDistortionParameters, FThetaPolynomialType
from gsplat_core.render.variants import CAMERAS


def lens_of(
    camera_model: str,
    radial: Tensor | None,
    tangential: Tensor | None,
    thin_prism: Tensor | None,
    lens: Tensor | None,
    shape: tuple[int, ...],
) -> tuple[str, Tensor | None]:
    """The camera model, and its coefficients [..., C, P].

    Args:
        camera_model: as the caller calls it.
        radial: [..., C, 4], of a pinhole camera also [..., C, 6]: k1, k2, ...
        tangential: [..., C, 2]: p1, p2.
        thin_prism: [..., C, 4]: s1, s2, s3, s4.
        lens: the coefficients themselves, instead of the other three.
        shape: [..., C].

    Raises:
        ValueError: a shape does not fit, or both kinds are given.
        NotImplementedError: the camera model has no such distortion.
    """
    named = {"radial_coeffs": radial, "tangential_coeffs": tangential, "thin_prism_coeffs": thin_prism}
    given = {name: tensor for name, tensor in named.items() if tensor is not None}
    if not given:
        return camera_model, lens
    if lens is not None:
        raise ValueError(f"argument '{next(iter(given))}' says again what 'lens' says: give one of them")
    sizes = {"C": shape[-1]}
    for name, tensor in given.items():
        allowed = {"radial_coeffs": (4, 6), "tangential_coeffs": (2,), "thin_prism_coeffs": (4,)}[name]
        last = (
            tensor.shape[-1]
            if isinstance(tensor, Tensor) and tensor.dim() and tensor.shape[-1] in allowed
            else 0
        )
        check_tensor(name, tensor, f"C {last or allowed[0]}", sizes, shape[:-1])

    if camera_model == "fisheye":
        for name, tensor in given.items():
            if name != "radial_coeffs":
                raise NotImplementedError(
                    f"argument '{name}' = {tensor!r} is not supported for fisheye cameras"
                )
        if radial is None or radial.shape[-1] != 4:
            raise ValueError("argument 'radial_coeffs' must have 4 coefficients for fisheye cameras, got 6")
        return camera_model, radial
    if camera_model not in ("pinhole", "opencv"):
        name, tensor = next(iter(given.items()))
        raise NotImplementedError(
            f"argument '{name}' = {tensor!r} is not supported for cameras of the model {camera_model!r}"
        )
    any_of_them = next(iter(given.values()))
    k = _padded(radial, 6, any_of_them)
    parts = [k[..., :2], _padded(tangential, 2, any_of_them), k[..., 2:], _padded(thin_prism, 4, any_of_them)]
    return "opencv", torch.cat(parts, dim=-1)


def ftheta_lens(
    coeffs: FThetaCameraDistortionParameters, camera_model: str, lens: Tensor | None, Ks: Tensor
) -> tuple[Tensor, Tensor]:
    """The coefficients [..., C, P] of "ftheta" cameras, and their `Ks`. The focal lengths are those of the
    polynomial, and the principal point, which gsplat measures from the centre of the first pixel for these
    cameras alone, is half a pixel further.

    Args:
        lens, Ks: [..., C, P] or None, and [..., C, 3, 3], as the caller gives them.

    Raises:
        ValueError: numbers are missing or do not fit together.
    """
    if camera_model != "ftheta":
        raise ValueError(
            f"argument 'ftheta_coeffs' is for the camera model 'ftheta', got camera_model {camera_model!r}"
        )
    if lens is not None:
        raise ValueError("argument 'ftheta_coeffs' says again what 'lens' says: give one of them")
    if not isinstance(Ks, Tensor) or Ks.dim() < 3:
        raise ValueError("argument 'Ks' must be a tensor with at least 3 dimensions")

    def numbers(name: str, count: int) -> list[Tensor]:
        values = torch.as_tensor(getattr(coeffs, name, ()), dtype=Ks.dtype, device=Ks.device)
        if values.shape != (count,):
            raise ValueError(
                f"argument 'ftheta_coeffs' must have {count} numbers {name}, got {list(values.shape)}"
            )
        return list(values.unbind())

    to_angle = FThetaPolynomialType(coeffs.reference_poly) == FThetaPolynomialType.PIXELDIST_TO_ANGLE
    k = numbers("pixeldist_to_angle_poly" if to_angle else "angle_to_pixeldist_poly", 6)
    c, d, e = numbers("linear_cde", 3)
    if not (float(k[1].detach()) > 0 and float(coeffs.max_angle) > 0):
        raise ValueError(
            "argument 'ftheta_coeffs' must have a polynomial that rises at 0 and a positive max_angle, got "
            f"{coeffs}"
        )
    focal = 1 / k[1] if to_angle else k[1]
    of_focal = [term * focal**power if to_angle else term / focal for power, term in enumerate(k)]
    way = torch.full_like(focal, float(not to_angle))
    largest = torch.full_like(focal, float(coeffs.max_angle))
    row = torch.stack([way, of_focal[0], *of_focal[2:], largest, c - 1, d, e])
    zero, one = torch.zeros_like(focal), torch.ones_like(focal)
    focal_lengths = torch.stack([focal, zero, zero, zero, focal, zero, zero, zero, one]).reshape(3, 3)
    principal_point = Ks * Ks.new_tensor([[0, 0, 1], [0, 0, 1], [0, 0, 0]])
    half = Ks.new_tensor([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    return row.expand(*Ks.shape[:-2], -1), principal_point + half + focal_lengths


def _padded(tensor: Tensor | None, size: int, like: Tensor) -> Tensor:
    """With zeros up to a size; zeros alone in place of None."""
    if tensor is None:
        return like.new_zeros(*like.shape[:-1], size)
    return torch.nn.functional.pad(tensor, (0, size - tensor.shape[-1]))


def without_distortion(camera_model: str, viewmats: Tensor) -> Tensor:
    """Coefficients [..., C, P] of 0, with which every lens here is what its model's name says."""
    return viewmats.new_zeros(*viewmats.shape[:-2], CAMERAS[camera_model])
