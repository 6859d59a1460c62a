"""Whether frames were taken from different places, without which there are no depths to be found."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gsplat_core.sfm.flow.matches import Matches
from gsplat_core.sfm.flow.procrustes import procrustes

LEAST = 1.5e-3
"""Of the square root of the image's area: where turning alone explains matches better than this, they show no
parallax. It is half a pixel of 320 x 240, about what flow is wrong by."""
_FOCALS = torch.logspace(math.log10(0.5), math.log10(4.0), 12)


def parallax(matches: Matches, width: int, height: int) -> float:
    """How far places are from where they were if the camera only turned: the median, over pairs of frames, of
    the medians of their matches, with the focal length that makes it least. In units of the square root of
    the image's area."""
    unit = math.sqrt(width * height)
    places = (matches.places - 0.5) * torch.tensor([width / unit, height / unit])
    pairs, pair, _ = matches.pairs()
    found = []
    for focal in _FOCALS:
        rays = torch.nn.functional.normalize(
            torch.cat([places / focal, torch.ones_like(places[..., :1])], dim=-1), dim=-1
        )
        # Turning about the camera: both clouds stay around the origin.
        both = torch.cat([rays, -rays])
        turns, _ = procrustes(
            both[:, 0], both[:, 1], torch.ones(len(both)), torch.cat([pair, pair]), len(pairs)
        )
        seen = (turns[pair] @ rays[:, 0, :, None])[..., 0]
        apart = (focal * seen[:, :2] / seen[:, 2:].clamp(min=1e-3) - places[:, 1]).norm(dim=-1)
        found.append(_medians(apart, pair, len(pairs)).median())
    return float(torch.stack(found).min())


def _medians(values: Tensor, groups: Tensor, count: int) -> Tensor:
    return torch.stack([values[groups == group].median() for group in range(count)])
