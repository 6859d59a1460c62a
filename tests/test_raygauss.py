"""Casting rays through a density made of Gaussians."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gsplat_core.raygauss import raycast


def camera(focal: float = 20.0) -> dict[str, Tensor | int]:
    viewmat = torch.eye(4)
    viewmat[2, 3] = 4.0
    K = torch.tensor([[focal, 0.0, 8.5], [0.0, focal, 6.5], [0.0, 0.0, 1.0]])
    return {"viewmats": viewmat[None], "Ks": K[None], "width": 17, "height": 13}


@pytest.mark.parametrize("model", ["pinhole", "ortho"])
def test_the_central_ray_sees_the_line_integral(model: str) -> None:
    """Of a Gaussian that is dense enough for its threshold to be far outside: s sqrt(2 pi) along an axis."""
    density, deep = 4.0, 0.3
    images, alphas, _ = raycast(
        torch.zeros(1, 3), torch.tensor([[1.0, 0, 0, 0]]), torch.tensor([[0.2, 0.1, deep]]),
        torch.tensor([density]), torch.tensor([[0.2, 0.5, 0.9]]), **camera(),
        step=0.02, near=0.0, far=10.0, density_threshold=1e-6, camera_model=model,
    )  # fmt: skip
    alpha = 1 - math.exp(-density * deep * math.sqrt(2 * math.pi))
    assert alphas[0, 6, 8, 0].item() == pytest.approx(alpha, abs=1e-4)
    torch.testing.assert_close(images[0, 6, 8], alpha * torch.tensor([0.2, 0.5, 0.9]), atol=1e-4, rtol=0)
