"""Which cameras are pinhole cameras as the rasterizer means them; others are refused rather than simplified.

K = [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] with positive focal lengths, and a world-to-camera matrix that ends
with the row (0, 0, 0, 1): the kernels read nothing else of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

Problem = Callable[[list[list[float]]], str]
Matrices = npt.NDArray[np.floating[Any]]

# Numbers of this size are rounding: skew of this share of the focal length moves a point at the border of
# an image by less than a thousandth of a pixel.
_ROUNDING = 1e-6
_DRIFT = 0.01  # of the dot products of rotations that were trained as matrices

# Matrices on a GPU that were found to be right: their versions then, and what was looked for. Looking at
# them means waiting for the GPU.
_known = WeakTensorKeyDictionary()


def check_cameras(viewmats: Tensor, Ks: Tensor, rigid: bool = False) -> None:
    """Refuses cameras [..., 4, 4] and [..., 3, 3] with properties that would be dropped.

    Values are not looked at while PyTorch traces or transforms the call.

    Args:
        rigid: whether view matrices must be rigid, too: view directions start at -R^T t.

    Raises:
        ValueError: names the argument, the camera and its matrix.
    """
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return
    pose = rigid_problem if rigid else pose_problem
    for name, matrices, problem in (("viewmats", viewmats, pose), ("Ks", Ks, intrinsics_problem)):
        values = _values(matrices, problem)
        if values is None:
            continue
        # Numbers of Python: for few cameras this is several times as fast as NumPy.
        for index, matrix in enumerate(values.reshape(-1, *values.shape[-2:]).tolist()):
            if found := problem(matrix):
                place = [int(i) for i in np.unravel_index(index, values.shape[:-2])]
                raise ValueError(f"argument '{name}' {found} (camera {place})")
        _remember(matrices, problem)


def intrinsics_problem(K: list[list[float]]) -> str:
    """What is wrong with a matrix of intrinsics [3, 3]; empty if nothing is."""
    (fx, skew, cx), (other_skew, fy, cy), last = K
    if not math.isfinite(fx + skew + cx + other_skew + fy + cy + sum(last)):
        return f"must be finite, got {K}"
    if min(fx, fy) <= 0:
        return f"must have positive focal lengths K[0, 0] and K[1, 1], got {K}"
    if max(abs(skew), abs(other_skew)) > _ROUNDING * min(fx, fy):
        return (
            f"must have no skew, K[0, 1] = K[1, 0] = 0, got {K}. Resample the images to a pinhole camera "
            "without skew"
        )
    if max(abs(last[0]), abs(last[1]), abs(last[2] - 1)) > _ROUNDING:
        return f"must have the last row (0, 0, 1), got {K}"
    return ""


def pose_problem(viewmat: list[list[float]]) -> str:
    """What is wrong with a world-to-camera matrix [4, 4]; empty if nothing is."""
    last = viewmat[3]
    if not math.isfinite(sum(map(sum, viewmat))):
        return f"must be finite, got {viewmat}"
    if max(abs(last[0]), abs(last[1]), abs(last[2]), abs(last[3] - 1)) > _ROUNDING:
        return (
            f"must have the last row (0, 0, 0, 1), got {viewmat}. Matrices for row vectors have to be "
            "transposed"
        )
    return ""


def rigid_problem(viewmat: list[list[float]]) -> str:
    """As `pose_problem`; nor may the matrix scale or shear by more than what trained poses drift."""
    if problem := pose_problem(viewmat):
        return problem
    axes = [row[:3] for row in viewmat[:3]]
    for i, a in enumerate(axes):
        for j, b in enumerate(axes[: i + 1]):
            if abs(a[0] * b[0] + a[1] * b[1] + a[2] * b[2] - (i == j)) > _DRIFT:
                return f"must rotate without scaling where colours depend on the direction, got {viewmat}"
    return ""


def _values(matrices: Tensor, problem: Problem) -> Matrices | None:
    """Values on the CPU; None where there are none, or where they were looked at before."""
    if type(matrices) not in (Tensor, torch.nn.Parameter) or matrices.is_meta:
        return None
    if matrices.device.type == "cpu":
        return matrices.detach().numpy()
    if torch.is_inference(matrices):
        return matrices.cpu().numpy()
    if _known.get(matrices) == (matrices._version, problem):
        return None
    values: Matrices = matrices.detach().cpu().numpy()
    return values


def _remember(matrices: Tensor, problem: Problem) -> None:
    if matrices.device.type != "cpu" and not torch.is_inference(matrices):
        _known[matrices] = (matrices._version, problem)
