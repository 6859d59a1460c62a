"""Finds optical flow between images: by OpenCV's DIS (Kroeger et al. 2016) where it is installed, or else by
blocks."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gsplat_core.sfm.flow.block_matcher import block_flow


def has_opencv() -> bool:
    return importlib.util.find_spec("cv2") is not None


def find_flow_between(first: Tensor, second: Tensor) -> Tensor:
    """[H, W, 2] where what a pixel of the first image shows is in the second one, in pixels right and down.

    Args:
        first, second: [H, W, 3] uint8.
    """
    return dis_flow(first, second) if has_opencv() else block_flow(first / 255, second / 255)


def dis_flow(first: Tensor, second: Tensor) -> Tensor:
    """OpenCV's dense inverse search; as `find_flow_between`."""
    import cv2

    def grey(image: Tensor) -> Any:
        return np.rint(image.float().mean(dim=-1).numpy()).astype(np.uint8)

    finder = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return torch.from_numpy(finder.calc(grey(first), grey(second), None))
