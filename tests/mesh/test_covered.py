"""Pixels that triangles cover."""

from __future__ import annotations

import numpy as np
import pytest

from gsplat_core.mesh import covered as module
from gsplat_core.mesh.covered import covered

SIZE = 24


def test_pixels_are_those_whose_centres_are_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PIXELS_AT_A_TIME", 50)
    monkeypatch.setattr(module, "_ROWS_AT_A_TIME", 20)
    triangles = np.random.default_rng(0).uniform(-8, SIZE + 8, (40, 3, 2))
    places = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), axis=-1) + 0.5
    for margin in (0.0, 1.0):
        found = [np.zeros((SIZE, SIZE), int) for _ in triangles]
        for part in covered(triangles, SIZE, SIZE, margin):
            for x, y, face in zip(part.x, part.y, part.faces, strict=True):
                found[face][y, x] += 1
            if not margin:
                at = (part.weights[..., None] * triangles[part.faces]).sum(axis=1)
                assert at == pytest.approx(np.stack([part.x, part.y], axis=1) + 0.5)
            assert (part.weights >= 0).all()
        for triangle, count in zip(triangles, found, strict=True):
            distances = []
            for i in range(3):
                edge = triangle[(i + 1) % 3] - triangle[i]
                normal = np.array([-edge[1], edge[0]]) / np.linalg.norm(edge)
                normal *= np.sign(normal @ (triangle[(i + 2) % 3] - triangle[i]))
                distances.append((places - triangle[i]) @ normal)
            inside = np.min(distances, axis=0) >= -margin
            box = (places >= triangle.min(0) - margin) & (places <= triangle.max(0) + margin)
            assert (count == (inside & box.all(axis=2))).all()


def test_a_line_covers_nothing_and_triangles_that_meet_cover_all() -> None:
    line = np.array([[[1.0, 1.0], [9.0, 5.0], [17.0, 9.0]]])
    assert sum(len(part.x) for part in covered(line, SIZE, SIZE)) == 0
    square = np.array([[[0, 0], [SIZE, 0], [SIZE, SIZE]], [[0, 0], [SIZE, SIZE], [0, SIZE]]], float)
    pixels = np.concatenate([part.y * SIZE + part.x for part in covered(square, SIZE, SIZE)])
    assert len(np.unique(pixels)) == SIZE * SIZE
