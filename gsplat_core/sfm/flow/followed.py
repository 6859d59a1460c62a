"""What optical flow takes for the same: between neighbouring frames, and, by going on, between later ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from gsplat_core.sequence.flow_files import agree
from gsplat_core.sfm.flow.files import FlowPair
from gsplat_core.sfm.flow.matches import Matches

PLACES = 1000
"""Of a frame, from which matches with its neighbours start."""
FOLLOWED = 300
"""Of a frame, which are followed further."""
REACH = 8
"""Frames that places are followed over: at each step they drift."""


def consistent(flow: FlowPair) -> Tensor:
    """[H, W] bool, where the way forward can be relied on: where the way back leads to the same place, if it
    is known, or else where it stays inside."""
    if flow.backward is not None:
        return agree(flow.forward, flow.backward)
    return _inside(_grid_of(flow.forward) + flow.forward)


def matches_of(flows: Sequence[FlowPair]) -> Matches:
    """Of a video with one pair of flows between each frame and the next: those of neighbours from both sides,
    and those of frames up to REACH apart, followed from the earlier one."""
    parts = []
    for number, flow in enumerate(flows):
        ways = [(number, number + 1, flow)]
        if flow.backward is not None:
            ways.append((number + 1, number, FlowPair(flow.backward, flow.forward)))
        for here, there, way in ways:
            start = _places(way.forward, PLACES)
            end, kept = _led(start, way, consistent(way))
            size = _size(way.forward)
            parts.append(Matches.between(here, there, start[kept] / size, end[kept] / size))
        parts += _further(number, flows[number : number + REACH])
    return Matches.joined(parts)


def _further(number: int, flows: Sequence[FlowPair]) -> list[Matches]:
    """Matches of a frame with those after the next one."""
    parts = []
    size = _size(flows[0].forward)
    start = _places(flows[0].forward, FOLLOWED) / size
    now = start
    for step, flow in enumerate(flows):
        size = _size(flow.forward)
        end, kept = _led(now * size, flow, consistent(flow))
        start, now = start[kept], end[kept] / size
        if step:
            parts.append(Matches.between(number, number + step + 1, start, now))
    return parts


def _led(places: Tensor, flow: FlowPair, relied: Tensor) -> tuple[Tensor, Tensor]:
    """Where places [M, 2], in pixels, are led by a flow, and which of them [M] by flow that can be relied on,
    to the inside of the next frame."""
    grid = (2 * places / _size(flow.forward) - 1)[None, :, None]
    layers = torch.cat([flow.forward, relied[..., None].float()], dim=-1).permute(2, 0, 1)[None]
    found = functional.grid_sample(layers, grid, padding_mode="border", align_corners=False)[0, :, :, 0].T
    end = places + found[:, :2]
    inside = ((end >= 0) & (end <= _size(flow.forward))).all(dim=-1)
    return end, inside & (found[:, 2] > 0.99)


def _places(flow: Tensor, count: int) -> Tensor:
    """[M, 2] places in pixels, about so many, evenly over an image, at the middles of pixels."""
    height, width = flow.shape[:2]
    step = max(1, round(math.sqrt(height * width / count)))
    return _grid_of(flow)[step // 2 :: step, step // 2 :: step].reshape(-1, 2)


def _grid_of(flow: Tensor) -> Tensor:
    height, width = flow.shape[:2]
    x, y = torch.arange(width) + 0.5, torch.arange(height) + 0.5
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)


def _inside(places: Tensor) -> Tensor:
    height, width = places.shape[:2]
    return ((places >= 0) & (places <= torch.tensor([width, height]))).all(dim=-1)


def _size(flow: Tensor) -> Tensor:
    return torch.tensor([float(flow.shape[1]), float(flow.shape[0])])
