"""The operators of MCMC against the specification's numbers and independent computations."""

import numpy as np
import pytest
import torch
from backends import opcheck
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gsplat_core.ops.mcmc import perturb_means, relocate

LARGEST = 1 - 2.0**-23

# copies N, original opacity o, opacity of each, Z, ratio of sizes
VECTORS = [
    (2, 0.5, 0.29289, 0.525126, 0.9522),
    (5, 0.9, 0.36904, 1.129058, 0.7971),
    (20, 0.99, 0.20567, 1.519491, 0.6515),
    (51, 0.5, 0.01350, 0.550026, 0.9090),
    (51, LARGEST, 0.26848, 1.982310, 0.5045),  # for 1 - 1.19e-7, which is between two floats
]


def relocated(opacity: float, copies: int) -> tuple[float, float]:
    opacities, scales = relocate(
        torch.tensor([opacity]), torch.ones(1, 3), torch.tensor([copies], dtype=torch.int32)
    )
    assert scales.unique().numel() == 1
    return opacities.item(), scales[0, 0].item()


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(("copies", "opacity", "shared", "z", "ratio"), VECTORS)
def test_relocation_vectors(copies: int, opacity: float, shared: float, z: float, ratio: float) -> None:
    got_opacity, got_ratio = relocated(opacity, copies)
    exact = opacity != LARGEST
    assert got_opacity == pytest.approx(shared, abs=6e-6 if exact else 3e-5)
    assert got_ratio == pytest.approx(ratio, abs=6e-5)
    assert opacity / got_ratio == pytest.approx(z, rel=2e-6 if exact else 1e-4)


@pytest.mark.usefixtures("backend")
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(2.0**-13, LARGEST, width=32), st.integers(1, 51))
def test_relocation_keeps_opacity_and_the_integral_along_a_ray(opacity: float, copies: int) -> None:
    """N coincident Gaussians, composited, against the one they stand for."""
    shared, ratio = relocated(opacity, copies)
    t, weights = np.polynomial.legendre.leggauss(200)
    t, weights = 6.5 * (t + 1) / 2, 6.5 * weights / 2

    def line_integral(o: float, n: int, size: float) -> float:
        return size * float(weights @ -np.expm1(n * np.log1p(-o * np.exp(-(t**2)))))

    assert -np.expm1(copies * np.log1p(-shared)) == pytest.approx(min(opacity, LARGEST), rel=1e-5)
    # The original is not composited with itself: its integral is that of o exp(-t^2).
    assert line_integral(shared, copies, ratio) == pytest.approx(
        float(weights @ (opacity * np.exp(-(t**2)))), rel=1e-5
    )


@pytest.mark.usefixtures("backend")
def test_one_copy_changes_nothing() -> None:
    for opacity in (0.0, 0.3, 0.999):
        assert relocated(opacity, 1) == pytest.approx((opacity, 1.0), rel=1e-6)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("copies", [0, 65])
def test_a_number_of_copies_out_of_range_is_refused(copies: int) -> None:
    with pytest.raises(RuntimeError, match="'copies' must lie between 1 and 64"):
        relocated(0.5, copies)


def scene(n: int) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return {
        "means": torch.randn(n, 3, generator=random),
        "quats": torch.randn(n, 4, generator=random),
        "scales": torch.rand(n, 3, generator=random),
        "opacities": torch.rand(n, generator=random) * 0.02,
    }


def test_noise_is_the_same_for_any_number_of_threads_and_differs_by_step_seed_and_row() -> None:
    gaussians, before = scene(5000), torch.get_num_threads()
    try:
        results = []
        for threads in (1, 4):
            torch.set_num_threads(threads)
            results.append(
                perturb_means(**gaussians, strength=1.0, steepness=100, threshold=0.005, seed=3, step=9)
            )
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*results)
    for seed, step in ((4, 9), (3, 10)):
        other = perturb_means(**gaussians, strength=1.0, steepness=100, threshold=0.005, seed=seed, step=step)
        assert not torch.isclose(other, results[0]).any(dim=1).all()


@pytest.mark.usefixtures("backend")
def test_noise_is_standard_normal_before_it_is_shaped() -> None:
    n = 100_000
    moved = perturb_means(
        torch.zeros(n, 3), torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1), torch.ones(n, 3), torch.zeros(n),
        strength=1.0, steepness=1e6, threshold=0.5, seed=0, step=1,
    ).double()  # fmt: skip
    ordered = moved.sort(dim=0).values
    expected = torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n)
    middle = slice(n // 100, -n // 100)
    assert (ordered[middle] - expected[middle, None]).abs().max() < 0.06
    torch.testing.assert_close(moved.T.cov(), torch.eye(3).double(), atol=0.02, rtol=0)


@pytest.mark.usefixtures("backend")
def test_noise_too_small_for_a_centre_is_all_that_is_left_out() -> None:
    """At the origin no noise is too small. Opacities make it from 1e-12 to 1 times a centre's coordinates."""
    gaussians = scene(20_000)
    gaussians["opacities"] = torch.linspace(0.0, 0.3, 20_000)
    shape = {"strength": 1.0, "steepness": 100.0, "threshold": 0.005, "seed": 3, "step": 9}
    noise = perturb_means(**{**gaussians, "means": torch.zeros(20_000, 3)}, **shape)
    moved = perturb_means(**gaussians, **shape)
    means = gaussians["means"]
    assert ((moved - (means + noise)).abs() <= 2.0**-23 * (means.abs() + noise.abs())).all()
    assert 0.2 < (moved == means).all(dim=1).double().mean() < 0.8


@pytest.mark.usefixtures("backend")
def test_operators_pass_opcheck() -> None:
    gaussians = scene(7)
    opcheck(
        torch.ops.gsplat_core.relocate.default,
        (gaussians["opacities"], gaussians["scales"], torch.full((7,), 3, dtype=torch.int32)),
    )
    opcheck(torch.ops.gsplat_core.perturb_means.default, (*gaussians.values(), 1.0, 100.0, 0.005, 0, 1))


@pytest.mark.usefixtures("backend")
def test_arguments_that_do_not_fit_are_named() -> None:
    gaussians = scene(7)
    with pytest.raises(RuntimeError, match="'quats' must have shape"):
        perturb_means(
            **{**gaussians, "quats": torch.ones(6, 4)},
            strength=1.0,
            steepness=1.0,
            threshold=0.0,
            seed=0,
            step=0,
        )
    with pytest.raises(RuntimeError, match="'copies' has the wrong dtype"):
        relocate(gaussians["opacities"], gaussians["scales"], torch.ones(7))
