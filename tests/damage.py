"""Files that are not what their names say."""

import struct
import zlib

DEEP = "[" * 100_000 + "]" * 100_000  # JSON that exceeds any reader's stack


def huge(width: int = 60_000, height: int = 60_000) -> bytes:
    """A PNG file of a few bytes whose header says `width` x `height` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
