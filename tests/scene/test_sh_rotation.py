import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gsplat_core.scene.harmonics import degree_of, num_coefficients, sh_basis
from gsplat_core.scene.sh_rotation import rotate_each_sh, rotate_sh, sh_rotation_matrix

degrees = st.integers(0, 4)
seeds = st.integers(0, 2**31)


def random_rotation(seed: int) -> Tensor:
    q, r = torch.linalg.qr(
        torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    )
    q = q * r.diagonal().sign()
    return q * torch.linalg.det(q)


def random_directions(seed: int, count: int = 200) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(
        torch.randn(count, 3, dtype=torch.float64, generator=generator), dim=-1
    )


def test_basis_is_orthonormal_on_the_sphere() -> None:
    directions = random_directions(0, 400_000)
    basis = sh_basis(directions, 4)
    gram = basis.T @ basis * (4 * torch.pi / len(directions))
    torch.testing.assert_close(gram, torch.eye(25, dtype=torch.float64), atol=0.02, rtol=0)


def test_basis_has_the_signs_and_order_of_3dgs() -> None:
    # First-order functions are (-y, z, -x); the m = 0 functions are positive at the pole.
    x, y, z = torch.eye(3, dtype=torch.float64)
    c1 = 0.4886025119029199
    torch.testing.assert_close(
        sh_basis(torch.stack([y, z, x]), 1)[:, 1:].diagonal(), torch.tensor([-c1, c1, -c1]).double()
    )
    pole = sh_basis(z, 4)
    assert all(pole[k] > 0.28 for k in (0, 2, 6, 12, 20))
    assert (pole[[1, 3, 4, 5, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 19, 21, 22, 23, 24]] == 0).all()


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_basis_agrees_with_scipy(degree: int) -> None:
    """Real SH with Condon-Shortley phase: m < 0 sine, m > 0 cosine of the complex ones, order m = -l .. l."""
    special = pytest.importorskip("scipy.special")
    d = random_directions(1, 50)
    azimuth, polar = torch.atan2(d[:, 1], d[:, 0]).numpy(), torch.acos(d[:, 2]).numpy()
    for m in range(-degree, degree + 1):
        value = special.sph_harm_y(degree, abs(m), polar, azimuth)
        real = value.real if m == 0 else 2**0.5 * (value.real if m > 0 else value.imag)
        ours = sh_basis(d, degree)[:, degree * degree + degree + m]
        torch.testing.assert_close(ours, torch.from_numpy(real), atol=1e-12, rtol=0)


@settings(max_examples=40, deadline=None)
@given(degrees, seeds)
def test_colour_seen_along_the_turned_direction_is_the_colour_before(degree: int, seed: int) -> None:
    rotation, directions = random_rotation(seed), random_directions(seed)
    generator = torch.Generator().manual_seed(seed)
    sh = torch.randn(7, num_coefficients(degree), 3, dtype=torch.float64, generator=generator)
    turned = torch.cat([sh[:, :1], rotate_sh(sh[:, 1:], rotation)], dim=1)
    before = torch.einsum("pk,nkc->npc", sh_basis(directions, degree), sh)
    after = torch.einsum("pk,nkc->npc", sh_basis(directions @ rotation.T, degree), turned)
    torch.testing.assert_close(after, before, atol=1e-12, rtol=0)


def test_float32_coefficients_keep_single_precision() -> None:
    sh = torch.randn(100, 24, 3, dtype=torch.float64)
    exact = rotate_sh(sh, random_rotation(3))
    torch.testing.assert_close(rotate_sh(sh.float(), random_rotation(3)).double(), exact, atol=2e-6, rtol=0)


@settings(max_examples=20, deadline=None)
@given(seeds, seeds)
def test_rotations_compose(first: int, second: int) -> None:
    r1, r2 = random_rotation(first), random_rotation(second)
    torch.testing.assert_close(
        sh_rotation_matrix(r1 @ r2, 4),
        sh_rotation_matrix(r1, 4) @ sh_rotation_matrix(r2, 4),
        atol=1e-12,
        rtol=0,
    )


def test_identity_changes_nothing_and_every_rotation_is_orthogonal() -> None:
    identity = torch.eye(25, dtype=torch.float64)
    torch.testing.assert_close(sh_rotation_matrix(torch.eye(3), 4), identity, atol=1e-14, rtol=0)
    matrix = sh_rotation_matrix(random_rotation(5), 4)
    torch.testing.assert_close(matrix @ matrix.T, identity, atol=1e-12, rtol=0)


def test_gradient_flows_through_the_coefficients() -> None:
    sh = torch.randn(2, 8, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda c: rotate_sh(c, random_rotation(9)), (sh,))


@pytest.mark.parametrize("count", [0, 2, 15, 17, 36])
def test_impossible_coefficient_counts_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match="expected 1, 4, 9, 16 or 25"):
        degree_of(count)


@pytest.mark.parametrize("degree", range(5))
def test_rows_that_turn_one_by_one_turn_as_each_alone(degree: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gsplat_core.scene.sh_rotation._ROWS_AT_A_TIME", 3)
    shN = torch.randn(7, num_coefficients(degree) - 1, 3, dtype=torch.float64)
    turns = torch.stack([random_rotation(seed) for seed in range(7)])
    each = [rotate_sh(row[None], turn) for row, turn in zip(shN, turns, strict=True)]
    torch.testing.assert_close(rotate_each_sh(shN, turns), torch.cat(each))
    assert rotate_each_sh(shN[:0], turns[:0]).shape == shN[:0].shape
