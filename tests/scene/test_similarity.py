import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gsplat_core.quaternions import multiply, rotation_matrices
from gsplat_core.scene.similarity import Similarity

seeds = st.integers(0, 2**31)


def random_similarity(seed: int) -> Similarity:
    generator = torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=generator))
    scale = float(torch.exp(torch.randn((), dtype=torch.float64, generator=generator)))
    return Similarity(q * torch.linalg.det(q), torch.randn(3, generator=generator), scale)


def assert_same(a: Similarity, b: Similarity) -> None:
    torch.testing.assert_close(a.matrix(), b.matrix(), atol=1e-12, rtol=1e-12)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_inverse_undoes_and_matrix_round_trips(seed: int) -> None:
    s = random_similarity(seed)
    assert_same(s @ s.inverse(), Similarity())
    assert_same(Similarity.from_matrix(s.matrix()), s)


@settings(max_examples=30, deadline=None)
@given(seeds, seeds)
def test_composition_applies_the_right_one_first(first: int, second: int) -> None:
    a, b = random_similarity(first), random_similarity(second)
    points = torch.randn(10, 3, dtype=torch.float64)
    torch.testing.assert_close((a @ b).apply(points), a.apply(b.apply(points)))


@settings(max_examples=30, deadline=None)
@given(seeds, seeds)
def test_quaternion_is_the_rotation_and_products_are_compositions(first: int, second: int) -> None:
    a, b = random_similarity(first), random_similarity(second)
    torch.testing.assert_close(rotation_matrices(a.quaternion()), a.rotation, atol=1e-12, rtol=0)
    product = multiply(a.quaternion(), b.quaternion())
    torch.testing.assert_close(rotation_matrices(product), a.rotation @ b.rotation, atol=1e-12, rtol=0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_quaternion_of_half_turns(axis: int) -> None:
    """The case where the trace formula divides by zero."""
    rotation = -torch.eye(3, dtype=torch.float64)
    rotation[axis, axis] = 1
    torch.testing.assert_close(
        rotation_matrices(Similarity(rotation).quaternion()), rotation, atol=1e-15, rtol=0
    )


def test_large_coordinates_lose_nothing_before_rounding() -> None:
    points = torch.tensor([[1e6, 2e6, -3e6]])
    s = Similarity(translation=torch.tensor([-1e6, -2e6, 3e6], dtype=torch.float64) + 0.125)
    torch.testing.assert_close(s.apply(points), torch.full((1, 3), 0.125))


def test_what_is_not_a_similarity_is_refused() -> None:
    with pytest.raises(ValueError, match="reflection"):
        Similarity(torch.diag(torch.tensor([1.0, 1.0, -1.0])))
    with pytest.raises(ValueError, match="orthonormal"):
        Similarity(torch.eye(3) * 2)
    with pytest.raises(ValueError, match="orthonormal"):
        Similarity(torch.full((3, 3), float("nan")))
    with pytest.raises(ValueError, match="scale"):
        Similarity(scale=0)
    with pytest.raises(ValueError, match="translation"):
        Similarity(translation=torch.full((3,), float("inf")))
    with pytest.raises(ValueError, match="orthonormal"):
        Similarity.from_matrix(torch.diag(torch.tensor([1.0, 2.0, 3.0, 1.0])))
    for diagonal, problem in [
        ((1.0, 1.0, -1.0), "is a reflection"),
        ((1.0, 1.0, 0.0), "is singular"),
        ((0.0, 0.0, 0.0), "is singular"),
        ((-1.0, 0.0, 1.0), "is singular"),
        ((1.0, 1.0, 1.001), "shear or several scales"),
        ((1.0, float("nan"), 1.0), "not finite"),
    ]:
        with pytest.raises(ValueError, match=problem):
            Similarity.from_matrix(torch.diag(torch.tensor([*diagonal, 1.0])))
    sheared = torch.eye(4)
    sheared[0, 1] = 0.01
    with pytest.raises(ValueError, match="shear or several scales"):
        Similarity.from_matrix(sheared)
