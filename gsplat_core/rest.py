"""Knows which moments of an optimizer are zero, without keeping books of what others do to them."""

from __future__ import annotations

import weakref
from typing import NamedTuple

from torch import Tensor


class _Seen(NamedTuple):
    """Moments [N, K, ...] of which only entries [:, :reach] may differ from zero."""

    moments: tuple[weakref.ref[Tensor], ...]
    versions: tuple[int, ...]
    reach: int

    def is_of(self, moments: tuple[Tensor, ...]) -> bool:
        same = all([known() is moment for known, moment in zip(self.moments, moments, strict=True)])
        return same and self.versions == _versions(moments)


class Rest(dict[Tensor, _Seen]):
    """The entries of parameters that have been without gradients, and so without moments, from the start.

    Moments are looked at once. What is found holds as long as they are the same tensors and nobody wrote to
    them but the optimizer, which tells of each of its steps. So neither density control, which exchanges them
    for others with more rows, nor a checkpoint has to know of it.

    A dictionary from parameters to what was seen of them. One whose entries may all move is taken out.
    """

    def lasts(self, param: Tensor, moments: tuple[Tensor, ...], moved: int) -> bool:
        """Whether a step that is about to begin leaves all moments [:, moved:] zero, as they are now.

        Args:
            param: [N, K, ...]
            moments: of the parameter, each of its shape.
            moved: only entries [:, :moved] have gradients in this step.
        """
        seen = self.pop(param, None)
        if moved >= param.shape[1]:
            return False
        if seen is None or not seen.is_of(moments):
            zero = not any([bool(moment[:, moved:].any()) for moment in moments])
            reach = moved if zero else param.shape[1]
        else:
            reach = max(seen.reach, moved)
        references = tuple([weakref.ref(moment) for moment in moments])
        self[param] = _Seen(references, _versions(moments), reach)
        return reach == moved


def _versions(moments: tuple[Tensor, ...]) -> tuple[int, ...]:
    return tuple([moment._version for moment in moments])
