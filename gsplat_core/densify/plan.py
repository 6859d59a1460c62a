"""Edits compiled into one pass over the rows: where each row comes from, which values are overwritten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from gsplat_core.densify.edits import Clone, Edit, Move, Prune, Reset, Split


@dataclass(frozen=True, eq=False)
class Overwrite:
    """Values for some rows, numbered as they are afterwards.

    Args:
        rows: distinct indices [M] after the edits, or a slice of them.
        values: field name to [M, ...].
        forget: names of the fields whose moments become zero in these rows; None means every field.
    """

    rows: Tensor | slice
    values: Mapping[str, Tensor]
    forget: frozenset[str] | None


@dataclass(frozen=True, eq=False)
class RowPlan:
    """What a list of edits means for anything that has one row per Gaussian.

    First the kept rows close up; then some of them become copies of other rows; then copies are
    added at the end; at last values are overwritten.

    Args:
        num_before, num_after: rows before and after.
        kept: [K] the rows (numbered as before) that stay, in their new order; None: all, where they are.
        copied_rows, copied_from: [M] rows, numbered as afterwards, that become copies of other rows, numbered
            as before.
        added_from: [A] the rows (numbered as before) that the rows added at the end copy.
        overwrites: changes to apply afterwards, in order.
        ascending: whether the kept rows keep their order.
    """

    num_before: int
    num_after: int
    kept: Tensor | None
    copied_rows: Tensor
    copied_from: Tensor
    added_from: Tensor
    overwrites: Sequence[Overwrite]
    ascending: bool = True

    @property
    def stays(self) -> bool:
        """Whether every row stays where it is and none is added."""
        return self.kept is None and not len(self.copied_rows) and not len(self.added_from)

    @property
    def num_kept(self) -> int:
        return self.num_before if self.kept is None else len(self.kept)

    @cached_property
    def source(self) -> Tensor | None:
        """[num_after] the row (numbered as before) that each row copies; None if all stay."""
        if self.stays:
            return None
        device = self.added_from.device
        kept = torch.arange(self.num_before, device=device) if self.kept is None else self.kept.clone()
        kept[self.copied_rows] = self.copied_from
        return torch.cat([kept, self.added_from])

    def follow(self, tensor: Tensor, name: str | None = None) -> Tensor:
        """A field after the edits: copies inherit, then the values given for `name` are set.

        Args:
            tensor: [num_before, ...].
            name: the field's name in the edits; None for a field that no edit can mention.

        Returns:
            A new tensor [num_after, ...]; the input is not modified.
        """
        followed = tensor.clone() if self.source is None else tensor.index_select(0, self.source)
        if name is not None:
            self.write_(followed, name)
        return followed

    def write_(self, tensor: Tensor, name: str) -> None:
        """Sets the given values in a field, in place, rows numbered as after the edits."""
        for overwrite in self.overwrites:
            if name in overwrite.values:
                values = overwrite.values[name].to(tensor)
                if isinstance(overwrite.rows, slice):
                    tensor[overwrite.rows] = values
                else:
                    tensor.index_copy_(0, overwrite.rows, values)

    def forget_(self, moments: Tensor, name: str) -> None:
        """Zeroes moments of the field `name` in place, rows numbered as after the edits."""
        for overwrite in self.overwrites:
            if overwrite.forget is None or name in overwrite.forget:
                if isinstance(overwrite.rows, slice):
                    moments[overwrite.rows] = 0
                else:
                    moments.index_fill_(0, overwrite.rows, 0)


def reordering(order: Tensor) -> RowPlan:
    """The plan that puts row `order[i]` at place i, for a permutation [N] int64.

    Raises:
        ValueError: it is none.
    """
    num = len(order)
    if order.ndim != 1 or not torch.equal(order.sort().values, torch.arange(num, device=order.device)):
        raise ValueError(f"expected a permutation of {num} rows")
    none = order[:0]
    return RowPlan(num, num, order, none, none, none, (), ascending=False)


def compile_edits(edits: Iterable[Edit], num: int, device: torch.device | str = "cpu") -> RowPlan:
    """Compiles a transaction of edits on `num` rows.

    Raises:
        ValueError: indices out of range or repeated where they must be distinct, or values of a wrong length.
    """
    edits = list(edits)
    kept = _kept(edits, num, device)
    copied_rows, copied_from = _relocated(edits, num, kept, device)
    length = num if kept is None else int(kept.sum())
    new_row = None if kept is None else kept.cumsum(0) - 1  # of a row that is kept
    added: list[Tensor] = []
    overwrites: list[Overwrite] = []
    for edit in edits:
        if isinstance(edit, Clone | Split):
            rows, values = _copies(edit, num, device)
            added.append(rows)
            overwrites.append(Overwrite(slice(length, length + len(rows)), values, None))
            length += len(rows)
        elif isinstance(edit, Reset) and edit.rows is None and kept is None:
            _check_values(edit, edit.values, (num,))
            overwrites.append(Overwrite(slice(0, num), edit.values, _forgotten(edit)))
        elif isinstance(edit, Move | Reset):
            rows, values = _changes(edit, num, kept, device)
            after = rows if new_row is None else new_row[rows]
            overwrites.append(Overwrite(after, values, _forgotten(edit)))
    none = torch.zeros(0, dtype=torch.int64, device=device)
    return RowPlan(
        num_before=num,
        num_after=length,
        kept=None if kept is None else kept.nonzero().squeeze(1),
        copied_rows=copied_rows if new_row is None else new_row[copied_rows],
        copied_from=copied_from,
        added_from=torch.cat([none, *added]),
        overwrites=overwrites,
    )


def _kept(edits: Sequence[Edit], num: int, device: torch.device | str) -> Tensor | None:
    """[num] mask of the rows that are kept; None if that is all."""
    gone = [
        _rows(edit, edit.rows, num, device, distinct=isinstance(edit, Split))
        for edit in edits
        if isinstance(edit, Prune | Split)
    ]
    if not any(len(rows) for rows in gone):
        return None
    kept = torch.ones(num, dtype=torch.bool, device=device)
    for rows in gone:
        kept[rows] = False
    return kept


def _relocated(
    edits: Sequence[Edit], num: int, kept: Tensor | None, device: torch.device | str
) -> tuple[Tensor, Tensor]:
    """The kept rows that become copies of others, and of which, both numbered as before."""
    source = torch.full((num,) if any(isinstance(edit, Move) for edit in edits) else (0,), -1, device=device)
    for edit in edits:
        if isinstance(edit, Move):
            rows = _rows(edit, edit.rows, num, device)
            if len(rows) != len(edit.sources):
                raise ValueError(f"Move: {len(rows)} rows but {len(edit.sources)} sources")
            source[rows] = _rows(edit, edit.sources, num, device, distinct=False)
    moved = source >= 0
    if kept is not None and len(moved):
        moved &= kept
    rows = moved.nonzero().squeeze(1)
    return rows, source[rows]


def _copies(edit: Clone | Split, num: int, device: torch.device | str) -> tuple[Tensor, Mapping[str, Tensor]]:
    """The row that each added row copies [A], and the values in which it differs, [A, ...]."""
    rows = _rows(edit, edit.rows, num, device, distinct=False)
    if isinstance(edit, Clone):
        _check_values(edit, edit.values, (len(rows),))
        return rows, edit.values
    _check_values(edit, edit.values, (len(rows), edit.children))
    values = {name: value.flatten(0, 1) for name, value in edit.values.items()}
    return rows.repeat_interleave(edit.children), values


def _changes(
    edit: Move | Reset, num: int, kept: Tensor | None, device: torch.device | str
) -> tuple[Tensor, Mapping[str, Tensor]]:
    """The rows (numbered as before) that are changed and kept [S], and their new values, [S, ...]."""
    named = torch.arange(num, device=device) if edit.rows is None else edit.rows
    rows = _rows(edit, named, num, device)
    _check_values(edit, edit.values, (len(rows),))
    if kept is None or bool((stays := kept[rows]).all()):
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
