"""Damaging files of every format, also beneath compression and checksums; bounding what readers take."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import resource
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ksplat_files import written_ksplat
from residual_files import saved_after_another

from gsplat_core.compress.anchors import AnchorCodec, AnchorConfig
from gsplat_core.compress.context import Size
from gsplat_core.compress.hash_grid import HashGrid
from gsplat_core.compress.registry import CODECS
from gsplat_core.io import gsz, save
from gsplat_core.models import forest as forest_model
from gsplat_core.models import scaffold as scaffold_model
from gsplat_core.models.sundae import starting_weights
from gsplat_core.scene.gaussians import Gaussians

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# A part of a file, and how the file looks with another in its place.
Part = tuple[bytes, Callable[[bytes], bytes]]


@dataclass(frozen=True)
class Case:
    """A format as damage sees it: an example, and what of it can be changed.

    Args:
        name: of the file.
        write: writes a scene.
        degree: of spherical harmonics, the highest that it holds.
        parts: of a file, those to be changed one at a time.
        unit: files of a multiple of so many bytes are complete at any length; 0 where there is an end.
    """

    name: str
    write: Callable[[Path, Gaussians], object]
    degree: int = 3
    parts: Callable[[bytes], list[Part]] = lambda content: [(content, bytes)]
    unit: int = 0


def saved(**options: Any) -> Callable[[Path, Gaussians], object]:
    """What writes a scene with options of its format."""
    return lambda path, scene: save(path, scene, **options)


def saved_by_codec(name: str) -> Callable[[Path, Gaussians], object]:
    return lambda path, scene: gsz.save(path, scene, CODECS[name].create(1.0))


def saved_as_anchors(path: Path, scene: Gaussians) -> None:
    own = AnchorConfig(size=Size(HashGrid((4, 8), 6, 2), 8), fitting_steps=2)
    gsz.save(path, scaffold_model.started(scene.with_primitive("scaffold"), 0), AnchorCodec(own))


def saved_with_lobes(path: Path, scene: Gaussians) -> None:
    save(path, scene.with_primitive("raygauss"))


def saved_with_head(path: Path, scene: Gaussians) -> None:
    save(path, replace(scene.with_primitive("sundae"), shared={"head": starting_weights(1, 0)}))


def saved_as_trees(path: Path, scene: Gaussians) -> None:
    save(path, forest_model.started(scene.with_primitive("forest"), 0), coarseness=1.0)


def saved_as_gltf(path: Path, scene: Gaussians) -> None:
    """A .gltf with its data inside, from the .glb that this program writes."""
    binary = path.with_suffix(".glb")
    save(binary, scene)
    content = binary.read_bytes()
    binary.unlink()
    length = int.from_bytes(content[12:16], "little")
    tree = json.loads(content[20 : 20 + length])
    data = base64.b64encode(content[28 + length :]).decode()
    tree["buffers"][0]["uri"] = f"data:application/octet-stream;base64,{data}"
    path.write_text(json.dumps(tree))


def saved_as_page(path: Path, scene: Gaussians) -> None:
    """Without the libraries, which no reader looks at."""
    save(path, scene, palette=256)
    path.write_text(re.sub(r'(<script id="libraries"[^>]*>)[^<]*', r"\1", path.read_text()))


def saved_as_ksplat(level: int) -> Callable[[Path, Gaussians], object]:
    return lambda path, scene: path.write_bytes(written_ksplat(scene, level))


def in_gzip(content: bytes) -> list[Part]:
    return [(gzip.decompress(content), lambda inner: gzip.compress(inner, 1))]


def in_zip(content: bytes) -> list[Part]:
    return [
        (data, lambda inner, name=name: rezipped(content, {name: inner}))  # type: ignore[misc]
        for name, data in unzipped(content).items()
    ]


def in_page(content: bytes) -> list[Part]:
    """What is in the archive that is in the page."""
    head, mark, rest = content.partition(b'data-format="sog">')
    scene, end, tail = rest.partition(b"</script>")
    return [
        (data, lambda inner, put=put: head + mark + base64.b64encode(put(inner)) + end + tail)  # type: ignore[misc]
        for data, put in in_zip(base64.b64decode(scene))
    ]


def in_spz_4(content: bytes) -> list[Part]:
    """The header with the table, and each stream with an entry of the table that fits."""
    start, count = 32, content[15]
    sizes = [struct.unpack_from("<QQ", content, start + 16 * i) for i in range(count)]
    at = start + 16 * count
    frames = []
    for stored, _ in sizes:
        frames.append(content[at : at + stored])
        at += stored

    def put_back(number: int, inner: bytes) -> bytes:
        new = [*frames]
        new[number] = zstd.compress(inner)
        entries = [(len(frame), size) for frame, (_, size) in zip(new, sizes, strict=True)]
        entries[number] = (len(new[number]), len(inner))
        return content[:start] + b"".join(struct.pack("<QQ", *entry) for entry in entries) + b"".join(new)

    head = content[: start + 16 * count]
    streams: list[Part] = [
        (zstd.decompress(frame), lambda inner, i=i: put_back(i, inner))  # type: ignore[misc]
        for i, frame in enumerate(frames)
    ]
    return [(head, lambda changed: changed + content[len(head) :]), *streams]


def in_glb(content: bytes) -> list[Part]:
    """The headers and the JSON: nothing but numbers follows."""
    head = content[: 20 + int.from_bytes(content[12:16], "little")]
    return [(head, lambda changed: changed + content[len(head) :])]


def in_gsz(content: bytes) -> list[Part]:
    """The header with its length set right, and the streams; the checksum fits."""

    def complete(content: bytes) -> bytes:
        return content + struct.pack("<I", zlib.crc32(content))

    end = 8 + int.from_bytes(content[4:8], "little")
    head, streams = content[8:end], content[end:-4]
    start = content[:4]
    return [
        (head, lambda new: complete(start + struct.pack("<I", len(new)) + new + streams)),
        (streams, lambda new: complete(content[:end] + new)),
    ]


def unzipped(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rezipped(content: bytes, changes: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in (unzipped(content) | changes).items():
            archive.writestr(name, data)
    return target.getvalue()


CASES = {
    "ply": Case("a.ply", saved()),
    "compressed.ply": Case("a.compressed.ply", saved()),
    "spz 2": Case("a.spz", saved(version=2), parts=in_gzip),
    "spz 3": Case("a.spz", saved(version=3), parts=in_gzip),
    "spz 4": Case("a.spz", saved(version=4), parts=in_spz_4),
    "sog": Case("a.sog", saved(palette=256), parts=in_zip),
    "html": Case("a.html", saved_as_page, parts=in_page),
    "splat": Case("a.splat", saved(), degree=0, unit=32),
    "ksplat": Case("a.ksplat", saved_as_ksplat(0)),
    "ksplat in buckets": Case("a.ksplat", saved_as_ksplat(2), degree=2),
    "glb": Case("a.glb", saved(), parts=in_glb),
    "gltf": Case("a.gltf", saved_as_gltf),
    "ply with a head": Case("a.ply", saved_with_head),
    "gsz of a frame": Case("a.gsz", saved_after_another, parts=in_gsz),
    "gsz of trees": Case("a.gsz", saved_as_trees, parts=in_gsz),
    "gsz of lobes": Case("a.gsz", saved_with_lobes, parts=in_gsz),
    "gsz of anchors": Case("a.gsz", saved_as_anchors, degree=0, parts=in_gsz),
    **{f"gsz {codec}": Case("a.gsz", saved_by_codec(codec), parts=in_gsz) for codec in CODECS},
}


@contextmanager
def at_most_more_memory(size: int) -> Iterator[None]:
    """Inside, this process cannot have more than so many bytes beyond those it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + size
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
