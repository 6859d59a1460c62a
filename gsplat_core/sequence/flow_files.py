"""Optical flow that another program found, for each photograph of a frame:

    FLOW/FRAME/PHOTOGRAPH.backward.npy    from the photograph to that of the frame before: where what a pixel
                                          shows was
    FLOW/FRAME/PHOTOGRAPH.forward.npy     from there to the photograph; may be missing

with the name of the photograph without its ending, and .flo (Middlebury) or .npy, [H, W, 2] in pixels to the
right and down.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from gsplat_core.errors import DataError

ENDINGS = (".npy", ".flo")
MAGIC = b"PIEH"
_REMEDY = "Flow has one pair of numbers for each pixel of the photograph as the training uses it."


def find_flow(folder: Path, photograph: str, way: Literal["backward", "forward"]) -> Path | None:
    """The file of a photograph in the folder of its frame, if there is one."""
    stem = Path(photograph).with_suffix("")
    return next(
        (file for ending in ENDINGS if (file := folder / f"{stem}.{way}{ending}").is_file()),
        None,
    )


def read_flow(path: Path, width: int, height: int) -> Tensor:
    """[H, W, 2] float32.

    Raises:
        DataError: it cannot be read, has another size, or numbers that are not finite.
    """
    return _checked(path, _read(path), height, width)


def read_any_flow(path: Path) -> Tensor:
    """[H, W, 2] float32, of whatever size.

    Raises:
        DataError: it cannot be read, is no flow, or has numbers that are not finite.
    """
    flow = _read(path)
    height, width = (*flow.shape, 0, 0)[:2]
    return _checked(path, flow, max(height, 1), max(width, 1))


def _read(path: Path) -> np.ndarray:
    try:
        return _read_flo(path) if path.suffix.lower() == ".flo" else np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(path, f"cannot be read as optical flow: {error}", remedy=_REMEDY) from error


def _checked(path: Path, flow: np.ndarray, height: int, width: int) -> Tensor:
    if flow.shape != (height, width, 2) or flow.dtype.kind not in "fiu":
        raise DataError(
            path, f"has the shape {list(flow.shape)} of {flow.dtype}, not [{height}, {width}, 2] of numbers",
            remedy=_REMEDY,
        )  # fmt: skip
    found = torch.from_numpy(flow.astype(np.float32))
    if not bool(found.isfinite().all()):
        raise DataError(path, "some of its numbers are not finite", remedy=_REMEDY)
    return found


def _read_flo(path: Path) -> np.ndarray:
    """Middlebury's format: "PIEH", width, height, and rows of pairs, little-endian."""
    content = path.read_bytes()
    if content[:4] != MAGIC or len(content) < 12:
        raise ValueError("it does not begin as a .flo file")
    width, height = np.frombuffer(content, "<i4", 2, 4).tolist()
    if width < 1 or height < 1 or len(content) != 12 + 8 * width * height:
        raise ValueError(f"it has {len(content)} bytes, which are not those of {width} x {height} pixels")
    return np.frombuffer(content, "<f4", 2 * width * height, 12).reshape(height, width, 2)


def sampled(image: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """What an image [H, W, ...] has at the pixels where a flow [H, W, 2] leads, of the nearest one; and
    whether that is inside, [H, W]. Outside it is the border's."""
    height, width = flow.shape[:2]
    y = torch.arange(height, device=flow.device)[:, None] + flow[..., 1].round().long()
    x = torch.arange(width, device=flow.device) + flow[..., 0].round().long()
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return image[y.clamp(0, height - 1), x.clamp(0, width - 1)], inside


def agree(backward: Tensor, forward: Tensor) -> Tensor:
    """[H, W] whether what a pixel shows is seen in the other photograph, too: whether the flow there leads
    back, |f + b| < (|f| + |b|) / 2 + 1/2 (AT-GS, Chen et al. 2024)."""
    there, inside = sampled(forward, backward)
    apart = (there + backward).norm(dim=-1)
    return inside & (apart < 0.5 * (there.norm(dim=-1) + backward.norm(dim=-1)) + 0.5)
