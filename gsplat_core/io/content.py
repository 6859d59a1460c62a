"""What a file is by its first bytes, whatever its name says.

Most formats begin with a signature. Those of splats are named by their ending in the registry; others that
end up where splats are expected are named so that people recognise them.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gsplat_core.errors import DataError
from gsplat_core.expansion import check_json
from gsplat_core.strict_json import parse_json

FIRST_BYTES = 4096
_LARGEST_JSON = 16 << 20


@dataclass(frozen=True)
class Content:
    """What was recognised.

    Args:
        ending: of the splat format it is; "" for what is none.
        title: what people call it.
        remedy: what to do with it, where it is no splat file.
    """

    ending: str
    title: str
    remedy: str = ""


_SPLATS = {
    b"NGSP": Content(".spz", "an .spz file"),
    b"glTF": Content(".glb", "a binary glTF file"),
    b"GSZ": Content(".gsz", "a .gsz file"),
}
_PHOTOGRAPH = "Photographs belong into the folder `images` of what `train` gets."
_MODEL = "Give the folder that it belongs to to `train`."
_UNPACK = "Unpack it first."
_CODE = "Such files can run code and are not read; have the program that wrote it export a .ply."
_PAGE = b'<meta name="generator" content="gsplat_core">'  # gsplat_core/io/html.py
_OTHERS = {
    b"\x89PNG\r\n\x1a\n": Content("", "a PNG image", _PHOTOGRAPH),
    b"\xff\xd8\xff": Content("", "a JPEG image", _PHOTOGRAPH),
    b"GIF8": Content("", "a GIF image", _PHOTOGRAPH),
    b"II*\0": Content("", "a TIFF image", _PHOTOGRAPH),
    b"MM\0*": Content("", "a TIFF image", _PHOTOGRAPH),
    b"%PDF": Content("", "a PDF document"),
    b"SQLite format 3\0": Content("", "an SQLite database, perhaps COLMAP's of features", _MODEL),
    b"\x93NUMPY": Content("", "a NumPy array"),
    b"(\xb5/\xfd": Content("", "something compressed with Zstandard", _UNPACK),
    b"BZh": Content("", "something compressed with bzip2", _UNPACK),
    b"\xfd7zXZ\0": Content("", "something compressed with xz", _UNPACK),
    b"7z\xbc\xaf'\x1c": Content("", "a 7z archive", _UNPACK),
    b"Rar!": Content("", "a RAR archive", _UNPACK),
    b"LASF": Content("", "a LAS point cloud", "Convert it to a PLY of points for `train`."),
    b"ASTM-E57": Content("", "an E57 point cloud", "Convert it to a PLY of points for `train`."),
    b"Kaydara FBX": Content("", "an FBX model"),
    b"\x89HDF": Content("", "an HDF5 file"),
    b"RAD0": Content("", "a level-of-detail file of Spark (.rad)", "Export the scene it was made from."),
    b"version https://git-lfs": Content("", "a pointer of Git LFS", "Fetch its content: git lfs pull."),
    b"<!DOCTYPE": Content("", "an HTML page, perhaps the error page of a download", "Download it again."),
    b"<!doctype": Content("", "an HTML page, perhaps the error page of a download", "Download it again."),
    b"<html": Content("", "an HTML page, perhaps the error page of a download", "Download it again."),
    b"<?xml": Content("", "an XML file"),
    b"\x80\x02\x8a\nl\xfc": Content("", "a checkpoint of PyTorch", _CODE),
    b"\x80\x04\x95": Content("", "a Python pickle", _CODE),
}


def recognise(path: str | os.PathLike[str]) -> Content | None:
    """What the file is, or None where its first bytes say nothing or it cannot be read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        with open(path, "rb") as file:
            start = file.read(FIRST_BYTES)
            size = os.fstat(file.fileno()).st_size
    except OSError:
        return None
    if not size:
        return Content("", "an empty file", "Its download or export did not finish; repeat it.")
    if _is_splat(start, size):  # first: its bytes may begin like any short signature
        return Content(".splat", "a .splat file")
    if _PAGE in start:
        return Content(".html", "a page with a scene")
    for table in (_SPLATS, _OTHERS):
        for signature, content in table.items():
            if start.startswith(signature):
                return content
    if start[:3] == b"ply" and start[3:4] in (b"\n", b"\r", b" ", b"\t"):
        if b"packed_position" in start:
            return Content(".compressed.ply", "a compressed PLY file")
        return Content(".ply", "a PLY file")
    if start[:2] == b"\x1f\x8b":
        return _in_gzip(start)
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _in_zip(Path(path))
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return Content("", "a WebP image", "One of SOG's images? Then name its meta.json.")
    if start[4:8] == b"ftyp":
        return Content("", "a video or HEIF image")
    if start.lstrip()[:1] == b"{" and size <= _LARGEST_JSON:
        return _in_json(Path(path))
    return Content(".ksplat", "a .ksplat file") if _is_ksplat(start, size) else None


def must_be_splats(path: str | os.PathLike[str], content: Content | None) -> None:
    """Raises DataError, with what to do, for a file whose content is recognised as something else."""
    if content is not None and not content.ending:
        raise DataError(path, f"this is {content.title}, not a splat file", remedy=content.remedy)


def _in_gzip(start: bytes) -> Content | None:
    try:
        inside = zlib.decompressobj(31).decompress(start, 16)
    except zlib.error:
        return None
    if inside[:4] == b"NGSP":
        return Content(".spz", "an .spz file")
    if not inside:
        return None
    what = "a PLY file compressed with gzip" if inside[:3] == b"ply" else "something compressed with gzip"
    return Content("", what, "Unpack it first (gzip -d).")


def _in_zip(path: Path) -> Content:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, UnicodeError):
        return Content(".sog", "a .sog file")  # whose reader says what is wrong with it
    if "meta.json" in names:
        return Content(".sog", "a .sog file")
    if any(name.endswith("/data.pkl") or name == "data.pkl" for name in names):
        return Content("", "a checkpoint of PyTorch", _CODE)
    if names and all(name.endswith(".npy") for name in names):
        return Content("", "an archive of NumPy arrays (.npz)")
    inside = f" with {', '.join(names[:3])[:80]}" if names else " with nothing in it"
    return Content("", f"a ZIP archive{inside}", _UNPACK)


def _in_json(path: Path) -> Content | None:
    try:
        text = path.read_bytes()
        check_json(path, text)
        tree = parse_json(text)
    except (OSError, ValueError, DataError):
        return None
    if not isinstance(tree, dict):
        return None
    if "means" in tree:
        return Content("meta.json", "the meta.json of a SOG scene")
    if isinstance(tree.get("asset"), dict) and "version" in tree["asset"]:
        return Content(".gltf", "a glTF file")
    if "frames" in tree:
        return Content("", "a transforms.json of photographs", _MODEL)
    if "lodLevels" in tree:
        return Content(
            "", "the lod-meta.json of a streamed scene", "Name the meta.json of one of its levels."
        )
    return None  # the reader that the name calls for says what is missing


def is_text(start: bytes) -> bool:
    """Whether these bytes are lines of ASCII text."""
    return bool(start) and all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start)


def _is_ksplat(start: bytes, size: int) -> bool:
    """The header of a .ksplat has no signature, but little that can be otherwise, and zeros up to its end."""
    if len(start) < FIRST_BYTES or size < FIRST_BYTES + 1024 or any(start[44:]):
        return False
    major, minor, most, sections, level = struct.unpack_from("<BB2xII8xH", start)
    return major == 0 and minor >= 1 and 0 < sections <= 1 << 16 and sections <= max(most, 1) and level <= 2


def _is_splat(start: bytes, size: int) -> bool:
    """A .splat has no header; its records have sensible numbers and quaternions of unit length."""
    if not size or size % 32:
        return False
    records = np.frombuffer(start[: len(start) // 32 * 32], np.uint8).reshape(-1, 32)
    lengths = np.square(records[:, 28:] / 128.0 - 1).sum(axis=1)
    if not (np.abs(lengths - 1) < 0.1).all():
        return False
    numbers = records[:, :24].copy().view("<f4")
    with np.errstate(invalid="ignore"):  # signalling NaNs
        means, scales = np.abs(numbers[:, :3]), numbers[:, 3:]
        return bool((means < 1e9).all() and (scales >= 0).all() and (scales < 1e6).all())
