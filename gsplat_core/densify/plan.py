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
    kept, source = _origins(edits, num, device)
    new_row = kept.cumsum(0) - 1  # of a row that is kept
    sources = [source[kept]]
    length = len(sources[0])
    overwrites: list[Overwrite] = []
    for edit in edits:
        if isinstance(edit, Clone | Split):
            rows, values = _copies(edit, num, device)
            sources.append(rows)
            added = torch.arange(length, length + len(rows), device=device)
            overwrites.append(Overwrite(added, values, None))
            length += len(rows)
        elif isinstance(edit, Move | Reset):
            rows, values = _changes(edit, num, kept)
            overwrites.append(Overwrite(new_row[rows], values, _forgotten(edit)))
    moved = any(isinstance(edit, Move) and len(edit.rows) for edit in edits)
    unmoved = len(sources[0]) == length == num and not moved
    return RowPlan(num, length, None if unmoved else torch.cat(sources), overwrites)


def _origins(edits: Sequence[Edit], num: int, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Which rows are kept [num], and from which row each takes its contents [num]."""
    kept = torch.ones(num, dtype=torch.bool, device=device)
    source = torch.arange(num, device=device)
    for edit in edits:
        if isinstance(edit, Prune | Split):
            kept[_rows(edit, edit.rows, num, device, distinct=isinstance(edit, Split))] = False
        elif isinstance(edit, Move):
            rows = _rows(edit, edit.rows, num, device)
            if len(rows) != len(edit.sources):
                raise ValueError(f"Move: {len(rows)} rows but {len(edit.sources)} sources")
            source[rows] = _rows(edit, edit.sources, num, device, distinct=False)
    return kept, source


def _copies(edit: Clone | Split, num: int, device: torch.device | str) -> tuple[Tensor, Mapping[str, Tensor]]:
    """The row that each added row copies [A], and the values in which it differs, [A, ...]."""
    rows = _rows(edit, edit.rows, num, device, distinct=False)
    if isinstance(edit, Clone):
        _check_values(edit, edit.values, (len(rows),))
        return rows, edit.values
    _check_values(edit, edit.values, (len(rows), edit.children))
    values = {name: value.flatten(0, 1) for name, value in edit.values.items()}
    return rows.repeat_interleave(edit.children), values


def _changes(edit: Move | Reset, num: int, kept: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
    """The rows (numbered as before) that are changed and kept [S], and their new values, [S, ...]."""
    if edit.rows is None:
        rows = torch.arange(num, device=kept.device)
    else:
        rows = _rows(edit, edit.rows, num, kept.device)
    _check_values(edit, edit.values, (len(rows),))
    stays = kept[rows]
    if bool(stays.all()):
        return rows, edit.values
    return rows[stays], {name: value[stays.to(value.device)] for name, value in edit.values.items()}


def _forgotten(edit: Move | Reset) -> frozenset[str] | None:
    """The fields whose moments become zero; None for all."""
    if isinstance(edit, Move) or edit.forget == "all":
        return None
    return frozenset(edit.values if edit.forget == "fields" else ())


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
