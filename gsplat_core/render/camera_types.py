"""What gsplat calls the further numbers of a camera, by gsplat's names and with its defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from torch import Tensor


class RollingShutterType(IntEnum):
    """In which order the lines of an image are exposed; all at once with GLOBAL."""

    ROLLING_TOP_TO_BOTTOM = 0
    ROLLING_LEFT_TO_RIGHT = 1
    ROLLING_BOTTOM_TO_TOP = 2
    ROLLING_RIGHT_TO_LEFT = 3
    GLOBAL = 4


class FThetaPolynomialType(IntEnum):
    """Which polynomial of an f-theta camera is meant; the other one is only about its inverse."""

    PIXELDIST_TO_ANGLE = 0
    ANGLE_TO_PIXELDIST = 1


@dataclass
class FThetaCameraDistortionParameters:
    """The lens of f-theta cameras, the same for all of them. Sequences may be tensors, for gradients.

    Args:
        reference_poly: which of the two polynomials is meant.
        pixeldist_to_angle_poly, angle_to_pixeldist_poly: six coefficients each, of the powers 0 to 5: the
            angle from the axis in radians of a distance from the principal point in pixels, and the other way
            round.
        max_angle: beyond which nothing is seen, in radians.
        linear_cde: (c, d, e) of the linear map [[c, d], [e, 1]] of the image that comes last.
    """

    reference_poly: FThetaPolynomialType
    pixeldist_to_angle_poly: Sequence[float] | Tensor
    angle_to_pixeldist_poly: Sequence[float] | Tensor
    max_angle: float
    linear_cde: Sequence[float] | Tensor


class ExternalDistortionReferencePolynomial(IntEnum):
    """Which polynomials of a windshield are meant; the others are only about their inverse."""

    FORWARD = 0
    BACKWARD = 1


@dataclass
class BivariateWindshieldModelParameters:
    """A pane before the lens, the same for all cameras. Sequences may be tensors, for gradients.

    Args:
        reference_poly: whether the polynomials are meant that make directions at the lens of those outside,
            or the `_inverse` ones, which make directions outside of those at the lens.
        horizontal_poly, vertical_poly, horizontal_poly_inverse, vertical_poly_inverse: coefficients, 3, 6,
            10, 15 or 21 of them, of the horizontal and the vertical angle, by the power of the vertical
            one, then of the horizontal one (:mod:`gsplat_core.render.windshield`).
    """

    reference_poly: ExternalDistortionReferencePolynomial = ExternalDistortionReferencePolynomial.FORWARD
    horizontal_poly: Sequence[float] | Tensor = ()
    vertical_poly: Sequence[float] | Tensor = ()
    horizontal_poly_inverse: Sequence[float] | Tensor = ()
    vertical_poly_inverse: Sequence[float] | Tensor = ()


@dataclass(frozen=True)
class UnscentedTransformParameters:
    """The numbers of the unscented transform, and which of its Gaussians are drawn; see
    :class:`gsplat_core.render.settings.RenderSettings`."""

    alpha: float = 0.1
    beta: float = 2.0
    kappa: float = 0.0
    in_image_margin_factor: float = 0.1
    require_all_sigma_points_valid: bool = True
