"""The file of our codecs, `.gsz`: a small JSON header and coded streams behind it.

    offset  bytes
    0       4      "GSZ" and the version, 2
    4       4      length H of the header, little-endian
    8       H      header: JSON object in UTF-8
    8 + H          the streams, one after the other
    end - 4 4      CRC-32 of everything before

The header has `codec` (which of `gsplat_core.compress.registry`), `count` (of Gaussians), `sh_degree`,
`streams` (list of [name, bytes]), perhaps `metadata` (what of `Gaussians.metadata` is not as usual), and
whatever else the codec needs to decode. A stream `label` has the Gaussians' labels, if they have any. If
they are of another primitive than the plain Gaussian, the header has its name, `primitive`, and `further`,
the least and the largest number of each field, which is in the stream `further.FIELD` (`further.py`).

A file holds at most one Gaussian for each 4 bytes of its streams beyond the first 16,384, so that its size
bounds what it decodes to and how long that takes; writers append zeros where coding was better than that.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gsplat_core.errors import DataError
from gsplat_core.expansion import check_density
from gsplat_core.scene.harmonics import MAX_DEGREE
from gsplat_core.strict_json import parse_json

MAGIC = b"GSZ"
VERSION = 2
FREE_GAUSSIANS = 1 << 14
BYTES_PER_GAUSSIAN = 4
_MOST_GAUSSIANS = 2**31 - 1
_LONGEST_HEADER = 1 << 20
_DAMAGED = "The file is damaged or incomplete; get it again."


class Container:
    """What a file holds: the header's entries and the streams by name.

    Args:
        path: for messages.
        order: [N] which row of the scene each of the coded ones was, of a scene that has just been coded;
            None if they are as they were.
        checksum: the CRC-32 of a file that was read.
    """

    def __init__(
        self,
        header: dict[str, Any],
        streams: Mapping[str, Tensor],
        path: Path = Path("(memory)"),
        order: Tensor | None = None,
        checksum: int | None = None,
    ) -> None:
        self.header = header
        self.streams = dict(streams)
        self.path = path
        self.order = order
        self.checksum = checksum

    @property
    def codec(self) -> str:
        return str(self.header["codec"])

    @property
    def count(self) -> int:
        return int(self.header["count"])

    @property
    def sh_degree(self) -> int:
        return int(self.header["sh_degree"])

    def to_bytes(self) -> bytes:
        """The whole file."""
        streams = {name: bytes(stream.numpy()) for name, stream in self.streams.items()}
        missing = BYTES_PER_GAUSSIAN * (self.count - FREE_GAUSSIANS) - sum(map(len, streams.values()))
        if missing > 0:
            streams["padding"] = bytes(missing)
        entries = {**self.header, "streams": [[name, len(data)] for name, data in streams.items()]}
        header = json.dumps(entries, separators=(",", ":")).encode()
        content = b"".join(
            [MAGIC, bytes([VERSION]), struct.pack("<I", len(header)), header, *streams.values()]
        )
        return content + struct.pack("<I", zlib.crc32(content))

    @classmethod
    def from_bytes(cls, data: bytes, path: Path, trusted: bool = False) -> Container:
        """Takes a file apart after checking it as a whole.

        Args:
            trusted: any number of Gaussians will do.

        Raises:
            DataError: not such a file, of a newer version, damaged, or with counts that cannot be.
        """
        if len(data) < 12 or data[:3] != MAGIC:
            raise DataError(path, "this is not a .gsz file", place="offset 0", remedy="Check its name.")
        if data[3] != VERSION:
            raise DataError(
                path, f"written in version {data[3]} of the format, this program reads {VERSION}",
                place="offset 3",
                remedy="Update gsplat-core." if data[3] > VERSION else "Export the scene anew.",
            )  # fmt: skip
        checksum = zlib.crc32(data[:-4])
        if checksum != struct.unpack("<I", data[-4:])[0]:
            raise DataError(path, "its content does not match its checksum", remedy=_DAMAGED)
        (length,) = struct.unpack_from("<I", data, 4)
        if length > min(_LONGEST_HEADER, len(data) - 12):
            raise DataError(path, f"a header of {length} bytes", place="offset 4", remedy=_DAMAGED)
        try:
            header = parse_json(data[8 : 8 + length])
            if not isinstance(header, dict):
                raise ValueError("not an object")
        except (ValueError, RecursionError) as error:
            raise DataError(
                path, f"the header is not JSON: {error}", place="offset 8", remedy=_DAMAGED
            ) from None
        container = cls(header, {}, path, checksum=checksum)
        count = container.integer("count", 0, _MOST_GAUSSIANS)
        check_density(
            path, len(data) - 12 - length, count, "header", trusted, FREE_GAUSSIANS, BYTES_PER_GAUSSIAN
        )
        container.integer("sh_degree", 0, MAX_DEGREE)
        container.text("codec")
        container._cut(data, 8 + length)
        return container

    def _cut(self, data: bytes, offset: int) -> None:
        streams = self.header.get("streams")
        end = len(data) - 4
        valid = isinstance(streams, list) and all(
            isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str)
            and type(entry[1]) is int and entry[1] >= 0
            for entry in streams
        )  # fmt: skip
        if not isinstance(streams, list) or not valid or offset + sum(entry[1] for entry in streams) != end:
            raise self.error("the lengths of its streams do not add up to the size of the file")
        for name, size in streams:
            part = np.frombuffer(data, np.uint8, size, offset).copy()
            self.streams[name] = torch.from_numpy(part)
            offset += size

    def error(self, problem: str) -> DataError:
        return DataError(self.path, problem, place="header", remedy=_DAMAGED)

    def stream(self, name: str) -> Tensor:
        """The bytes [B] uint8 of a stream."""
        if name not in self.streams:
            raise self.error(f"the stream {name!r} is missing")
        return self.streams[name]

    def integer(self, name: str, low: int, high: int) -> int:
        """An entry of the header, checked; raises DataError."""
        value = self.header.get(name)
        if type(value) is not int or not low <= value <= high:
            raise self.error(f"{name} is {value!r}, expected a whole number from {low} to {high}")
        return value

    def number(self, name: str, low: float = -math.inf, high: float = math.inf) -> float:
        return self.numbers(name, 1, low, high)[0]

    def numbers(self, name: str, count: int, low: float = -math.inf, high: float = math.inf) -> list[float]:
        """An entry that is a number (count 1) or a list of so many; finite and within the bounds."""
        value = self.header.get(name)
        values: list[Any] = value if isinstance(value, list) else [value]
        if len(values) != count or not all(
            type(v) in (int, float) and math.isfinite(v) and low <= v <= high for v in values
        ):
            raise self.error(f"{name} is {str(value)[:80]}, expected {count} numbers from {low} to {high}")
        return [float(v) for v in values]

    def inner(self, name: str) -> Container:
        """An entry that is an object, to be read like a header; raises DataError."""
        value = self.header.get(name)
        if not isinstance(value, dict):
            raise self.error(f"{name} is {str(value)[:80]}, expected an object")
        return Container(value, {}, self.path)

    def text(self, name: str) -> str:
        value = self.header.get(name)
        if not isinstance(value, str):
            raise self.error(f"{name} is {str(value)[:80]}, expected a text")
        return value
