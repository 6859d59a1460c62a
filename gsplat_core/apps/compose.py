"""Scenes put together, moved, cut out and sorted by labels, piece by piece: they need not fit into memory.

What is done with each, in this order: it is moved, its labels are kept apart from those of the scenes before,
all are merged, and of the whole the regions and the labels choose what stays.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from gsplat_core.errors import DataError, UsageError
from gsplat_core.io.pieces import Pieces
from gsplat_core.label_rules import Labelling, LabelRule, apart
from gsplat_core.labels import LABEL, labelled, labels_of
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.metadata import Metadata
from gsplat_core.scene.regions import Region, inside
from gsplat_core.scene.similarity import Similarity


@dataclass(frozen=True)
class Placed:
    """A scene and where it is put.

    Args:
        name: of its file, for messages.
    """

    name: str | os.PathLike[str]
    pieces: Pieces
    similarity: Similarity | None = None


@dataclass(frozen=True)
class Selection:
    """What of a composition stays.

    Args:
        regions: boxes and spheres, in coordinates of the composition; none: everywhere.
        outside: what is in none of them stays, instead of what is in any.
        rules: for labels, one after the other.
    """

    regions: Sequence[Region] = ()
    outside: bool = False
    rules: Sequence[LabelRule] = ()

    def __post_init__(self) -> None:
        if self.outside and not self.regions:
            raise UsageError("--outside needs a --box or a --sphere.")


def compose(
    scenes: Sequence[Placed],
    selection: Selection,
    offset_labels: bool = False,
    adjusted: Callable[[Sequence[Pieces]], Sequence[Pieces]] = list,
) -> Pieces:
    """The scenes as one.

    The SH degree is the largest of theirs, fields that only some have are filled in (`Gaussians.merge`).
    Scenes of captures far from the origin are put relative to the first one that has an offset; a scene
    without one is taken to be in those coordinates already.

    Args:
        offset_labels: labels of objects, from 1 on, go up by the largest of the scenes before. A scene
            without labels is one object.
        adjusted: changes the scenes, as many as there are, once they are where they belong, such as their
            colours to fit one another.

    Raises:
        UsageError: labels that no scene has or that are too large, scenes that cannot be drawn as one, or
            nothing is left. What only all rows tell is raised while the pieces are read.
        DataError: the labels of a file are none.
    """
    scenes = _with_one_origin(scenes)
    for scene in scenes:
        _check_labels(scene)
    _check_drawn_alike(scenes)
    parts = list(adjusted([_placed(scene) for scene in scenes]))
    if offset_labels:
        parts = _with_labels_apart(parts)
    if selection.rules and not any(LABEL in part.template.extras for part in parts):
        raise UsageError("There are no labels: no scene has the field 'label'.")
    try:
        merged = Pieces.merge(parts)
    except ValueError as error:
        raise UsageError(f"These scenes cannot be merged: {str(error).removeprefix('merge: ')}") from None
    return replace(merged, open=lambda: _selected(merged, selection))


def _selected(pieces: Pieces, selection: Selection) -> Iterator[Gaussians]:
    """The rows that stay, of each piece."""
    labelling = Labelling(selection.rules)
    within, left = 0, 0
    for piece in pieces.open():
        labels = labels_of(piece)
        if selection.regions:
            stays = inside(piece.means, selection.regions) ^ selection.outside
        else:
            stays = torch.ones(piece.num, dtype=torch.bool, device=piece.device)
        within += int(stays.sum())
        if selection.rules and labels is not None:
            rows, changed = labelling.apply(labels)
            kept = stays[rows]
            piece = labelled(piece.subset(rows[kept]), changed[kept])
        elif selection.regions:
            piece = piece.subset(stays)
        left += piece.num
        yield piece
    labelling.check()
    if not left:
        _explain_nothing(within, selection)


def _explain_nothing(within: int, selection: Selection) -> None:
    if within:
        raise UsageError("Nothing would be left: no Gaussian in the regions has these labels.")
    if selection.regions:
        where = "outside of the regions" if selection.outside else "in any of the regions"
        raise UsageError(
            f"Nothing would be left: no Gaussian is {where}. `gsplat-core info` prints the scene's bounds."
        )
    raise UsageError("There are no Gaussians in these scenes.")


def _placed(scene: Placed) -> Pieces:
    """The scene where it belongs, its labels as int32."""

    def put(piece: Gaussians) -> Gaussians:
        if scene.similarity is not None:
            piece = piece.transformed(scene.similarity)
        labels = labels_of(piece)
        return piece if labels is None else labelled(piece, labels)

    return scene.pieces.mapped(put)


def _check_labels(scene: Placed) -> None:
    """That a field called "label" has labels."""
    if LABEL in scene.pieces.template.extras and labels_of(scene.pieces.template) is None:
        field = scene.pieces.template.extras[LABEL]
        raise DataError(
            scene.name, f"its field 'label' has {field.dtype} {list(field.shape[1:])}, not whole numbers",
            remedy="Rename the field in the program that wrote it.",
        )  # fmt: skip


def _check_drawn_alike(scenes: Sequence[Placed]) -> None:
    """That all scenes look right when they are drawn in one way."""
    first = scenes[0]
    for scene in scenes[1:]:
        ways = [vars(s.pieces.template.metadata) for s in (first, scene)]
        if different := [name for name, value in ways[0].items() if ways[1][name] != value]:
            name = different[0]
            remedy = (
                f"--read {name}=true or {name}=false draws all of them so; what was trained otherwise changes"
                if isinstance(ways[0][name], bool)
                else "Train one of them with the other's"
            )
            raise UsageError(
                f"{os.fspath(scene.name)} is drawn with {name} {ways[1][name]}, {os.fspath(first.name)} with "
                f"{ways[0][name]}: they cannot be drawn as one. {remedy}."
            )


def _with_one_origin(scenes: Sequence[Placed]) -> list[Placed]:
    """The scenes with one offset to original coordinates."""
    offsets = [scene.pieces.template.metadata.offset for scene in scenes]
    common = next((offset for offset in offsets if any(offset)), Metadata().offset)
    return [
        scene if own == common else _with_origin(scene, own, common)
        for scene, own in zip(scenes, offsets, strict=True)
    ]


def _with_origin(
    scene: Placed, own: tuple[float, float, float], common: tuple[float, float, float]
) -> Placed:
    """The scene with another offset, moved by the difference unless it had none."""
    moved = torch.tensor(own, dtype=torch.float64) - torch.tensor(common, dtype=torch.float64)
    shift = Similarity(translation=moved if any(own) else torch.zeros(3))
    similarity = shift if scene.similarity is None else scene.similarity @ shift
    return replace(
        scene,
        pieces=scene.pieces.mapped(lambda piece: piece.with_metadata(offset=common)),
        similarity=similarity,
    )


def _with_labels_apart(parts: Sequence[Pieces]) -> list[Pieces]:
    """The scenes with no label of an object in two of them."""
    result, taken = [], 0
    for number, part in enumerate(parts):
        result.append(part.mapped(_moving_labels(taken)))
        if number + 1 < len(parts):
            taken += _largest_label(part)
    return result


def _moving_labels(taken: int) -> Callable[[Gaussians], Gaussians]:
    def move(piece: Gaussians) -> Gaussians:
        labels = labels_of(piece)
        if labels is None:
            labels = torch.ones(piece.num, dtype=torch.int32, device=piece.device)
        return labelled(piece, apart(labels, taken))

    return move


def _largest_label(part: Pieces) -> int:
    """Of the objects of a scene; 1 of one without labels."""
    if LABEL not in part.template.extras:
        return 1
    largest = 0
    for piece in part.open():
        labels = labels_of(piece)
        if labels is not None and labels.numel():
            largest = max(largest, int(labels.max()))
    return largest
