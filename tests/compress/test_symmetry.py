"""The 24 descriptions of a Gaussian: all the same ellipsoid, one of them near no rotation."""

from __future__ import annotations

import dataclasses

import torch
from compress.scenes import covariances, scene

from gsplat_core.compress import symmetry


def test_renaming_keeps_the_ellipsoid_and_leaves_w_the_largest() -> None:
    gaussians = scene()
    quats, scales = symmetry.rename(gaussians.quats, gaussians.scales, symmetry.renaming(gaussians.quats))
    renamed = dataclasses.replace(gaussians, quats=quats, scales=scales)
    torch.testing.assert_close(covariances(renamed), covariances(gaussians), rtol=1e-4, atol=1e-7)
    assert float(quats[:, 0].min()) > 0.84
    assert float(quats[:, 1:].abs().max()) < 0.42


def test_all_24_are_the_same_ellipsoid() -> None:
    gaussians = scene(50)
    for number in range(24):
        which = torch.full((50,), number)
        quats, scales = symmetry.rename(gaussians.quats, gaussians.scales, which)
        renamed = dataclasses.replace(gaussians, quats=quats, scales=scales)
        torch.testing.assert_close(covariances(renamed), covariances(gaussians), rtol=1e-4, atol=1e-7)
        back, scales = symmetry.undo(quats, scales, which)
        torch.testing.assert_close(symmetry.like(back, gaussians.quats), gaussians.quats)
        torch.testing.assert_close(scales, gaussians.scales)
