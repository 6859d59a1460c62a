"""Poses of frames from the motions between some pairs of them."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Link(NamedTuple):
    """A pair of frames by which the pose of one follows from that of the other.

    Attributes:
        known, found: frames; the pose of the former is known before.
        pair: which pair it is.
        ahead: whether `known` is the first frame of the pair.
    """

    known: int
    found: int
    pair: int
    ahead: bool


def strongest_links(pairs: Sequence[Sequence[int]], counts: Sequence[int]) -> list[Link]:
    """Links from frame 0 to all that can be reached, by pairs with many matches: the maximum spanning tree
    (Prim 1957). Of a video these are neighbours; where it has a gap, frames that look at the same again.

    Args:
        pairs: frames of each pair.
        counts: of matches of each pair.
    """
    around: dict[int, list[tuple[int, int, Link]]] = {}
    for number, ((first, second), count) in enumerate(zip(pairs, counts, strict=True)):
        around.setdefault(first, []).append((-count, number, Link(first, second, number, True)))
        around.setdefault(second, []).append((-count, number, Link(second, first, number, False)))
    reached, links = {0}, []
    waiting = list(around.get(0, ()))
    heapq.heapify(waiting)
    while waiting:
        link = heapq.heappop(waiting)[2]
        if link.found not in reached:
            reached.add(link.found)
            links.append(link)
            for further in around[link.found]:
                heapq.heappush(waiting, further)
    return links


def chained(links: Sequence[Link], rotations: Tensor, translations: Tensor) -> tuple[Tensor, Tensor]:
    """R [F, 3, 3] and t [F, 3], world to camera, where the world is that of frame 0.

    Args:
        links: as `strongest_links` orders them, to all frames.
        rotations, translations: [L, 3, 3] and [L, 3], of each link, from the first frame of its pair to the
            second.
    """
    R: dict[int, Tensor] = {0: torch.eye(3).to(rotations)}
    t: dict[int, Tensor] = {0: torch.zeros(3).to(translations)}
    for link, turn, shift in zip(links, rotations, translations, strict=True):
        if not link.ahead:
            turn, shift = turn.T, -turn.T @ shift
        R[link.found] = turn @ R[link.known]
        t[link.found] = turn @ t[link.known] + shift
    frames = range(len(links) + 1)
    return torch.stack([R[frame] for frame in frames]), torch.stack([t[frame] for frame in frames])
