"""Edits compiled into one pass over the rows: where each row comes from, which values are overwritten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gsplat_core.densify.edits import Clone, Edit, Move, Prune, Reset, Split


@dataclass(frozen=True, eq=False)
class Overwrite:
    """Values for some rows, numbered as they are afterwards.

    Args:
        rows: distinct indices [M] after the edits.
        values: field name to [M, ...].
        forget: names of the fields whose moments become zero in these rows; None means every field.
    """

    rows: Tensor
    values: Mapping[str, Tensor]
    forget: frozenset[str] | None


@dataclass(frozen=True, eq=False)
class RowPlan:
    """What a list of edits means for anything that has one row per Gaussian.

    Args:
        num_before, num_after: rows before and after.
        source: [num_after] the row (numbered as before) that each new row copies; None: every row stays in
        place.
        overwrites: changes to apply afterwards, in order.
    """

    num_before: int
    num_after: int
    source: Tensor | None
    overwrites: Sequence[Overwrite]

    def follow(self, tensor: Tensor, name: str | None = None) -> Tensor:
        """A field after the edits: copies inherit, then the values given for `name` are set.

        Args:
            tensor: [num_before, ...].
            name: the field's name in the edits; None for a field that no edit can mention.

        Returns:
            A new tensor [num_after, ...]; the input is not modified.
        """
        return self._written(self._gathered(tensor), name)

    def follow_moments(self, tensor: Tensor, name: str) -> Tensor:
        """An optimizer's state of field `name` after the edits: kept rows keep theirs, others are zero."""
        moments = self._gathered(tensor)
        self.forget_(moments, name)
        return moments

    def write_(self, tensor: Tensor, name: str) -> None:
        """Sets the given values in a field, in place; for plans that leave all rows where they are."""
        self._written(tensor, name)

    def forget_(self, moments: Tensor, name: str) -> None:
        """Zeroes moments in place, rows numbered as after the edits."""
        for overwrite in self.overwrites:
            if overwrite.forget is None or name in overwrite.forget:
                moments.index_fill_(0, overwrite.rows, 0)

    def _gathered(self, tensor: Tensor) -> Tensor:
        return tensor.clone() if self.source is None else tensor.index_select(0, self.source)

    def _written(self, tensor: Tensor, name: str | None) -> Tensor:
        for overwrite in self.overwrites:
            if name is not None and name in overwrite.values:
                tensor.index_copy_(0, overwrite.rows, overwrite.values[name].to(tensor))
        return tensor


def compile_edits(edits: Iterable[Edit], num: int, device: torch.device | str = "cpu") -> RowPlan:
    """Compiles a transaction of edits on `num` rows.

    Raises:
        ValueError: indices out of range or repeated where they must be distinct, or values of a wrong length.
    """
    edits = list(edits)
    kept = torch.ones(num, dtype=torch.bool, device=device)
    source = torch.arange(num, device=device)
    appended: list[Tensor] = []
    for edit in edits:
        if isinstance(edit, Prune | Split):
            kept[_rows(edit, edit.rows, num, device, distinct=isinstance(edit, Split))] = False
        elif isinstance(edit, Move):
            if len(edit.rows) != len(edit.sources):
                raise ValueError(f"Move: {len(edit.rows)} rows but {len(edit.sources)} sources")
            source[_rows(edit, edit.rows, num, device)] = _rows(
                edit, edit.sources, num, device, distinct=False
            )
    new_row = kept.cumsum(0) - 1  # of a row that is kept
    survivors = source[kept]
    length = survivors.shape[0]
    overwrites: list[Overwrite] = []
    for edit in edits:
        if isinstance(edit, Clone | Split):
            rows = _rows(edit, edit.rows, num, device, distinct=False)
            copies = edit.children if isinstance(edit, Split) else 1
            _check_values(edit, edit.values, (len(rows), copies) if isinstance(edit, Split) else (len(rows),))
            values = edit.values
            if isinstance(edit, Split):
                values = {name: value.flatten(0, 1) for name, value in values.items()}
            appended.append(rows.repeat_interleave(copies))
            added = torch.arange(length, length + len(rows) * copies, device=device)
            overwrites.append(Overwrite(added, values, None))
            length += len(added)
        elif isinstance(edit, Move | Reset):
            rows = source.new_empty(0)
            rows = (
                torch.arange(num, device=device) if edit.rows is None else _rows(edit, edit.rows, num, device)
            )
            _check_values(edit, edit.values, (len(rows),))
            forget = "all" if isinstance(edit, Move) else edit.forget
            names = {"all": None, "none": frozenset(), "fields": frozenset(edit.values)}[forget]
            overwrites.append(_surviving(Overwrite(rows, edit.values, names), kept, new_row))
    unmoved = length == num and not appended and not any(isinstance(edit, Move) for edit in edits)
    return RowPlan(num, length, None if unmoved else torch.cat([survivors, *appended]), overwrites)


def _surviving(overwrite: Overwrite, kept: Tensor, new_row: Tensor) -> Overwrite:
    """The part of a change that concerns rows that are kept, renumbered."""
    stays = kept[overwrite.rows]
    if bool(stays.all()):
        return Overwrite(new_row[overwrite.rows], overwrite.values, overwrite.forget)
    values = {name: value[stays.to(value.device)] for name, value in overwrite.values.items()}
    return Overwrite(new_row[overwrite.rows[stays]], values, overwrite.forget)


def _rows(edit: Edit, rows: Tensor, num: int, device: torch.device | str, distinct: bool = True) -> Tensor:
    kind = type(edit).__name__
    if rows.ndim != 1 or rows.dtype not in (torch.int64, torch.int32):
        raise ValueError(f"{kind}: expected integer row indices [M], got {rows.dtype} {list(rows.shape)}")
    rows = rows.to(device, torch.int64)
    if len(rows) and (int(rows.min()) < 0 or int(rows.max()) >= num):
        raise ValueError(f"{kind}: rows {int(rows.min())} .. {int(rows.max())}, but the scene has {num}")
    if distinct and len(rows.unique()) != len(rows):
        raise ValueError(f"{kind}: a row is named twice")
    return rows


def _check_values(edit: Edit, values: Mapping[str, Tensor], leading: tuple[int, ...]) -> None:
    for name, value in values.items():
        if value.shape[: len(leading)] != leading:
            raise ValueError(
                f"{type(edit).__name__}: values[{name!r}] has shape {list(value.shape)}, "
                f"expected {[*leading, '...']}"
            )
