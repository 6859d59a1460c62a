"""The edits of density control: what a strategy asks for, and what every field of a Gaussian follows.

A strategy returns a list of edits. They form one transaction: every `rows` refers to the scene **as it was
when the strategy was called**, and every copy takes the values of that moment. A row may be named by several
edits:

- removing wins over changing, and values given in an edit win over copied ones;
- where two edits give values to the same field of the same surviving row, the later one wins;
- surviving rows keep their order; added rows stand at the end, in the order of the list.

An edit speaks only of rows and of values of named fields (raw ones: log-scales, logits). Fields that an edit
does not mention are carried along: a label, a time stamp or a binding to a mesh face is inherited by copies.
In the optimizer, the moments of a row follow it; rows that are new or take another row's place start with
zero moments.

`values` holds tensors whose leading shape is the number of rows (for `Split`: rows, children).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Clone:
    """Append one copy of each row; a row named twice gets two copies.

    Args:
        rows: integer indices [M].
        values: fields in which the copies differ from their originals, [M, ...] each. The originals stay.
    """

    rows: Tensor
    values: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Split:
    """Replace each row by several children.

    Args:
        rows: distinct integer indices [M].
        values: fields in which the children differ from their parent, [M, children, ...] each.
        children: how many children each parent gets; they stand at the end, those of one parent together.
    """

    rows: Tensor
    values: Mapping[str, Tensor]
    children: int = 2


@dataclass(frozen=True, eq=False)
class Prune:
    """Remove rows.

    Args:
        rows: integer indices [M].
    """

    rows: Tensor


@dataclass(frozen=True, eq=False)
class Move:
    """Turn rows into copies of other rows ("relocation"): what stood there is forgotten, moments included.

    Args:
        rows: distinct integer indices [M] of the rows to be overwritten.
        sources: integer indices [M] of the rows to copy.
        values: fields in which the copies differ from their sources, [M, ...] each.
    """

    rows: Tensor
    sources: Tensor
    values: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Reset:
    """Set fields of rows that stay.

    Args:
        rows: distinct integer indices [M], or None for all rows of the scene as it was.
        values: the new values, [M, ...] each.
        forget: whose moments become zero in these rows: those of the `fields` that are set, of `all`
        parameters,
            or of `none`.
    """

    rows: Tensor | None
    values: Mapping[str, Tensor]
    forget: Literal["fields", "all", "none"] = "fields"


Edit: TypeAlias = Clone | Split | Prune | Move | Reset
