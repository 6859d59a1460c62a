"""Vectors of photographs: alike for those that show the same."""

from __future__ import annotations

import numpy as np
import pytest

from gsplat_core.sfm.similarity import image_vectors, means_of


def features_of_places(places: int, views: int) -> list[np.ndarray]:
    """[F, 128] for each photograph: of each place several, whose features differ by noise, in other order."""
    random = np.random.default_rng(0)
    kinds = random.integers(0, 120, (places, 150, 128))
    photographs = []
    for i in range(places * views):
        seen = random.permutation(150)[:110]
        noisy = kinds[i % places][seen] + random.normal(0, 8, (110, 128))
        photographs.append(noisy.clip(0, 255).astype(np.uint8))
    return photographs


def test_photographs_of_one_place_are_nearest_to_each_other() -> None:
    photographs = features_of_places(5, 4)
    vectors = image_vectors(photographs.__getitem__, len(photographs), seed=0)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1)
    likeness = vectors @ vectors.T - 2 * np.eye(len(vectors))
    for i, row in enumerate(likeness):
        assert {int(j) % 5 for j in np.argsort(-row)[:3]} == {i % 5}


def test_the_same_seed_gives_the_same_vectors() -> None:
    photographs = features_of_places(2, 2)
    first, second = (image_vectors(photographs.__getitem__, 4, seed=3) for _ in range(2))
    assert np.array_equal(first, second)


def test_photographs_without_features_have_no_direction() -> None:
    empty = np.zeros((0, 128), np.uint8)
    photographs = [features_of_places(1, 1)[0], empty]
    vectors = image_vectors(photographs.__getitem__, 2, seed=0)
    assert vectors[0].any()
    assert not vectors[1].any()
    assert not image_vectors(lambda i: empty, 3, seed=0).any()


def test_means_are_found_where_points_are() -> None:
    random = np.random.default_rng(1)
    centers = np.array([[0, 0], [10, 0], [0, 10], [10, 10]], np.float32)
    points = centers[random.integers(0, 4, 400)] + random.normal(0, 0.1, (400, 2)).astype(np.float32)
    found = means_of(points.astype(np.float32), 8, random)
    assert np.abs(found[:, None] - centers).max(axis=2).min(axis=0).max() < 0.5
    assert len(means_of(points[:3].astype(np.float32), 8, random)) == 3
