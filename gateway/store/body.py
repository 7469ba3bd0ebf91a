"""How the body of a record lies in the database: a large one packed, for what wears a card out is the bytes."""

import zlib
from typing import Final

from sync.errors import Malformed

PACKED_FROM: Final = 2048
"""Bytes from which a body is packed; below, nothing would be gained."""
_PLAIN: Final = b"{"
"""Bodies are JSON objects."""


def pack(body: bytes) -> bytes:
    """What is stored for a body."""
    return zlib.compress(body) if len(body) >= PACKED_FROM else body


def unpack(stored: object) -> bytes:
    """The body in what is stored, byte for byte, whatever SQLite holds there. Raises Malformed."""
    if not isinstance(stored, bytes):
        raise Malformed("its body is not bytes")
    if stored.startswith(_PLAIN):
        return stored
    try:
        return zlib.decompress(stored)
    except zlib.error as error:
        raise Malformed(f"its body cannot be unpacked: {error}") from None
