"""gsplat_core/quaternions.py against quaternion arithmetic, q v q*."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gsplat_core.quaternions import multiply, quaternions_of, rotation_matrices, rotation_matrix


def random_quaternions(*shape: int) -> Tensor:
    return torch.randn(*shape, 4, generator=torch.Generator().manual_seed(0)).double()


def test_a_matrix_turns_vectors_as_its_quaternion_does() -> None:
    quats, vectors = random_quaternions(2, 30), random_quaternions(2, 30)[..., 1:]
    unit = torch.nn.functional.normalize(quats, dim=-1)
    conjugate = unit * torch.tensor([1.0, -1.0, -1.0, -1.0])
    pure = torch.cat([torch.zeros(2, 30, 1).double(), vectors], dim=-1)
    turned = multiply(multiply(unit, pure), conjugate)
    assert turned[..., 0].abs().max() < 1e-12
    expected = (rotation_matrices(quats) @ vectors[..., None])[..., 0]
    assert torch.allclose(turned[..., 1:], expected, atol=1e-12)


def test_the_units_multiply_as_hamilton_found() -> None:
    one, i, j, k = torch.eye(4)
    for a, b, product in ((i, j, k), (j, k, i), (k, i, j), (i, i, -one), (j, i, -k), (one, k, k)):
        assert torch.equal(multiply(a, b), product)


def test_length_does_not_matter_and_gradients_are_right() -> None:
    quats = random_quaternions(5)
    assert torch.allclose(rotation_matrices(quats), rotation_matrices(-7 * quats), atol=1e-14)
    assert torch.autograd.gradcheck(rotation_matrices, quats.requires_grad_())


def test_outside_of_pytorch() -> None:
    quaternion = np.array([0.5, -1.0, 2.0, 0.25])
    expected = rotation_matrices(torch.from_numpy(quaternion)).numpy()
    assert np.array_equal(rotation_matrix(quaternion), expected)
    assert np.array_equal(rotation_matrix(quaternion.tolist()), expected)


def test_a_rotation_matrix_has_the_quaternion_that_it_was_made_of() -> None:
    halves = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0.6, -0.8, 0]])
    quats = torch.cat([random_quaternions(200), halves.double()])
    found = quaternions_of(rotation_matrices(quats))
    torch.testing.assert_close(found.norm(dim=1), torch.ones(205, dtype=torch.float64))
    torch.testing.assert_close(rotation_matrices(found), rotation_matrices(quats))
