"""``gsplat.compression``: a scene as a folder of PNG images, read and written as gsplat does.

Gaussians lie in a square of side n, in an order in which neighbours are alike (self-organising grids,
Morgenstern et al. 2024), and each attribute is an image of it, row by row:

    means_l, means_u           rgb: low and high byte of 16 bits on [mins, maxs] of sign(x) ln(1 + |x|)
    scales, sh0                rgb, 8 bits on [mins, maxs] of each channel
    quats                      rgba, of unit quaternions (w, x, y, z)
    opacities                  grey, of logits
    shN.npz                    `centroids` uint8 [K, D] of 6 bits on [mins, maxs], `labels` uint16 [n * n]
    NAME.npz                   `arr`: any other tensor, as it is

`meta.json` has ``shape``, ``dtype`` and the ranges of each. The square's side is the whole part of the root
of the number of Gaussians; the least opaque ones beyond it are left out.
"""

from __future__ import annotations

import io
import math
import os
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gsplat_core.arguments import check_tensor
from gsplat_core.compat.gsplat_package.utils import inverse_log_transform, log_transform
from gsplat_core.compress.kmeans import kmeans
from gsplat_core.compress.plas import sorted_grid
from gsplat_core.errors import DataError
from gsplat_core.expansion import check_density, check_expansion
from gsplat_core.io.atomic import atomic_folder
from gsplat_core.io.source import read_whole
from gsplat_core.strict_json import json_text, parse_json

IMAGES = ("means", "scales", "quats", "opacities", "sh0")
PALETTE = "shN"
MAX_PALETTE = 1 << 16
PALETTE_BITS = 6
PALETTE_ROUNDS = 5  # of k-means: with nearly as many centroids as rows little changes after that
_NAME = re.compile(r"\w+", re.ASCII)
_NEEDED = {"means": "N 3", "scales": "N 3", "quats": "N 4", "opacities": "N", "sh0": "N 1 3", "shN": "N K 3"}


@dataclass
class PngCompression:
    """Writes and reads folders of PNG images."""

    use_sort: bool = True
    """Whether Gaussians are put in the order of a self-organising grid; PNG makes less of others."""
    verbose: bool = True
    """Whether Gaussians that are left out are warned of."""

    def compress(self, compress_dir: str | os.PathLike[str], splats: Mapping[str, Tensor]) -> None:
        """Writes the folder, which is made if need be.

        Args:
            splats: ``means`` [N, 3], ``scales`` [N, 3] logarithms, ``quats`` [N, 4], ``opacities`` [N]
                logits, ``sh0`` [N, 1, 3], ``shN`` [N, K, 3], and what else has a row for each Gaussian.

        Raises:
            ValueError: a tensor is missing, has another shape or numbers that are not finite.
            gsplat_core.errors.ResourceError: the folder cannot be written.
        """
        for name in _NEEDED:
            if name not in splats:
                raise ValueError(f"splats must have {', '.join(_NEEDED)}; {name} is missing")
        sizes = {"N": len(splats["means"]), "K": splats["shN"].shape[1] if splats["shN"].dim() > 1 else 0}
        for name, layout in _NEEDED.items():
            check_tensor(f"splats[{name!r}]", splats[name], layout, sizes, ())
        for name, tensor in splats.items():
            if not _NAME.fullmatch(name) or len(tensor) != sizes["N"]:
                raise ValueError(f"splats[{name!r}]: expected a name of letters and {sizes['N']} rows")
            if not bool(tensor.isfinite().all()):
                raise ValueError(f"splats[{name!r}] must be finite")
        rows = {name: tensor.detach().cpu() for name, tensor in splats.items()}
        rows["means"] = log_transform(rows["means"])
        rows["quats"] = torch.nn.functional.normalize(rows["quats"], dim=-1)
        side = math.isqrt(sizes["N"])
        kept = rows["opacities"].argsort(descending=True, stable=True)[: side * side]
        if self.verbose and len(kept) < sizes["N"]:
            warnings.warn(f"{sizes['N'] - len(kept)} Gaussians beyond a square are left out", stacklevel=2)
        if self.use_sort:
            kept = kept[sorted_grid(_alike(rows, kept))]
        with atomic_folder(compress_dir, "meta.json") as folder:
            meta = {name: _write(folder, name, tensor[kept], side) for name, tensor in rows.items()}
            (folder / "meta.json").write_text(json_text(meta))

    def decompress(self, compress_dir: str | os.PathLike[str]) -> dict[str, Tensor]:
        """The tensors of a folder, those of :meth:`compress` up to rounding and order.

        Raises:
            gsplat_core.errors.DataError: the folder is incomplete or damaged; says which file.
        """
        folder = Path(compress_dir)
        path = folder / "meta.json"
        text = read_whole(path)
        check_expansion(path, 0, len(text))
        try:
            meta = parse_json(text)
            entries = {name: _Entry.of(name, entry) for name, entry in meta.items()}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(path, f"not the description of a folder of PNG images: {error!r}") from error
        stored = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
        splats = {}
        for name, entry in entries.items():
            check_density(path, stored, entry.shape[0], name)
            splats[name] = _read(folder, name, entry)
        if "means" not in splats:
            raise DataError(path, "has no means")
        splats["means"] = inverse_log_transform(splats["means"])
        return splats


@dataclass(frozen=True)
class _Entry:
    """What meta.json says of a tensor."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    mins: Tensor
    maxs: Tensor
    bits: int

    @classmethod
    def of(cls, name: str, entry: Mapping[str, Any]) -> _Entry:
        dtype = getattr(torch, entry["dtype"])
        shape = tuple(int(size) for size in entry["shape"])
        if not isinstance(dtype, torch.dtype) or not _NAME.fullmatch(name) or not shape or min(shape) < 0:
            raise ValueError(f"entry {name!r}")
        mins, maxs = (torch.tensor(entry.get(key, 0.0), dtype=torch.float64) for key in ("mins", "maxs"))
        return cls(shape, dtype, mins, maxs, int(entry.get("quantization", PALETTE_BITS)))

    def values(self, levels: np.ndarray, largest: int) -> Tensor:
        """Numbers of a range from their levels 0 to `largest`."""
        share = torch.from_numpy(levels.astype(np.float64)) / largest
        return share * (self.maxs - self.mins) + self.mins


def _alike(rows: Mapping[str, Tensor], kept: Tensor) -> Tensor:
    """What neighbours in the grid should agree in [N, C]: each attribute with variance 1."""
    keys = [rows[name][kept].float().flatten(1) for name in ("means", "sh0", "scales", "quats")]
    keys.append(rows["opacities"][kept].float()[:, None])
    return torch.cat([(key - key.mean(dim=0)) / key.std().clamp(min=1e-12) for key in keys], dim=1)


def _write(folder: Path, name: str, rows: Tensor, side: int) -> dict[str, Any]:
    """The files of a tensor, and its entry of meta.json."""
    entry: dict[str, Any] = {"shape": list(rows.shape), "dtype": str(rows.dtype).removeprefix("torch.")}
    if rows.numel() == 0:
        return entry
    if name == PALETTE:
        palette, labels = kmeans(rows.flatten(1).float(), min(MAX_PALETTE, len(rows)), PALETTE_ROUNDS)
        low, high = palette.min(), palette.max()
        centroids = _levels(palette, low, high, 2**PALETTE_BITS - 1).astype(np.uint8)
        np.savez_compressed(
            folder / f"{name}.npz", centroids=centroids, labels=labels.numpy().astype(np.uint16)
        )
        return {**entry, "mins": low.item(), "maxs": high.item(), "quantization": PALETTE_BITS}
    if name not in IMAGES:
        np.savez_compressed(folder / f"{name}.npz", arr=rows.numpy())
        return entry
    grid = rows.reshape(side, side, -1)
    low, high = grid.amin(dim=(0, 1)), grid.amax(dim=(0, 1))
    if name == "means":
        levels = _levels(grid, low, high, 2**16 - 1).astype(np.uint16)
        _save_png(folder / "means_l.png", levels & 0xFF)
        _save_png(folder / "means_u.png", levels >> 8)
    else:
        _save_png(folder / f"{name}.png", _levels(grid, low, high, 2**8 - 1))
    return {**entry, "mins": low.tolist(), "maxs": high.tolist()}


def _levels(values: Tensor, low: Tensor, high: Tensor, largest: int) -> np.ndarray:
    """Numbers as whole ones from 0 to `largest` between the ends of their range, which may be one number."""
    extent = torch.where(high > low, high - low, 1.0)
    return ((values - low) / extent * largest).round().numpy()


def _save_png(path: Path, levels: np.ndarray) -> None:
    """An image [H, W, C] of whole numbers up to 255."""
    pixels = levels.astype(np.uint8)
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path, optimize=True)


def _read(folder: Path, name: str, entry: _Entry) -> Tensor:
    if 0 in entry.shape:
        return torch.zeros(entry.shape, dtype=entry.dtype)
    path = folder / f"{name}.{'png' if name in IMAGES else 'npz'}"
    try:
        if name == PALETTE:
            arrays = _arrays(path, "centroids", "labels")
            values = entry.values(arrays["centroids"], 2**entry.bits - 1)
            values = values[torch.from_numpy(arrays["labels"].astype(np.int64))]
        elif name not in IMAGES:
            values = torch.from_numpy(_arrays(path, "arr")["arr"])
        elif name == "means":
            low, high = (_load_png(folder / f"means_{half}.png", entry.shape[0]) for half in "lu")
            values = entry.values(low.astype(np.uint16) + (high.astype(np.uint16) << 8), 2**16 - 1)
        else:
            values = entry.values(_load_png(path, entry.shape[0]), 2**8 - 1)
        return values.reshape(entry.shape).to(entry.dtype)
    except (ValueError, RuntimeError, KeyError, IndexError, TypeError, OSError, zipfile.BadZipFile) as error:
        raise DataError(path, f"does not fit to meta.json: {error}") from error


def _load_png(path: Path, count: int) -> np.ndarray:
    """The pixels of an image [H, W, C] that has as many as there are Gaussians."""
    with Image.open(io.BytesIO(read_whole(path)), formats=["PNG"]) as image:
        if image.width * image.height != count:
            raise ValueError(f"{image.width} x {image.height} pixels for {count} Gaussians")
        pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _arrays(path: Path, *names: str) -> dict[str, np.ndarray]:
    """Arrays of plain numbers from a compressed archive."""
    content = read_whole(path)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        check_density(path, len(content), sum(member.file_size for member in archive.infolist()) // 344)
    with np.load(io.BytesIO(content)) as archive:
        return {name: archive[name] for name in names}


__all__ = ["PngCompression"]
