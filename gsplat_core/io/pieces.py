"""A scene that comes piece by piece, so that all of it need not fit into memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from gsplat_core.io.arrays import Arrays, arrays_of, blocks, in_blocks
from gsplat_core.scene.gaussians import Gaussians

PIECE = 1 << 16  # rows; 16 MB of SH degree 3


@dataclass(frozen=True)
class Pieces:
    """What is done with rows one by one is done with a scene of any length.

    Args:
        template: the scene without its rows: SH degree, primitive, fields and metadata of every piece.
        most: how many rows there are at most.
        open: begins anew; each piece is a scene like `template`, of at most `PIECE` rows.
        count: how many pieces come.
    """

    template: Gaussians
    most: int
    open: Callable[[], Iterator[Gaussians]]
    count: int = -1

    def __post_init__(self) -> None:
        if self.count < 0:
            object.__setattr__(self, "count", math.ceil(self.most / PIECE))

    @classmethod
    def of(cls, scene: Gaussians) -> Pieces:
        """A scene that is in memory."""
        return cls(
            scene.subset(slice(0, 0)),
            scene.num,
            lambda: (scene.subset(rows) for rows in blocks(scene.num, PIECE)),
        )

    @classmethod
    def single(cls, scene: Gaussians) -> Pieces:
        """A scene that is in memory, in one piece of any size: for what works on blocks of rows itself."""
        return cls(scene.subset(slice(0, 0)), scene.num, lambda: iter((scene,)), 1)

    def encode(self, work: Callable[[Arrays, slice], None]) -> int:
        """Calls `work` with the parameters of some rows and their place among all, for all of them, and says
        how many these are. The calls run on several threads and must write to their place alone."""
        count = 0
        for piece in self.open():
            arrays = arrays_of(piece)

            def encode(rows: slice, arrays: Arrays = arrays, first: int = count) -> None:
                place = slice(first + rows.start, first + rows.stop)
                work({name: array[rows] for name, array in arrays.items()}, place)

            in_blocks(piece.num, encode)
            count += piece.num
        return count

    def mapped(self, change: Callable[[Gaussians], Gaussians]) -> Pieces:
        """With every piece changed by itself, and no row added."""
        return replace(self, template=change(self.template), open=lambda: map(change, self.open()))

    @staticmethod
    def merge(scenes: Sequence[Pieces]) -> Pieces:
        """All rows of several scenes, in order, by the rules of `Gaussians.merge`.

        Raises:
            ValueError: as for `Gaussians.merge`.
        """
        template = Gaussians.merge([scene.template for scene in scenes])

        def pieces() -> Iterator[Gaussians]:
            for scene in scenes:
                alike = _columns(scene.template) == _columns(template)
                for piece in scene.open():
                    yield piece if alike else Gaussians.merge([template, piece])

        most, count = sum(scene.most for scene in scenes), sum(scene.count for scene in scenes)
        return Pieces(template, most, pieces, count)

    def whole(self) -> Gaussians:
        """All of it in memory."""
        return Gaussians.merge([self.template, *self.open()])


def _columns(scene: Gaussians) -> tuple[str, int, list[str]]:
    """What tells the rows of one scene from those of another that it can be merged with."""
    return scene.primitive, scene.sh_degree, list(scene.extras)
