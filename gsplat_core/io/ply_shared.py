"""What all rows of a scene share (`scene.schema.Shared`), in its PLY file: an element for each tensor.

comment shared NAME SIZES...      of the tensor
element shared_NAME COUNT         its numbers in their order, last size first
property float value              or int
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from gsplat_core.errors import DataError
from gsplat_core.io.ply_body import read_columns
from gsplat_core.io.ply_header import PlyElement, PlyHeader
from gsplat_core.scene.schema import Shared

_PREFIX = "shared_"
_VALUE = "value"

Elements = Mapping[str, tuple[PlyElement, list[int]]]
"""By name of the tensor: its element, and its sizes."""


def shared_comments(shared: Mapping[str, Tensor]) -> list[str]:
    """The header lines that tell sizes."""
    return [" ".join(["comment shared", name, *map(str, tensor.shape)]) for name, tensor in shared.items()]


def shared_declarations(shared: Mapping[str, Tensor]) -> list[str]:
    """The header lines of the elements."""
    return [
        line
        for name, tensor in shared.items()
        for line in (
            f"element {_PREFIX}{name} {tensor.numel()}",
            f"property {'float' if tensor.is_floating_point() else 'int'} {_VALUE}",
        )
    ]


def shared_bytes(shared: Mapping[str, Tensor]) -> bytes:
    """The records of the elements."""
    return b"".join(
        tensor.cpu().numpy().astype("<f4" if tensor.is_floating_point() else "<i4").tobytes()
        for tensor in shared.values()
    )


def shared_elements(header: PlyHeader, expected: Sequence[Shared], path: Path) -> Elements:
    """The elements of what the rows of a primitive share.

    Raises:
        DataError: one is missing, or its size is not told.
    """
    return {known.name: _element(header, known, path) for known in expected}


def _element(header: PlyHeader, known: Shared, path: Path) -> tuple[PlyElement, list[int]]:
    element = header.element(_PREFIX + known.name)
    if element is None or list(element.scalars) != [_VALUE] or element.lists:
        raise DataError(
            path,
            f"its splats share {known.name!r}, but there is no element '{_PREFIX}{known.name}' of one number",
            "header",
        )
    told = (
        re.fullmatch(rf"shared {re.escape(known.name)}((?: [0-9]{{1,9}}){{0,8}})", c) for c in header.comments
    )
    sizes = next(([int(size) for size in found[1].split()] for found in told if found), None)
    if sizes is None or math.prod(sizes) != element.count:
        raise DataError(
            path, f"no comment tells the sizes of {known.name!r}, which has {element.count:,} numbers",
            f"line {element.line}",
        )  # fmt: skip
    return element, sizes


def read_shared(file: BinaryIO, header: PlyHeader, elements: Elements, path: Path) -> dict[str, Tensor]:
    """The tensors of a file whose size has been checked.

    Raises:
        DataError: a line of text that is no number, or the file became shorter.
    """
    tensors = {}
    for name, (element, sizes) in elements.items():
        whole = not element.scalars[_VALUE].startswith("f")
        numbers = np.zeros(element.count, np.int64 if whole else np.float32)
        if element.count:
            read_columns(file, header, element, {_VALUE: numbers}, path, "numbers")
        tensors[name] = torch.from_numpy(numbers).reshape(sizes)
    return tensors
