"""Edits that leave frozen rows alone.

A frozen row (`gsplat_core.scene.schema.FROZEN`) is drawn, but neither moved nor removed nor replaced, and
nothing grows from it. `ParameterStore` keeps to that whatever a strategy asks for; a strategy that counts
rows, or shares something between them, has to know it too (`SceneView.free`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from torch import Tensor

from gsplat_core.densify.edits import Edit, Move, Prune, Reset
from gsplat_core.densify.rows import indices


def sparing(edits: Iterable[Edit], frozen: Tensor) -> list[Edit]:
    """The edits without what they do to frozen rows, or make of copies of them.

    Args:
        frozen: bool [N], of the rows before the edits.
    """
    return [_sparing(edit, frozen) for edit in edits]


def _sparing(edit: Edit, frozen: Tensor) -> Edit:
    if isinstance(edit, Reset) and edit.rows is None:
        free = indices(~frozen)
        return replace(edit, rows=free, values=_rows_of(edit, free))
    assert edit.rows is not None
    kept = ~frozen[edit.rows.to(frozen.device).long()]
    if isinstance(edit, Move):
        kept &= ~frozen[edit.sources.to(frozen.device).long()]
    chosen = indices(kept)
    rows = edit.rows[chosen.to(edit.rows.device)]
    if isinstance(edit, Prune):
        return Prune(rows)
    changed = replace(edit, rows=rows, values=_rows_of(edit, chosen))
    if isinstance(changed, Move):
        changed = replace(changed, sources=changed.sources[chosen.to(changed.sources.device)])
    return changed


def _rows_of(edit: Edit, chosen: Tensor) -> dict[str, Tensor]:
    """The values of these of the edit's rows."""
    values = {} if isinstance(edit, Prune) else edit.values
    return {name: value[chosen.to(value.device)] for name, value in values.items()}
