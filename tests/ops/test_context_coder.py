"""The lossless coder: what comes out is what went in, cheap where there is structure, and always in time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from backends import opcheck
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gsplat_core.ops.context_coder import (
    decode_ascending,
    decode_labels,
    decode_residuals,
    decode_table,
    earlier_neighbors,
    encode_ascending,
    encode_labels,
    encode_residuals,
    encode_table,
)

LARGEST = 2**28


def previous(rows: int) -> torch.Tensor:
    return (torch.arange(rows)[:, None] - torch.arange(1, 4)).clamp(min=-1).int()


integers = st.integers(-3, 3) | st.integers(-LARGEST, LARGEST)


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(0, 30), st.integers(1, 5)).flatmap(lambda s: arrays(np.int32, s, elements=integers))
)
def test_any_table_comes_back(values: np.ndarray) -> None:
    table = torch.from_numpy(values)
    neighbors = previous(len(table))
    assert torch.equal(decode_table(encode_table(table, neighbors), neighbors, table.shape[1]), table)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 2**62 - 1) | st.integers(0, 9), max_size=40))
def test_any_ascending_codes_come_back(codes: list[int]) -> None:
    tensor = torch.tensor(sorted(codes), dtype=torch.int64)
    assert torch.equal(decode_ascending(encode_ascending(tensor), len(tensor)), tensor)


@pytest.mark.parametrize("bits", [0, 1, 5, 16])
def test_labels_come_back(bits: int) -> None:
    labels = torch.randint(2**bits, (500,), generator=torch.Generator().manual_seed(bits)).int()
    assert torch.equal(decode_labels(encode_labels(labels, previous(500), bits), previous(500), bits), labels)


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(0, 30), st.integers(1, 5)).flatmap(
        lambda s: st.tuples(
            arrays(np.int32, s, elements=integers), arrays(np.int32, s, elements=st.integers(0, 127))
        )
    )
)
def test_any_residuals_come_back(arrays_of_both: tuple[np.ndarray, np.ndarray]) -> None:
    values, deviations = map(torch.from_numpy, arrays_of_both)
    neighbors = previous(len(values))
    coded = encode_residuals(values, deviations, neighbors)
    assert torch.equal(decode_residuals(coded, deviations, neighbors), values)


def gaussian_bits(values: torch.Tensor, sigma: torch.Tensor) -> float:
    """What numbers cost whose probabilities are the masses of Gaussians in steps of one."""
    size = values.double().abs()
    mass = torch.special.ndtr((0.5 - size) / sigma) - torch.special.ndtr((-0.5 - size) / sigma)
    return float(-mass.log2().sum())


@pytest.mark.parametrize("low", [0, 16, 48])
def test_residuals_cost_what_their_gaussians_say(low: int) -> None:
    generator = torch.Generator().manual_seed(low)
    deviations = torch.randint(low, low + 32, (1500, 20), generator=generator).int()
    sigma = 2.0 ** (deviations.double() / 8 - 3)
    values = (torch.randn(1500, 20, generator=generator) * sigma).round().int()
    bits = 8 * len(encode_residuals(values, deviations, previous(1500)))
    assert bits == pytest.approx(gaussian_bits(values, sigma), rel=0.02)


def test_residuals_that_are_no_gaussians_are_learnt() -> None:
    generator = torch.Generator().manual_seed(5)
    values = (4 * torch.randint(-1, 2, (4000, 4), generator=generator)).int()
    deviations = torch.full_like(values, 38)  # 3.4 steps, about their deviation
    bits = 8 * len(encode_residuals(values, deviations, previous(4000)))
    assert bits < 1.1 * np.log2(3) * values.numel()
    assert gaussian_bits(values, torch.tensor(2.0 ** (38 / 8 - 3))) > 2 * np.log2(3) * values.numel()


def bits_per_number(table: torch.Tensor) -> float:
    return len(encode_table(table, previous(len(table)))) * 8 / table.numel()


def test_random_numbers_cost_their_entropy() -> None:
    generator = torch.Generator().manual_seed(0)
    table = torch.randint(16, (20_000, 1), generator=generator).int()
    assert 4.0 < bits_per_number(table) < 4.15


def test_structure_makes_numbers_cheap() -> None:
    generator = torch.Generator().manual_seed(1)
    walk = torch.randint(-1, 2, (10_000, 1), generator=generator).cumsum(0).int()
    assert bits_per_number(walk) < 1.2 * np.log2(3)  # neighbours predict
    twins = torch.randint(8, (10_000, 1), generator=generator).int().expand(-1, 2)
    assert bits_per_number(twins.contiguous()) < 2.2  # of 3 and 0 bits: the column before predicts
    assert bits_per_number(torch.zeros(10_000, 4, dtype=torch.int32)) < 0.01


def test_similar_labels_of_neighbours_are_cheap() -> None:
    generator = torch.Generator().manual_seed(2)
    labels = torch.randint(256, (400,), generator=generator).repeat_interleave(10).int()
    assert len(encode_labels(labels, previous(4000), 8)) * 8 < 0.35 * 8 * 4000


def test_damaged_bytes_end_in_other_numbers_within_bounds() -> None:
    generator = torch.Generator().manual_seed(3)
    table = torch.randint(-50, 50, (300, 3), generator=generator).int()
    data = encode_table(table, previous(300))
    for _ in range(12):
        damaged = data[: int(torch.randint(len(data), (1,), generator=generator))].clone()
        if len(damaged):
            damaged[int(torch.randint(len(damaged), (1,), generator=generator))] ^= 37
        decoded = decode_table(damaged, previous(300), 3)
        assert decoded.shape == table.shape
        assert int(decoded.abs().max()) <= 2 * LARGEST
        spread = torch.full_like(table, 40)
        assert int(decode_residuals(damaged, spread, previous(300)).abs().max()) <= 2 * LARGEST
        assert int(decode_ascending(damaged, 100).max()) < 2**62
        assert int(decode_labels(damaged, previous(300), 7).max()) < 2**7


def test_neighbours_are_the_nearest_of_the_rows_before() -> None:
    generator = torch.Generator().manual_seed(4)
    points = torch.randint(100, (40, 3), generator=generator).int()
    neighbors = earlier_neighbors(points)
    assert neighbors[0].tolist() == [-1, -1, -1]
    for row in range(1, 40):
        distances = (points[:row] - points[row]).square().sum(dim=1)
        chosen = [n for n in neighbors[row].tolist() if n >= 0]
        assert distances[chosen].tolist() == distances.sort().values[: len(chosen)].tolist()
        assert len(chosen) == min(3, row)


def test_operator_checks() -> None:
    table, ops = torch.zeros(5, 2, dtype=torch.int32), torch.ops.gsplat_core
    data = encode_table(table, previous(5))
    opcheck(ops.decode_table.default, (data, previous(5), 2))
    opcheck(ops.decode_residuals.default, (data, table, previous(5)))
    opcheck(ops.decode_labels.default, (data, previous(5), 3))
    opcheck(ops.decode_ascending.default, (data, 4))
    opcheck(ops.earlier_neighbors.default, (torch.zeros(5, 3, dtype=torch.int32),))


def test_bad_arguments_are_named() -> None:
    table = torch.zeros(3, 2, dtype=torch.int32)
    high = torch.tensor([0, 4], dtype=torch.int32)
    later = torch.tensor([[0, -1, -1]] * 3, dtype=torch.int32)
    for message, call in [
        ("row 0 names 0", lambda: encode_table(table, later)),
        (r"'neighbors' must have shape \[3, 3\]", lambda: encode_table(table, previous(2))),
        ("'values' has the wrong dtype", lambda: encode_table(table.long(), previous(3))),
        ("row 2 has", lambda: encode_table(table + torch.tensor([[0], [0], [2**29]]).int(), previous(3))),
        ("'labels' must be from 0 to 3, but row 1 is 4", lambda: encode_labels(high, previous(2), 2)),
        ("'bits' must be from 0 to 16", lambda: decode_labels(torch.zeros(1).byte(), previous(2), 17)),
        ("'codes' must ascend .* row 1 is 0", lambda: encode_ascending(torch.tensor([1, 0]))),
        ("row 0 is -1", lambda: encode_ascending(torch.tensor([-1]))),
        ("between 1 and 256 channels, got 0", lambda: decode_table(torch.zeros(1).byte(), previous(2), 0)),
    ]:  # fmt: skip
        with pytest.raises(RuntimeError, match=message):
            call()
