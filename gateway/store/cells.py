"""Rows of text as few bytes: what is rewritten at each commit or close lies in one packed row of the database."""

import lzma
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

_CELL, _COLUMN, _GROUP = "\x1f", "\n", "\x1e"
_STEP: Final = 1000
"""What is stored has a multiple of this length: SQLite writes over a row of the same length in its place."""
_LZMA: Final = {"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 1 << 18}
"""Digits take two thirds of what zlib makes of them; a small dictionary, for it is memory."""

DAMAGE: Final = (lzma.LZMAError, ValueError, TypeError, LookupError)
"""What `unpack` raises for bytes that are not from `pack`, and what reading wrong cells may."""


def pack(rows: Iterable[Sequence[str]], before: bytes = b"") -> bytes:
    """Cells in the same place of rows of the same length lie side by side, since most of them are alike.

    The result is as long as `before`, which it is to be written over, where that is not far too long. Raises
    ValueError for a cell with a control character.
    """
    groups: defaultdict[int, list[Sequence[str]]] = defaultdict(list)
    for row in rows:
        if not {_CELL, _COLUMN, _GROUP}.isdisjoint("".join(row)):
            raise ValueError(f"a cell has a control character: {row!r}")
        groups[len(row)].append(row)
    text = _GROUP.join(
        _COLUMN.join(_CELL.join(column) for column in zip(*group, strict=True)) for group in groups.values()
    )
    body = lzma.compress(text.encode(), check=lzma.CHECK_CRC32, filters=[_LZMA])
    size = -(-len(body) // _STEP) * _STEP
    return body.ljust(len(before) if size < len(before) <= 2 * size else size, b"\0")


def unpack(body: bytes) -> Iterator[tuple[str, ...]]:
    """The mirror image of `pack`, grouped by length. Raises lzma.LZMAError, ValueError or TypeError."""
    inflater = lzma.LZMADecompressor()
    text = inflater.decompress(body).decode()
    if not inflater.eof:
        raise ValueError("it is cut off")
    for group in text.split(_GROUP):
        columns = [column.split(_CELL) for column in group.split(_COLUMN)]
        yield from zip(*columns, strict=True)
