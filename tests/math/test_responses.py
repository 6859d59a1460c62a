"""Every response of csrc/raster/variants.h: its bound, its kind, and what it is at known places."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from formulas import Formulas

from gsplat_core.reference import RESPONSES

SAMPLED = [name for name, response in RESPONSES.items() if not response.integrates]
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
    assert formulas.responses().keys() == RESPONSES.keys() | {"surfel"}


@pytest.mark.parametrize("name", SAMPLED)
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


@pytest.mark.parametrize("name", SAMPLED)
def test_a_response_is_the_opacity_at_the_centre_and_falls_off(formulas: Formulas, name: str) -> None:
    for seed in SEEDS:
        extras = extras_of(name, seed)
        values = [alpha(formulas, name, d, 0.7, extras) for d in np.linspace(0, 4, 50)]
        assert values[0] == pytest.approx(0.7, rel=1e-6)
        assert (np.diff(values) < 0).all()


@pytest.mark.parametrize("name", [name for name, response in RESPONSES.items() if not response.along_rays])
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


def splat(s1: float, s2: float, turn: float, x: float, y: float, opacity: float = 0.8) -> list[float]:
    """Mean, root of the conic and opacity of one with these standard deviations along its turned axes."""
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    (_, xy), (_, yy) = axes @ np.diag([s1**2, s2**2]) @ axes.T
    det = s1 * s2
    return [x, y, np.sqrt(yy) / det, -xy / (np.sqrt(yy) * det), 1 / np.sqrt(yy), opacity]


WEIGHTS, AT_X, AT_Y = (0.7, -0.4, 1.1), 0.8, (-1.3, 0.4, 2.1)  # of the formula of a response


def seen_by_the_reference(numbers: list[float]) -> torch.Tensor:
    x, y, l11, l21, l22, opacity = torch.tensor(numbers, dtype=torch.float64).unbind()
    conic = torch.stack([l11 * l11, l11 * l21, l21 * l21 + l22 * l22])[None]
    dx, dy = torch.tensor([[AT_X] * 3]) - x, torch.tensor([AT_Y]) - y
    found = RESPONSES["analytic"].seen(dx, dy, conic, torch.zeros(1, 0))[0]
    return opacity * (found * torch.tensor(WEIGHTS, dtype=torch.float64)).sum()


@pytest.mark.parametrize("turn", [0.0, 0.4, np.pi / 4, np.pi / 2, 2.8])
@pytest.mark.parametrize(
    ("s1", "s2"), [(1.0, 0.7), (0.3, 0.29), (0.05, 0.02), (6.0, 0.02), (40.0, 0.5), (3e3, 2e3), (1e5, 0.05)]
)
def test_the_analytic_response_is_that_of_the_reference(
    formulas: Formulas, s1: float, s2: float, turn: float
) -> None:
    for x, y in ((0.7, 0.3), (1.2, -1.0)):
        numbers = splat(s1, s2, turn, x, y)
        (found,) = formulas.value("response_analytic", numbers)
        assert found == pytest.approx(seen_by_the_reference(numbers).item(), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("turn", [0.0, 0.4, np.pi / 2, 2.8])
@pytest.mark.parametrize(
    ("s1", "s2"), [(1.0, 1.0), (0.3, 0.3), (1e-9, 1e-9), (5.0, 1e-9), (1e9, 1e-6), (1e9, 1e9), (1e4, 1e-3)]
)
def test_strange_shapes_have_finite_gradients(formulas: Formulas, s1: float, s2: float, turn: float) -> None:
    """Round, so that the frame is any, tiny, needles, and larger than any image."""
    for x, y in ((0.7, 0.3), (0.8, 0.4), (1e6, -1e6)):
        numbers = splat(s1, s2, turn, x, y)
        assert np.isfinite(formulas.value("response_analytic", numbers)).all()
        for form in ("", "_quadratic"):
            assert np.isfinite(formulas.vjp(f"response_analytic{form}", numbers, [1.0])).all()


@pytest.mark.parametrize("opacity", [0.9, 0.1, 0.012])
def test_the_bound_of_the_analytic_response_holds(formulas: Formulas, opacity: float) -> None:
    """Beyond the ellipse of the level with half a pixel's diagonal around it, nothing is seen."""
    rng = np.random.default_rng(1)
    level = formulas.level("analytic", opacity, [])
    brightest = 0.0
    for _ in range(400):
        s1, s2 = np.exp(rng.uniform(-4, 4, 2))
        turn, way = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
        numbers = np.array(splat(s1, s2, turn, 0.0, 0.0, opacity))
        # Outward along the normal of the ellipse at one of its points.
        axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        point = np.sqrt(level) * axes @ (np.array([s1, s2]) * [np.cos(way), np.sin(way)])
        normal = axes @ ([np.cos(way), np.sin(way)] / np.array([s1, s2]))
        outside = point + (np.sqrt(0.5) * normal / np.linalg.norm(normal))
        conic = numbers[2:5]
        found = RESPONSES["analytic"].seen(
            *torch.tensor(outside)[:, None, None],
            torch.tensor([[conic[0] ** 2, conic[0] * conic[1], conic[1] ** 2 + conic[2] ** 2]]),
            torch.zeros(1, 0),
        )
        brightest = max(brightest, opacity * found.item())
    assert 0.5 / 255 < brightest <= 1 / 255 * (1 + 1e-6)
