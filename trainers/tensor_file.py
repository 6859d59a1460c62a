"""Writes tensors as a safetensors file, whole or not at all, and hashes them on the way.

The library's own writer has temporary files of its own, which a killed process leaves behind under names that
nobody can tell from those of living ones, and tells of a full disk in an exception that is no `OSError`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from gsplat_core.io.atomic import atomic_file

# The types of tensors by their names in the file.
_TYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Writes tensors by name and returns the file's SHA-256.

    Args:
        tensors: on the CPU, contiguous.

    Raises:
        ResourceError: the file cannot be written; what was there before is unchanged.
    """
    # Large elements first: then all tensors are aligned, since the first one is.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    entries, end = {}, 0
    for name in names:
        start, end = end, end + tensors[name].nbytes
        entries[name] = {
            "dtype": _TYPES[tensors[name].dtype],
            "shape": list(tensors[name].shape),
            "data_offsets": [start, end],
        }
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    digest = hashlib.sha256()
    with atomic_file(path) as file:
        for part in (len(header).to_bytes(8, "little"), header):
            digest.update(part)
            file.write(part)
        for name in names:
            if tensors[name].numel():
                data = tensors[name].reshape(-1).view(torch.uint8).numpy().data
                digest.update(data)
                file.write(data)
    return digest.hexdigest()
