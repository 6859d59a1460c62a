"""Our own compressed scenes, `.gsz`: read here whatever codec wrote them (`gsplat_core.compress`)."""

from __future__ import annotations

from pathlib import Path

from gsplat_core.compress.codec import Coder
from gsplat_core.compress.container import Container
from gsplat_core.compress.registry import CODECS, OWN, decode, encode, usual_coder
from gsplat_core.io.atomic import write_bytes
from gsplat_core.io.format import ALL_METADATA, Format
from gsplat_core.io.options import check_range
from gsplat_core.io.source import read_whole
from gsplat_core.io.usable import keep_usable
from gsplat_core.labels import LABEL
from gsplat_core.scene.gaussians import Gaussians


def load(path: Path, *, strict: bool = False, trusted: bool = False) -> Gaussians:
    """Reads and decodes a file.

    Args:
        trusted: read it whatever number of Gaussians it claims to hold.

    Raises:
        DataError: missing, damaged, of a newer version, or coded by something unknown.
    """

    def opened(file: Path) -> Container:
        return Container.from_bytes(read_whole(file), file, trusted)

    return keep_usable(decode(opened(path), opened), path, strict)


def save(path: Path, gaussians: Gaussians, codec: Coder | None = None, *, coarseness: float = 0.25) -> None:
    """Codes a scene as it is; `compress` first trains it for its codec, which makes it several times smaller.

    Args:
        codec: which, with what settings; by default the usual one of the scene's primitive.
        coarseness: of steps where no codec is given; 1 is what `compress` and training begin with.

    Raises:
        ResourceError: see `gsplat_core.io.atomic`.
        UnsuitableSceneError: its rows are of a primitive that codecs cannot hold, or its labels no labels.
        UsageError: `coarseness` is not from 0.01 to 16.
    """
    check_range("coarseness", coarseness, 0.01, 16)
    codec = codec or usual_coder(gaussians.primitive, coarseness)
    write_bytes(path, encode(codec, gaussians, path).to_bytes())


FORMAT = Format(
    ".gsz", "gsplat_core compressed scene", load=load, save=save, metadata=ALL_METADATA,
    extras=frozenset({LABEL}), any_axes=True,
    primitives=frozenset(codec.primitive for codec in CODECS.values())
    | {own.primitive for own in OWN.values()},
)  # fmt: skip
