"""Every response of csrc/raster/variants.h: its bound, its kind, and what it is at known places."""

from __future__ import annotations

import numpy as np
import pytest
from formulas import Formulas

from gsplat_core.reference import RESPONSES

ROOT_SCALE = np.sqrt(np.log2(np.e) / 2)
SEEDS = range(20)


def extras_of(name: str, seed: int) -> list[float]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(low, high) for low, high in RESPONSES[name].extras]


def alpha(formulas: Formulas, name: str, distance: float, opacity: float, extras: list[float]) -> float:
    """At a Mahalanobis distance from the centre, in some direction."""
    u, v = ROOT_SCALE * distance * np.array([0.6, -0.8])
    result: float = formulas.alpha(name, u, v, opacity, extras)
    return result


def test_the_reference_has_the_same_responses(formulas: Formulas) -> None:
    assert formulas.responses().keys() == RESPONSES.keys()


@pytest.mark.parametrize("name", RESPONSES)
@pytest.mark.parametrize("opacity", [0.9, 0.1, 0.012, 0.0041])
def test_the_level_bounds_what_is_visible_and_little_more(
    formulas: Formulas, name: str, opacity: float
) -> None:
    for seed in SEEDS:
        extras = extras_of(name, seed)
        edge = np.sqrt(formulas.level(name, opacity, extras))
        assert alpha(formulas, name, edge * (1 + 1e-9), opacity, extras) < 1 / 255 * (1 + 1e-6)
        assert alpha(formulas, name, edge * (1 - 1e-4), opacity, extras) > 1 / 255
        assert alpha(formulas, name, 2 * edge, opacity, extras) < 1 / 255


@pytest.mark.parametrize("name", RESPONSES)
def test_a_response_is_the_opacity_at_the_centre_and_falls_off(formulas: Formulas, name: str) -> None:
    for seed in SEEDS:
        extras = extras_of(name, seed)
        values = [alpha(formulas, name, d, 0.7, extras) for d in np.linspace(0, 4, 50)]
        assert values[0] == pytest.approx(0.7, rel=1e-6)
        assert (np.diff(values) < 0).all()


@pytest.mark.parametrize("name", RESPONSES)
def test_whether_its_logarithm_is_quadratic(formulas: Formulas, name: str) -> None:
    """Exact blocks of Gauss-Newton matrices rely on what a response declares."""
    distances = np.linspace(0.2, 3, 30)
    third_differences = [
        np.diff([np.log(alpha(formulas, name, d, 0.7, extras_of(name, seed))) for d in distances], n=3)
        for seed in SEEDS
    ]
    assert (np.abs(third_differences).max() < 1e-9) == formulas.responses()[name]


@pytest.mark.parametrize("distance", [0.0, 0.3, 1.0, 2.5])
def test_the_generalized_exponential_is_the_gaussian_at_two(formulas: Formulas, distance: float) -> None:
    generalized = alpha(formulas, "generalized", distance, 0.7, [2.0])
    assert generalized == pytest.approx(alpha(formulas, "gaussian", distance, 0.7, []), rel=1e-9)
    assert formulas.level("generalized", 0.7, [2.0]) == pytest.approx(
        formulas.level("gaussian", 0.7, []), rel=3e-5
    )


@pytest.mark.parametrize(("beta", "bound"), [(-1.0, 0.5), (0.3, 0.5), (9.0, 8.0), (float("inf"), 8.0)])
def test_beyond_its_bounds_beta_acts_as_at_them_and_gets_no_gradient(
    formulas: Formulas, beta: float, bound: float
) -> None:
    splat = [0.4, 0.3, 0.9, -0.3, 0.7, 0.8]
    name = "response_generalized"
    assert formulas.value(name, [*splat, beta]) == formulas.value(name, [*splat, bound])
    assert formulas.vjp(name, [*splat, beta], [1.0])[6] == 0
    assert formulas.jvp(name, [*splat, beta], [0.0] * 6 + [1.0]) == [0.0]


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5, 2.0, 6.0])
def test_gradients_are_finite_where_a_splat_is_centred_on_a_pixel(formulas: Formulas, beta: float) -> None:
    """There the slope of a peak has no limit, and its derivative by beta is infinity times zero."""
    at_a_pixel = [0.8, 0.4, 0.9, -0.3, 0.7, 0.8, beta]
    for form in ("", "_quadratic"):
        gradient = np.array(formulas.vjp(f"response_generalized{form}", at_a_pixel, [1.0]))
        tangent = formulas.jvp(f"response_generalized{form}", at_a_pixel, [1.0] * 7)
        assert np.isfinite(gradient).all()
        assert tangent[0] == pytest.approx(gradient.sum(), rel=1e-9)
