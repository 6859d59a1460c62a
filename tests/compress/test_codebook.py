"""Codebooks follow what they stand for, and are no larger than is worth it."""

from __future__ import annotations

import pytest
import torch

from gsplat_core.compress.codebook import Codebook, bisection_order


@pytest.mark.parametrize(
    ("rows", "size", "codes"), [(0, 8, 1), (15, 8, 1), (16, 8, 2), (31, 8, 2), (64, 8, 8), (1000, 8, 8)]
)
def test_each_code_stands_for_at_least_eight(rows: int, size: int, codes: int) -> None:
    book = Codebook(size)
    book.fit(torch.rand(rows, 3, generator=torch.Generator().manual_seed(0)))
    assert book.centroids.shape == (codes, 3)
    assert book.labels.shape == (rows,)


def test_a_first_fit_takes_longer_than_later_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    import gsplat_core.compress.codebook as module

    asked = []
    kmeans = module.kmeans

    def noticed(values: torch.Tensor, size: int, rounds: int, seed: int, **options: torch.Tensor):
        asked.append((size, rounds, seed, list(options)))
        return kmeans(values, size, rounds, seed, **options)

    monkeypatch.setattr(module, "kmeans", noticed)
    values = torch.rand(100, 3)
    for iterations in (10, 3):
        book = Codebook(4, iterations, seed=5)
        book.fit(values)
        book.fit(values)
    book.fit(torch.rand(31, 3))  # too few for four codes
    first, later, short, least, smaller = asked
    assert first == (4, 10, 5, [])
    assert later == (4, 2, 5, ["initial"])
    assert short == (4, 3, 5, [])
    assert least == (4, 1, 5, ["initial"])
    assert smaller == (2, 3, 5, [])


def test_codes_move_to_the_mean_of_what_takes_them_and_others_stay() -> None:
    book = Codebook(4)
    book.centroids = torch.tensor([[0.0], [10.0], [20.0], [99.0]])
    codes = book.follow(torch.tensor([[1.0], [3.0], [11.0], [18.0]]))
    assert codes.flatten().tolist() == [2.0, 2.0, 11.0, 18.0]
    assert book.centroids.flatten().tolist() == [2.0, 11.0, 18.0, 99.0]
    assert book.labels.tolist() == [0, 0, 1, 2]


def test_an_order_of_codes_names_the_same_vectors() -> None:
    book = Codebook(16)
    values = torch.rand(300, 4, generator=torch.Generator().manual_seed(1))
    book.fit(values)
    centroids, labels = book.ordered()
    assert torch.equal(centroids[labels.long()], book.centroids[book.labels.long()])
    assert torch.equal(centroids, book.centroids[bisection_order(book.centroids)])


def test_each_half_is_one_side_along_the_widest_direction() -> None:
    """Of points along a line in space, all bisections are along it: the order is that of the line."""
    place = torch.randperm(32, generator=torch.Generator().manual_seed(2)).double()
    direction = torch.tensor([2.0, -3.0, 0.5], dtype=torch.float64)
    generator = torch.Generator().manual_seed(3)
    points = place[:, None] * direction + 0.01 * torch.randn(32, 3, generator=generator, dtype=torch.float64)
    along = place[bisection_order(points)]
    halves = along.reshape(2, 16)
    assert abs(halves[0].mean() - halves[1].mean()) == 16
    for quarter in along.reshape(8, 4):
        assert quarter.max() - quarter.min() == 3
