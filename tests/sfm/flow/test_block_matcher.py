"""Blocks are found where they went, to parts of a pixel; both finders of flow are held to the same."""

from __future__ import annotations

import pytest
import torch
from sfm.flow.moving_camera import moving_camera
from torch.nn import functional

from gsplat_core.sequence.flow_files import agree
from gsplat_core.sfm.flow.block_matcher import block_flow
from gsplat_core.sfm.flow.finding import dis_flow, find_flow_between, has_opencv


def texture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """[H, W] in [0, 1], with details of several sizes."""
    random = torch.Generator().manual_seed(seed)
    sizes = [(height // step, width // step) for step in (2, 4, 12)]
    layers = [
        functional.interpolate(torch.rand(1, 1, *size, generator=random), (height, width), mode="bicubic")
        for size in sizes
    ]
    return torch.stack(layers).mean(dim=0)[0, 0].clamp(0, 1)


@pytest.mark.parametrize(("right", "down", "exact"), [(0, 0, 0.01), (3, -2, 0.1), (13, 9, 0.2)])
def test_a_shift_is_found_to_parts_of_a_pixel(right: int, down: int, exact: float) -> None:
    large = texture(100, 120)
    first = large[20:80, 20:100]
    second = large[20 - down : 80 - down, 20 - right : 100 - right]
    inner = block_flow(first, second)[16:-16, 16:-16]
    apart = (inner - torch.tensor([float(right), float(down)])).norm(dim=-1)
    assert float(apart.median()) < exact
    assert float((apart < 0.5).float().mean()) > 0.85


def test_brightness_and_contrast_make_no_difference() -> None:
    large = texture(70, 90)
    first, second = large[5:-5, 5:-5], large[5:-5, 3:-7]
    plain, changed = block_flow(first, second), block_flow(first, 0.6 * second + 0.1)
    inner = (slice(6, -6), slice(6, -6))
    assert float((plain - changed)[inner].norm(dim=-1).median()) < 0.02
    assert float((changed[inner] - torch.tensor([2.0, 0.0])).norm(dim=-1).median()) < 0.05


def test_what_shows_nothing_stays() -> None:
    assert torch.equal(
        block_flow(torch.full((30, 40), 0.5), torch.full((30, 40), 0.5)), torch.zeros(30, 40, 2)
    )


@pytest.mark.parametrize("name", ["blocks", "dis"])
def test_a_moving_camera_is_followed_where_both_ways_agree(name: str) -> None:
    if name == "dis" and not has_opencv():
        pytest.skip("OpenCV is not installed")
    truth = moving_camera(2, 96, 128, step=0.08)
    first, second = (255 * truth.images).round().to(torch.uint8)
    if name == "dis":
        forward, backward = dis_flow(first, second), dis_flow(second, first)
    else:
        forward, backward = block_flow(first / 255, second / 255), block_flow(second / 255, first / 255)
    kept = agree(forward, backward)
    apart = (forward - truth.flows[0].forward).norm(dim=-1)[kept]
    assert float(kept.float().mean()) > 0.6
    assert float(apart.median()) < 0.15
    assert float((apart < 1).float().mean()) > 0.95


def test_the_finder_takes_what_is_installed() -> None:
    first, second = (255 * texture(40, 50, seed)[..., None].expand(-1, -1, 3) for seed in (0, 1))
    first, second = first.round().to(torch.uint8), second.round().to(torch.uint8)
    usual = dis_flow(first, second) if has_opencv() else block_flow(first / 255, second / 255)
    assert torch.equal(find_flow_between(first, second), usual)
