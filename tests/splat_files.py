"""Scenes for tests of file formats, and the comparison of scenes whose splats changed their order and
precision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from paths import real_scene
from splats import covariances
from torch import Tensor

from gsplat_core.io import load
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import num_coefficients


def typical_scene(num: int = 300, degree: int = 3, seed: int = 0) -> Gaussians:
    """Parameters in the ranges that trained scenes have; no two coefficients alike, so that no mix-up can
    pass.
    """
    g = torch.Generator().manual_seed(seed)
    rest = num_coefficients(degree) - 1
    return Gaussians(
        means=3 * torch.randn(num, 3, generator=g) * torch.tensor([1.0, 0.5, 2.0]),
        quats=torch.randn(num, 4, generator=g) * (0.5 + torch.rand(num, 1, generator=g)),
        scales=-4 + 1.5 * torch.randn(num, 3, generator=g).clamp(-3, 3),
        opacities=2 * torch.randn(num, generator=g),
        sh0=torch.randn(num, 1, 3, generator=g).clamp(-3, 3),
        shN=(0.2 * torch.randn(num, rest, 3, generator=g)).clamp(-0.9, 0.9),
    )


def trained_scene(num: int, degree: int) -> Gaussians:
    """Part of a scene that others trained, so that values are as training leaves them; a made-up one where it
    is absent.
    """
    try:
        trained = load(real_scene("trained_ply") / "trained_9080.ply").subset(slice(0, num))
    except pytest.skip.Exception:
        trained = typical_scene(num, 3)
    return trained.with_sh_degree(degree)


def scene_of(columns: Mapping[str, Any], order: str) -> Gaussians:
    """A scene from what another program decoded.

    Args:
        columns: positions, scales (logarithms), rotations, alphas (logits), colors, sh (coefficients).
        order: of the rotations' numbers, such as "xyzw".
    """
    num = len(columns["alphas"])

    def column(name: str, *shape: int) -> Tensor:
        return torch.from_numpy(np.array(columns[name], np.float32).reshape(num, *shape))

    return Gaussians(
        means=column("positions", 3),
        quats=column("rotations", 4)[:, [order.index(axis) for axis in "wxyz"]],
        scales=column("scales", 3),
        opacities=column("alphas").clamp(-13.8155, 13.8155),
        sh0=column("colors", 1, 3),
        shN=column("sh", -1, 3) if len(columns["sh"]) else torch.zeros(num, 0, 3),
    )


def matched(written: Gaussians, read: Gaussians) -> Gaussians:
    """`read` in the order of `written`, by nearest centres; every splat must be met exactly once."""
    assert read.num == written.num
    nearest = torch.cdist(written.means.double(), read.means.double()).argmin(dim=1)
    assert len(nearest.unique()) == read.num, "centres have moved further than their distance"
    return read.subset(nearest)


def differences(a: Gaussians, b: Gaussians) -> dict[str, Tensor]:
    """Absolute errors by attribute: opacity as alpha, rotation in degrees, the rest as parameters."""
    errors = {name: (getattr(a, name) - getattr(b, name)).abs() for name in ("means", "scales", "sh0", "shN")}
    errors["alpha"] = (a.opacities.sigmoid() - b.opacities.sigmoid()).abs()
    p, q = (torch.nn.functional.normalize(s.quats.double(), dim=1) for s in (a, b))
    chord = torch.minimum((p - q).norm(dim=1), (p + q).norm(dim=1))
    errors["degrees"] = 4 * torch.rad2deg(torch.asin((chord / 2).clamp(max=1)))
    return errors


def assert_within(a: Gaussians, b: Gaussians, bounds: dict[str, float | Tensor]) -> None:
    """Every error of `differences` is within its bound (0 where none is given)."""
    for name, error in differences(a, b).items():
        bound = torch.as_tensor(bounds.get(name, 0.0)) * (1 + 1e-4) + 1e-6
        assert bool((error <= bound).all()), f"{name}: {float((error - bound).max()):.3g} beyond its bound"


def assert_same_covariances(a: Gaussians, b: Gaussians, tolerance: float = 1e-4) -> None:
    """Shapes are equal whichever of the equivalent rotations a program keeps."""
    first, second = (covariances(s.quats, s.scales.exp()) for s in (a, b))
    size = first.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
    assert float(((first - second).abs() / size).max()) < tolerance


def smallest_three_degrees(component_error: float) -> float:
    """The largest turn that errors of three components can make, with the fourth following from them.

    The largest component is at least 1/2, so an error d of the three, at most sqrt(3) times that of each,
    moves it by at most sqrt(3) |d|: the chord is at most 2 |d|, and a rotation turns by twice the
    quaternion's angle.
    """
    return math.degrees(4 * math.asin(math.sqrt(3) * component_error))
