"""A mesh is made where the sparse points are, without what lies far away."""

from __future__ import annotations

import numpy as np
import torch

from gsplat_core.mesh.bounds import box_of
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.scale import SceneScale

SCALE = SceneScale(length=2.0, published=2.0, center=np.zeros(3), radius=1.0)


def gaussians(means: np.ndarray, opaque: np.ndarray) -> Gaussians:
    count = len(means)
    return Gaussians(
        torch.from_numpy(means).float(),
        torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        torch.zeros(count, 3),
        torch.from_numpy(np.where(opaque, 3.0, -3.0)).float(),
        torch.zeros(count, 1, 3),
        torch.zeros(count, 0, 3),
    )


NOTHING = gaussians(np.zeros((1, 3)), np.ones(1, bool))


def test_it_holds_nearly_all_points_and_few_strays_do_not_matter() -> None:
    points = np.random.default_rng(0).uniform(-1, 2, (2000, 3))
    strays = np.concatenate([points, np.full((5, 3), 3.9)])
    box = box_of(NOTHING, strays, SCALE)
    assert ((points >= box[0]) & (points <= box[1])).all(axis=1).mean() > 0.98
    assert (box[0] > -1.5).all()
    assert (box[1] < 2.5).all()


def test_it_ends_where_the_cameras_hardly_see() -> None:
    points = np.random.default_rng(0).uniform(-100, 100, (2000, 3))
    assert box_of(NOTHING, points, SCALE).tolist() == [[-6.0] * 3, [6.0] * 3]


def test_without_points_it_holds_the_opaque_gaussians() -> None:
    means = np.random.default_rng(0).uniform(-1, 1, (1000, 3))
    means[::2] *= 3
    box = box_of(gaussians(means, np.arange(1000) % 2 == 1), np.zeros((0, 3)), SCALE)
    assert (np.abs(np.abs(box) - 1.1) < 0.2).all()
