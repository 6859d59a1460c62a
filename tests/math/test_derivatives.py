"""Every formula of csrc/math agrees with finite differences of its own value, in double precision."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from formulas import Formulas
from numpy.random import Generator
from numpy.typing import NDArray

from gsplat_core.reference import COMPOSITORS, RESPONSES
from gsplat_core.render.variants import CAMERAS

Array = NDArray[np.float64]


def rotation(rng: Generator) -> Array:
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def model(rng: Generator, lens: int) -> Array:
    """A camera model's numbers: fx, fy, cx, cy and `lens` more."""
    further = 0.05 * rng.normal(size=lens)
    if lens == CAMERAS["ftheta"]:
        # Its polynomial is of angles or of distances; with a constant there are none of either near the axis.
        further[:2] = rng.integers(2), 0.02 * further[1]
    return np.concatenate([[80.0, 75.0, 50.0, 30.0], further])


def camera(rng: Generator, lens: int, centre: Array) -> Array:
    """A camera that sees `centre` at depth 4, slightly off axis."""
    r = rotation(rng)
    t = np.array([0.2, -0.1, 4.0]) - r @ centre
    return np.concatenate([r.ravel(), t, model(rng, lens)])


def positive_definite(rng: Generator, n: int) -> Array:
    a = rng.normal(size=(n, n))
    return a @ a.T + 0.2 * np.eye(n)


def packed(s: Array) -> Array:
    return s[np.triu_indices(len(s))]


def covariance2(rng: Generator) -> Array:
    s = 3.0 * positive_definite(rng, 2)
    return np.append(packed(s), np.linalg.det(s))


def point_in_view(rng: Generator) -> Array:
    return np.array([0.3, -0.2, 2.5]) + 0.1 * rng.normal(size=3)


def posed(rng: Generator, lens: int, point: Array) -> Array:
    """A point, and a camera that looks along the axis."""
    return np.concatenate([point, np.eye(3).ravel(), np.zeros(3), model(rng, lens)])


def gaussian(rng: Generator, lens: int) -> Array:
    mean = rng.normal(size=3)
    shape = np.concatenate([rng.normal(size=4), rng.uniform(0.05, 0.4, 3)])
    return np.concatenate([camera(rng, lens, mean), mean, shape, [0.6]])


def gaussian_with_covariance(rng: Generator, lens: int) -> Array:
    mean = rng.normal(size=3)
    covariance = packed(0.02 * positive_definite(rng, 3))
    return np.concatenate([camera(rng, lens, mean), mean, covariance, [0.6]])


Inputs = dict[str, Callable[[Generator], Array]]


def camera_inputs(name: str, lens: int) -> Inputs:
    """Those of the formulas of one camera model."""
    return {
        f"pixel of {name}": lambda rng: np.concatenate([point_in_view(rng), model(rng, lens)]),
        f"linearize of {name}": lambda rng: posed(rng, lens, point_in_view(rng)),
        f"default linearize of {name}": lambda rng: posed(rng, lens, point_in_view(rng)),
    } | {
        f"project{method}{shape}{mode} of {name}": partial(inputs, lens=lens)
        for method in ("", "_unscented")
        for shape, inputs in (("", gaussian), ("_covariance", gaussian_with_covariance))
        for mode in ("", "_antialiased")
    }


def blended_splats(rng: Generator) -> Array:
    return np.stack([rng.uniform(0.1, 0.9, 6), rng.normal(size=6)], -1).ravel()


def splat_of_response(name: str, rng: Generator) -> Array:
    """Mean, root, opacity, and extras within what is usual."""
    splat = np.array([0.4, 0.3, 0.9, -0.3, 0.7, 0.8]) * rng.uniform(0.8, 1.2, 6)
    return np.append(splat, [rng.uniform(low, high) for low, high in RESPONSES[name].extras])


def gaussian_on_rays(name: str, numbers: int, rng: Generator) -> Array:
    """Its frame and the camera's centre in it, opacity, extras within what is usual, and three rays that pass
    by it, of `numbers` each: the direction, and perhaps where they begin."""
    frame = np.linalg.inv(rotation(rng) * rng.uniform(0.2, 1.5, 3)).reshape(3, 3)
    centre = rng.normal(size=3) * [0.3, 0.3, 1.0] - [0.0, 0.0, 4.0]  # of the camera, as the Gaussian sees it
    rays = []
    for _ in range(3):
        origin = 0.2 * rng.normal(size=3) if numbers == 6 else np.zeros(3)
        towards = 0.3 * rng.normal(size=3) - centre - origin
        rays.append(np.concatenate([towards / np.linalg.norm(towards), origin])[:numbers])
    extras = [rng.uniform(low, high) for low, high in RESPONSES[name].extras]
    return np.concatenate([frame.ravel(), frame @ centre, [0.8], extras, *rays])


def surfel_in_pixels(rng: Generator) -> Array:
    """Its axes, its centre from the camera, the centre of its filter, its nearest depth, opacity, and three
    directions: two in which the disc is larger than the filter, and one in which it is not."""
    turn, centre = rotation(rng), np.array([0.2, -0.1, 4.0]) + 0.3 * rng.normal(size=3)
    axes = turn[:, :2].T * rng.uniform(0.5, 1.5, (2, 1))
    places = [*rng.uniform(-0.3, 0.3, (2, 2)), [1.7, 1.2]]
    directions = [(centre + s * axes[0] + t * axes[1]) / rng.uniform(3.0, 5.0) for s, t in places]
    return np.concatenate([*axes, centre, 0.1 * rng.normal(size=2), [0.01, 0.8], *directions])


def response_inputs(name: str) -> Inputs:
    """Those of the two formulas of one response."""
    if RESPONSES[name].along_rays:
        return {
            f"response_{name}": partial(gaussian_on_rays, name, 3),
            f"response_{name}_from_elsewhere": partial(gaussian_on_rays, name, 6),
        }
    return {f"response_{name}{form}": partial(splat_of_response, name) for form in ("", "_quadratic")}


# Inputs at which each formula is smooth, so that finite differences mean something.
INPUTS: Inputs = {
    "rotation_matrix": lambda rng: rng.normal(size=4),
    "unit_direction": lambda rng: rng.normal(size=3),
    "covariance_of_factor": lambda rng: rng.normal(size=6),
    "covariance_of_sigma": lambda rng: np.concatenate(
        [rng.normal(size=6), packed(positive_definite(rng, 3))]
    ),
    "screen_filter": covariance2,
    "camera_centre": lambda rng: rng.normal(size=12),
    "scale_of_logarithm": lambda rng: rng.normal(size=1),
    "opacity_of_logit": lambda rng: rng.normal(size=1),
    "directional_slice": lambda rng: np.concatenate([rng.normal(size=10), 0.3 * rng.normal(size=15)]),
    "decoded_splat": lambda rng: rng.normal(size=23),
    "anchor_direction": lambda rng: rng.normal(size=3),
    "response_surfel": surfel_in_pixels,
    "seen_surfel": lambda rng: gaussian(rng, 0),
    "line_integral of cone": lambda rng: gaussian(rng, 0),
    "line_integral of parallel": lambda rng: gaussian(rng, 0),
    "voxels": lambda rng: np.concatenate(
        [0.2 * rng.normal(size=3), rng.normal(size=4), rng.uniform(0.2, 0.6, 3), [0.8]]
    ),
    "log_alpha_change": lambda rng: np.array([0.4, 0.3, 0.9, -0.3, 0.7, 0.8]) * rng.uniform(0.8, 1.2, 6),
    **{f"blending_{name}{form}": blended_splats for name in COMPOSITORS for form in ("", "_by_logarithm")},
    **{f"sh_basis_{degree}": lambda rng: rng.normal(size=3) for degree in range(5)},
}
for name in RESPONSES:
    INPUTS |= response_inputs(name)
for name, lens in CAMERAS.items():
    INPUTS |= camera_inputs(name, lens)


def finite_differences(f: Callable[[Array], Array], x: Array, v: Array) -> Array:
    """v^T df/dx by central differences with a step extrapolated to zero (error of fourth order)."""
    grad = np.empty_like(x)
    for i in range(len(x)):
        h = 1e-3 * max(0.1, abs(x[i]))

        def slope(step: float, i: int = i) -> float:
            e = np.zeros_like(x)
            e[i] = step
            return float(v @ (f(x + e) - f(x - e))) / (2 * step)

        grad[i] = (4 * slope(h / 2) - slope(h)) / 3
    return grad


def test_every_formula_has_a_case(formulas: Formulas) -> None:
    assert sorted(INPUTS) == sorted(formulas.names())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", sorted(INPUTS))
def test_vjp_is_the_derivative_of_the_value(formulas: Formulas, name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = INPUTS[name](rng)

    def value(y: Array) -> Array:
        return np.array(formulas.value(name, y))

    v = rng.normal(size=len(value(x)))
    expected = finite_differences(value, x, v)
    np.testing.assert_allclose(
        formulas.vjp(name, x, v), expected, rtol=1e-6, atol=1e-7 * max(1.0, abs(expected).max())
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", sorted(INPUTS))
def test_jvp_is_the_derivative_of_the_value_and_the_adjoint_of_vjp(
    formulas: Formulas, name: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = INPUTS[name](rng)
    tangent = 0.3 * rng.normal(size=len(x))
    jvp = np.array(formulas.jvp(name, x, tangent))

    def along(step: Array) -> Array:
        return np.array(formulas.value(name, x + step[0] * tangent))

    expected = [finite_differences(along, np.zeros(1), e)[0] for e in np.eye(len(jvp))]
    np.testing.assert_allclose(jvp, expected, rtol=1e-6, atol=1e-7 * max(1.0, np.abs(expected).max()))
    v = rng.normal(size=len(jvp))
    assert v @ jvp == pytest.approx(np.array(formulas.vjp(name, x, v)) @ tangent, rel=1e-10)


OUTSIDE = [np.array([9.0, 0.1, 1.0]), np.array([0.2, -9.0, 1.0]), np.array([-7.0, 8.0, 1.0])]


@pytest.mark.parametrize("direction", OUTSIDE)
@pytest.mark.parametrize("camera", CAMERAS)
def test_vjp_of_the_projection_outside_the_field_of_view(
    formulas: Formulas, camera: str, direction: Array
) -> None:
    """There the slopes of a perspective camera's Jacobian are clamped. The clamping limits count as
    constants, so the derivative by the intrinsics leaves them out; that by the point is exact."""
    rng = np.random.default_rng(0)
    x = posed(rng, CAMERAS[camera], direction * 2.0)
    v = rng.normal(size=8)
    expected = finite_differences(lambda y: np.array(formulas.value(f"linearize of {camera}", y)), x, v)
    vjp = formulas.vjp(f"linearize of {camera}", x, v)
    np.testing.assert_allclose(vjp[:3], expected[:3], rtol=1e-7, atol=1e-9)
    tangent = rng.normal(size=len(x))
    assert v @ np.array(formulas.jvp(f"linearize of {camera}", x, tangent)) == pytest.approx(vjp @ tangent)


@pytest.mark.parametrize("reach", [0.14, 0.15, 0.16, 3.0])
def test_slopes_are_those_of_directions_at_most_15_percent_outside_the_image(
    formulas: Formulas, reach: float
) -> None:
    fx, fy, cx, cy = 80.0, 75.0, 50.0, 30.0
    size = np.array([96.0, 64.0])
    for sign in (-1, 1):
        pixel = (0.5 + sign * (0.5 + np.array([reach, reach]))) * size
        clamped = (0.5 + sign * (0.5 + min(reach, 0.15))) * size
        z = 2.5
        point = [z * (pixel[0] - cx) / fx, z * (pixel[1] - cy) / fy, z]
        x = np.concatenate([point, np.eye(3).ravel(), np.zeros(3), [fx, fy, cx, cy]])
        expected = [fx / z, 0, (cx - clamped[0]) / z, 0, fy / z, (cy - clamped[1]) / z]
        for name in ("linearize of pinhole", "default linearize of pinhole"):
            np.testing.assert_allclose(formulas.value(name, x)[2:], expected, rtol=1e-12)


@pytest.mark.parametrize("camera", CAMERAS)
def test_jacobian_of_a_camera_is_that_of_its_pixels(formulas: Formulas, camera: str) -> None:
    rng = np.random.default_rng(0)
    point = point_in_view(rng)
    x = posed(rng, CAMERAS[camera], point)
    jacobian = np.array(formulas.value(f"linearize of {camera}", x)[2:]).reshape(2, 3)

    def pixel(p: Array) -> Array:
        return np.array(formulas.value(f"pixel of {camera}", np.concatenate([p, x[15:]]))[:2])

    for row, unit in zip(jacobian, np.eye(2), strict=True):
        np.testing.assert_allclose(row, finite_differences(pixel, point, unit), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("point", [np.array([0.3, -0.2, 2.5]), *(2 * direction for direction in OUTSIDE)])
@pytest.mark.parametrize("camera", CAMERAS)
def test_what_a_camera_writes_by_hand_is_what_follows_from_its_pixels(
    formulas: Formulas, camera: str, point: Array
) -> None:
    rng = np.random.default_rng(0)
    x = posed(rng, CAMERAS[camera], point)
    own, default = f"linearize of {camera}", f"default linearize of {camera}"
    np.testing.assert_allclose(formulas.value(own, x), formulas.value(default, x), rtol=1e-12, atol=1e-12)
    v = rng.normal(size=8)
    np.testing.assert_allclose(formulas.vjp(own, x, v), formulas.vjp(default, x, v), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("compositor", COMPOSITORS)
def test_a_compositor_weighs_splats_as_the_reference_does(formulas: Formulas, compositor: str) -> None:
    splats = blended_splats(np.random.default_rng(0))
    alphas, colors = torch.from_numpy(splats).reshape(-1, 2).unbind(-1)
    weights = COMPOSITORS[compositor](alphas[:, None], 0.0).weights[:, 0]
    blended = formulas.value(f"blending_{compositor}", splats)
    assert blended == pytest.approx([float(weights @ colors)], rel=1e-12)


def test_compensation_at_its_floor_passes_no_gradient(formulas: Formulas) -> None:
    """A speck: its determinant is far below that of the filter."""
    x = [1e-4, 0.0, 1e-4, 1e-8]
    assert formulas.value("screen_filter", x)[3] == pytest.approx(0.005)
    assert formulas.vjp("screen_filter", x, [0.0, 0.0, 0.0, 1.0]) == [0.0, 0.0, 0.0, 0.0]
    assert formulas.jvp("screen_filter", x, [1.0, 1.0, 1.0, 1.0])[3] == 0.0


def test_splats_keep_their_length_however_thin_they_are(formulas: Formulas) -> None:
    """A needle of 1000 by 0.001 pixels at 45 degrees: the root of its conic has the right determinant
    although the determinant of the covariance is lost in the rounding of its entries."""
    c = np.sqrt(0.5)
    long, thin = 1000.0, 0.001
    factor = np.array([long * c, -thin * c, 0.0, long * c, thin * c, 0.0])
    covariance = formulas.value("covariance_of_factor", factor)
    assert covariance[3] == pytest.approx((long * thin) ** 2, rel=1e-9)
    l11, _, l22, _ = formulas.value("screen_filter", covariance)
    assert 1 / (l11 * l22) == pytest.approx(np.sqrt((long**2 + 0.3) * (thin**2 + 0.3)), rel=1e-9)


@pytest.mark.parametrize("degree", range(5))
def test_the_basis_is_orthonormal_on_the_sphere(formulas: Formulas, degree: int) -> None:
    """By a quadrature that is exact for polynomials of degree 2 x 4: Gauss in z, equal angles around."""
    z, weights = np.polynomial.legendre.leggauss(9)
    angles = np.arange(18) * (2 * np.pi / 18)
    gram = np.zeros(((degree + 1) ** 2,) * 2)
    for zi, wi in zip(z, weights, strict=True):
        r = np.sqrt(1 - zi * zi)
        for a in angles:
            b = np.array(formulas.value(f"sh_basis_{degree}", [r * np.cos(a), r * np.sin(a), zi]))
            gram += wi * (2 * np.pi / 18) * np.outer(b, b)
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-12)
