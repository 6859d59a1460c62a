"""A row of a scene as bytes: all of its fields, and the optimizer's moments of those that are trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gsplat_core.errors import UsageError
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.metadata import Metadata

Moments = dict[str, tuple[Tensor, Tensor]]
"""Adam's `exp_avg` and `exp_avg_sq` by the parameter's name, each of its shape."""

_EXTRA = "extras."
_MOMENTS = ("exp_avg.", "exp_avg_sq.")
# What a row may take; far more than any primitive has.
_LARGEST_ROW = 1 << 20


@dataclass(eq=False)
class Rows:
    """Gaussians as they are kept, with the moments of their parameters; none: they are zero."""

    scene: Gaussians
    moments: Moments = field(default_factory=dict)

    @property
    def num(self) -> int:
        return self.scene.num

    def subset(self, rows: Tensor) -> Rows:
        """Some of them: a mask [N] or indices [M]."""
        moments = {name: (mean[rows], square[rows]) for name, (mean, square) in self.moments.items()}
        return Rows(self.scene.subset(rows), moments)


@dataclass(frozen=True, eq=False)
class Layout:
    """
    Args:
        template: a scene without rows: primitive, SH degree, extra fields and metadata of all.
        moments: whether rows have moments.

    Raises:
        UsageError: a field of a type that has no place in a file, or parameters that are not float32.
    """

    template: Gaussians
    moments: bool

    def __post_init__(self) -> None:
        for name, tensor in (self.template.params | self.template.extras).items():
            if tensor.dtype not in _TYPES or (name in self.template.params and tensor.dtype != torch.float32):
                raise UsageError(f"the field {name!r} of {tensor.dtype} cannot be kept on disk.")

    @cached_property
    def dtype(self) -> np.dtype[np.void]:
        """Of a row."""
        columns = [(name, _TYPES[t.dtype], t.shape[1:]) for name, t in self.template.params.items()]
        if self.moments:
            columns += [
                (prefix + name, "<f4", self.template.params[name].shape[1:])
                for prefix in _MOMENTS
                for name in self.trained
            ]
        columns += [(_EXTRA + name, _TYPES[t.dtype], t.shape[1:]) for name, t in self.template.extras.items()]
        # An empty field, such as shN of degree 0, has no place in a row.
        return np.dtype([column for column in columns if 0 not in column[2]])

    @property
    def trained(self) -> list[str]:
        """The parameters that have moments."""
        return [known.name for known in self.template.schema.trained]

    def pack(self, rows: Rows) -> np.ndarray:
        """[N] records.

        Raises:
            ValueError: these are rows of another scene.
        """
        packed = np.zeros(rows.num, self.dtype)
        columns: dict[str, Tensor] = {**rows.scene.params}
        columns |= {_EXTRA + name: tensor for name, tensor in rows.scene.extras.items()}
        for name, pair in rows.moments.items():
            columns |= {prefix + name: tensor for prefix, tensor in zip(_MOMENTS, pair, strict=True)}
        for name in self.dtype.names or ():
            if name in columns:
                packed[name] = columns[name].detach().cpu().numpy()
            elif not name.startswith(_MOMENTS):
                raise ValueError(f"the rows lack the field {name!r} of the store")
        return packed

    def empty(self, num: int) -> Rows:
        """So many rows, to be filled by `unpack`."""
        template = self.template

        def column(like: Tensor) -> Tensor:
            return like.new_empty((num, *like.shape[1:]))

        params = {name: column(tensor) for name, tensor in template.params.items()}
        extras = {name: column(tensor) for name, tensor in template.extras.items()}
        scene = Gaussians.of(params, template.primitive, extras, template.metadata)
        trained = self.trained if self.moments else []
        return Rows(scene, {name: (column(params[name]), column(params[name])) for name in trained})

    def unpack(self, packed: np.ndarray, rows: Rows, place: slice) -> None:
        """Writes records into some of the rows."""
        columns: dict[str, Tensor] = {**rows.scene.params}
        columns |= {_EXTRA + name: tensor for name, tensor in rows.scene.extras.items()}
        for name, pair in rows.moments.items():
            columns |= {prefix + name: tensor for prefix, tensor in zip(_MOMENTS, pair, strict=True)}
        for name, tensor in columns.items():
            if name in (self.dtype.names or ()):
                tensor.numpy()[place] = packed[name]

    def joined(self, parts: Sequence[Rows]) -> Rows:
        """Rows one behind the other; where some have no moments, these are zero."""
        scene = Gaussians.merge([rows.scene for rows in parts])
        moments = {}
        for name in self.trained if self.moments else ():
            pairs = [rows.moments.get(name, _zeros(rows.scene.params[name])) for rows in parts]
            mean, square = (torch.cat(column) for column in zip(*pairs, strict=True))
            moments[name] = (mean, square)
        return Rows(scene, moments)

    def to_json(self) -> dict[str, Any]:
        fields = self.template.params | {_EXTRA + name: t for name, t in self.template.extras.items()}
        return {
            "primitive": self.template.primitive,
            "metadata": self.template.metadata.known(),
            "moments": self.moments,
            "fields": {name: [_TYPES[t.dtype], *t.shape[1:]] for name, t in fields.items()},
        }

    @classmethod
    def from_json(cls, entries: Mapping[str, Any]) -> Layout:
        """
        Raises:
            ValueError, TypeError, LookupError, UsageError: this is none.
        """
        tensors = {}
        for name, (kind, *shape) in entries["fields"].items():
            if not all(type(size) is int and size >= 0 for size in shape) or np.prod(shape) > _LARGEST_ROW:
                raise ValueError(f"field {str(name)[:40]!r} of shape {str(shape)[:80]}")
            tensors[name] = torch.empty((0, *shape), dtype=_DTYPES[kind])
        if not isinstance(entries["moments"], bool):
            raise TypeError("moments: expected true or false")
        scene = Gaussians.of(
            {name: tensor for name, tensor in tensors.items() if not name.startswith(_EXTRA)},
            str(entries["primitive"]),
            {name.removeprefix(_EXTRA): t for name, t in tensors.items() if name.startswith(_EXTRA)},
            Metadata.from_known(entries["metadata"]),
        )
        return cls(scene, entries["moments"])


def _zeros(param: Tensor) -> tuple[Tensor, Tensor]:
    zeros = torch.zeros_like(param)
    return zeros, zeros


_TYPES = {
    torch.float64: "<f8",
    torch.float32: "<f4",
    torch.float16: "<f2",
    torch.int64: "<i8",
    torch.int32: "<i4",
    torch.int16: "<i2",
    torch.int8: "|i1",
    torch.uint8: "|u1",
    torch.bool: "|b1",
}
_DTYPES = {name: dtype for dtype, name in _TYPES.items()}
