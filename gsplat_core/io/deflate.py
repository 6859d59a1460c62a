"""One gzip member compressed on several threads, and decompressed within a bound.

As in pigz, the data are cut into blocks that are compressed on their own, each with the 32 KiB before it as
its dictionary, so that almost nothing is lost. A block ends at a byte boundary (an empty stored block), and
their concatenation is one deflate stream that every reader takes. The result depends on the block size alone,
not on the number of threads.
"""

from __future__ import annotations

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import torch

_BLOCK = 1 << 20
_WINDOW = 1 << 15
_HEADER = (
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no name, no time, unknown system: same input, same bytes
)


def gzip_compress(data: bytes | memoryview, level: int = 6) -> bytes:
    """A gzip file with this content (RFC 1952)."""
    data = memoryview(data)
    starts = range(0, len(data), _BLOCK) or range(1)

    def compress(start: int) -> bytes:
        window = data[max(0, start - _WINDOW) : start]
        codec = zlib.compressobj(level, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY, window)
        last = start == starts[-1]
        body = codec.compress(data[start : start + _BLOCK])
        return body + codec.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)

    with ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:
        blocks = list(pool.map(compress, starts))
    trailer = struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)
    return b"".join([_HEADER, *blocks, trailer])
