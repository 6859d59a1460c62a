"""Binning without waiting for the device: lists of a given size (stages.bin_splats_bounded)."""

from __future__ import annotations

import pytest
import torch
from splats import random_scene

from cuda_on_cpu.operators import emulated
from gsplat_core.render import meta, stages

SIZE = (70, 50)


@pytest.fixture(scope="module")
def splats() -> stages.Splats:
    t = {name: tensor[None] for name, tensor in random_scene(150, cameras=3).tensors.items()}
    shapes = (t["means"], t["quats"], t["scales"], None, t["opacities"], t["viewmats"], t["Ks"])
    return stages.project(*shapes, *SIZE)


@pytest.mark.parametrize("spare", [0, 100])
def test_lists_with_enough_room_are_those_of_the_cpu(splats: stages.Splats, spare: int) -> None:
    expected = stages.bin_splats(splats, *SIZE)
    visible, intersections = len(expected.order), len(expected.flatten_ids)
    with emulated():
        lists, totals = stages.bin_splats_bounded(splats, *SIZE, max_intersections=intersections + spare)
    assert totals.tolist() == [visible, intersections]
    assert torch.equal(lists.offsets, expected.offsets)
    for actual, truth in ((lists.order, expected.order), (lists.flatten_ids, expected.flatten_ids)):
        assert torch.equal(actual[: len(truth)], truth)
        assert (actual[len(truth) :] == -1).all()
    assert torch.equal(lists.slot_offsets[: visible + 1], expected.slot_offsets)
    shape = splats.depths.shape
    counts, truth = (meta.tiles_per_gaussian(tiles, shape) for tiles in (lists, expected))
    assert torch.equal(counts, truth)
    tiles_per_image = (len(expected.offsets) - 1) // 3
    keys, truth = (meta.intersection_keys(splats, tiles, tiles_per_image) for tiles in (lists, expected))
    assert torch.equal(keys, truth)


@pytest.mark.parametrize("share", [0.0, 0.9])
def test_too_little_room_is_told_and_harms_nothing(splats: stages.Splats, share: float) -> None:
    intersections = len(stages.bin_splats(splats, *SIZE).flatten_ids)
    room = int(share * intersections)
    colors = torch.rand(1, 3, 150, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with emulated():
        lists, totals = stages.bin_splats_bounded(splats, *SIZE, max_intersections=room)
        image = stages.composite(splats, colors, None, lists, *SIZE).colors
        image.sum().backward()
    assert totals[1] == intersections > room
    assert lists.offsets[-1] == room
    assert image.isfinite().all()
    assert colors.grad is not None
    assert colors.grad.isfinite().all()
