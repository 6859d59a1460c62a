"""Which Gaussians stay by their labels, and which labels they get: one rule after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gsplat_core.errors import UsageError

LEAST, MOST = -(2**31), 2**31 - 1
"""Labels are int32."""


@dataclass(frozen=True)
class LabelRule:
    """
    Args:
        labels: the labels that it is about.
        action: "keep" those alone, "drop" them, or give them the label `new`.
    """

    labels: tuple[int, ...]
    action: str
    new: int = 0

    def apply(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Of labels [M]: which of them stay, bool [M], and what they are then, [M]."""
        named = torch.isin(labels, labels.new_tensor(self.labels))
        if self.action == "keep":
            return named, labels
        if self.action == "drop":
            return ~named, labels
        return torch.ones_like(named), labels.masked_fill(named, self.new)


def rule_of(text: str) -> LabelRule:
    """A rule from "keep=1,2", "drop=0,-1" or "1,2=5", by which labels 1 and 2 become 5.

    Raises:
        UsageError: something else, or no int32.
    """
    left, sign, right = text.partition("=")
    action = left if left in ("keep", "drop") else "set"
    try:
        if not sign:
            raise ValueError
        labels = tuple(int(word) for word in (left if action == "set" else right).split(","))
        new = int(right) if action == "set" else 0
    except ValueError:
        raise UsageError(
            f"a rule for labels is keep=1,2 or drop=0,-1 or, to change them, 1,2=5; not {text[:80]!r}."
        ) from None
    if wrong := [label for label in (*labels, new) if not LEAST <= label <= MOST]:
        raise UsageError(f"labels have 32 bits, and {wrong[0]} does not fit ({text[:80]!r}).")
    return LabelRule(labels, action, new)


class Labelling:
    """The rules, applied to a scene that comes in pieces; tells in the end which labels there were not."""

    def __init__(self, rules: Sequence[LabelRule]) -> None:
        self._rules = rules
        self._met: list[set[int]] = [set() for _ in rules]

    def apply(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Of labels [N] of a piece: which rows stay, indices [M], and their labels then, [M]."""
        rows = torch.arange(len(labels), device=labels.device)
        for rule, met in zip(self._rules, self._met, strict=True):
            met.update(labels.unique().tolist())
            stays, labels = rule.apply(labels)
            rows, labels = rows[stays], labels[stays]
        return rows, labels

    def check(self) -> None:
        """
        Raises:
            UsageError: a rule was about a label that no Gaussian had.
        """
        for rule, met in zip(self._rules, self._met, strict=True):
            if missing := [label for label in rule.labels if label not in met]:
                there = ", ".join(map(str, sorted(met)[:20])) or "none"
                more = f" and {len(met) - 20} more" if len(met) > 20 else ""
                raise UsageError(f"No Gaussian has the label {missing[0]}; there are: {there}{more}.")


def apart(labels: Tensor, taken: int) -> Tensor:
    """Labels [N] that none of 1 to `taken` is one of: those of objects, from 1 on, go up by `taken`. The
    background, 0, and what has no label, -1, stay.

    Raises:
        UsageError: they would not fit into 32 bits.
    """
    if labels.numel() and int(labels.max()) + taken > MOST:
        raise UsageError(f"The label {int(labels.max())} is too large to be moved by {taken}.")
    return torch.where(labels > 0, labels + taken, labels)
