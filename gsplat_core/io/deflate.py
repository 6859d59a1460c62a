"""One gzip member compressed on several threads, as its content comes.

As in pigz, the data are cut into blocks that are compressed on their own, each with the 32 KiB before it as
its dictionary, so that almost nothing is lost. A block ends at a byte boundary (an empty stored block), and
their concatenation is one deflate stream that every reader takes. The result depends on the block size alone,
not on the number of threads.

Numbers that were rounded to few bits are noise from few symbols. Searching such noise for repetitions is what
takes a compressor its time, and what it finds, three bytes that happen to have been there before, costs more
than the three bytes would: codes of coefficients become 15 % larger by it. So the beginning of each block is
tried, and where repetitions do not pay, only runs of one byte are looked for and the rest is left to the
Huffman code.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

from gsplat_core.io.arrays import map_ahead

_BLOCK = 1 << 20
_TRIED = 1 << 15  # bytes of a block that tell how to compress it
_WORTH = 0.98  # size from which on searching for repetitions is worth its time
_WINDOW = 1 << 15
_LEVEL = 6
_HEADER = (
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no name, no time, unknown system: same input, same bytes
)


def gzip_compress(data: bytes | memoryview) -> bytes:
    """A gzip file with this content (RFC 1952)."""
    return b"".join(gzip_stream([data]))


def gzip_stream(parts: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """A gzip file piece by piece; its content is that of all parts, wherever it is cut."""
    checksum = size = 0

    def cut() -> Iterator[tuple[bytes, bytes]]:
        """Each block, and what stands before it."""
        nonlocal checksum, size
        window = b""
        for block in _blocks(parts):
            checksum, size = zlib.crc32(block, checksum), size + len(block)
            yield block, window
            window = block[-_WINDOW:]

    yield _HEADER
    yield from map_ahead(lambda pair: _deflate(*pair), cut())
    yield zlib.compressobj(wbits=-15).flush()  # the last block of the stream, an empty one
    yield struct.pack("<II", checksum, size & 0xFFFFFFFF)


def _blocks(parts: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """The same bytes in blocks of one size, but for the last."""
    rest = bytearray()
    for part in parts:
        view = memoryview(part)
        for start in range(0, len(view), _BLOCK):
            rest += view[start : start + _BLOCK]
            if len(rest) >= _BLOCK:
                yield bytes(rest[:_BLOCK])
                del rest[:_BLOCK]
    if rest:
        yield bytes(rest)


def _deflate(block: bytes, window: bytes) -> bytes:
    """A block of a deflate stream that has others behind it.

    Args:
        window: what stands before it.
    """
    strategy = zlib.Z_RLE
    if _size(block[:_TRIED], zlib.Z_DEFAULT_STRATEGY) < _WORTH * _size(block[:_TRIED], zlib.Z_RLE):
        strategy = zlib.Z_DEFAULT_STRATEGY
    codec = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15, 8, strategy, window)
    return codec.compress(block) + codec.flush(zlib.Z_SYNC_FLUSH)


def _size(data: bytes, strategy: int) -> int:
    codec = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15, 8, strategy)
    return len(codec.compress(data)) + len(codec.flush())
