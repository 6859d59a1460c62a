"""What is behind the scene while it is trained, where the user leaves that open.

One colour for all captures is a matter of luck: black behind a bright sky costs 4.6 dB, since the scene is
never told that what it left transparent is not meant to be seen. A new colour at each step tells it, but
makes the steps of a capture that is full of surfaces noisier, which costs short runs up to a decibel. So the
photographs decide.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from gsplat_core.scene.coverage import has_sky
from gsplat_core.scene.dataset import Dataset, View
from trainers.config import TrainConfig

# Photographs that were cut out have borders of one colour: this share of them, to so many of 255 steps.
_BORDER_SHARE = 0.6
_SAME = 6
PLAIN: dict[Literal["black", "white"], int] = {"black": 0, "white": 255}


def with_background(config: TrainConfig, dataset: Dataset) -> TrainConfig:
    """The configuration with a background that is chosen by the photographs, if it is `auto`:

    - random colours for photographs with transparency, which is then learnt, and for captures with a sky;
    - black or white where the photographs' borders are that;
    - black otherwise.
    """
    if config.background == "auto":
        sky = len(dataset.points.xyz) > 0 and has_sky(dataset.coverage)
        config = replace(config, background=cut_out(dataset) or ("random" if sky else "black"))
    # ADC has a rule of its own for scenes on white.
    return config.with_shared(white_background=config.background == "white")


def cut_out(dataset: Dataset) -> Literal["black", "white", "random"] | None:
    """What is behind photographs that show a thing and nothing around it; random where they are transparent
    there, None where they show surroundings."""
    if any(view.alpha() is not None for view in dataset.train):
        return "random"
    borders = torch.cat([_border(view) for view in dataset.train])
    for name, value in PLAIN.items():
        if float(((borders.int() - value).abs().amax(dim=1) <= _SAME).float().mean()) >= _BORDER_SHARE:
            return name
    return None


def _border(view: View) -> Tensor:
    """[M, 3] the outermost pixels of a photograph that are not masked out."""
    image, mask = view.image(), view.mask()
    kept = torch.ones(image.shape[:2], dtype=torch.bool) if mask is None else mask
    edges = [
        (image[0], kept[0]),
        (image[-1], kept[-1]),
        (image[:, 0], kept[:, 0]),
        (image[:, -1], kept[:, -1]),
    ]
    return torch.cat([pixels[inside] for pixels, inside in edges])
