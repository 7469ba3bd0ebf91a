"""The rows in the pages of a SQLite file and its write-ahead log, read without trusting anything that points to them.

Only what the store's tables need. Format: https://sqlite.org/fileformat2.html
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from gateway.store.folder import LOG
from gateway.store.schema import PAGE_BYTES

_SIZES: Final = (PAGE_BYTES, 4096)
"""Bytes of a page: as we make them, and as SQLite does, which older versions left to it."""
_INTERIOR, _LEAF, _ROWID_LEAF = 2, 10, 13
"""Kinds of pages that hold rows: two of WITHOUT ROWID tables and indexes, one of tables with row ids."""
_LONGEST: Final = 8 << 20
_FIXED: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_WAL_HEADER, _FRAME_HEADER = 32, 24

Value = int | float | str | bytes | None


class Frame(NamedTuple):
    """One page in a write-ahead log."""

    page: int
    at: int
    """Where its content is in the file."""
    is_commit: bool
    """True for the last one of a transaction."""


class Wal(NamedTuple):
    """What a write-ahead log holds."""

    valid: list[Frame]
    """What SQLite reads of it: up to the last commit before anything that does not fit."""
    beyond: list[Frame]
    """What lies behind that and is of the same generation."""
    older: list[Frame]
    """What is left of the generation before."""

    @property
    def lost_commits(self) -> int:
        """Transactions that SQLite does not see. A power cut leaves one at most, which was never called stored."""
        return sum(frame.is_commit for frame in self.beyond)


def page_bytes(path: Path) -> int:
    """Bytes of a page of the database at `path`, as its header says, or else its log."""
    for name, at, form in ((path.name, 16, ">H"), (LOG, 8, ">I")):
        with suppress(OSError, struct.error), path.with_name(name).open("rb") as file:
            (size,) = struct.unpack_from(form, file.read(_WAL_HEADER), at)
            if size in _SIZES:
                return int(size)
    return PAGE_BYTES


def read_wal(path: Path) -> Wal:
    """The log of the database at `path`; an empty one when it is not there or cannot be read."""
    size = page_bytes(path)
    try:
        content = path.with_name(LOG).read_bytes()
    except OSError:
        content = b""
    header = content[:_WAL_HEADER].ljust(_WAL_HEADER, b"\0")
    magic, _, stated, _, *salts, first, second = struct.unpack(">8I", header)
    order = ">" if magic & 1 else "<"
    sums = _checksum((0, 0), header[:24], order)
    sound = magic & ~1 == 0x377F0682 and stated == size and sums == (first, second)
    frames: list[Frame] = []
    beyond: list[Frame] = []
    older: list[Frame] = []
    for at in range(_WAL_HEADER, len(content) - size - _FRAME_HEADER + 1, size + _FRAME_HEADER):
        head = content[at : at + _FRAME_HEADER]
        page, pages, *frame_salts, first, second = struct.unpack(">6I", head)
        if not sound and not frames and not beyond and any(frame_salts):
            salts = frame_salts  # the log's own header is damaged: its frames still belong together
        frame = Frame(page, at + _FRAME_HEADER, pages != 0)
        if frame_salts != salts or page == 0:
            sound = False
            older.append(frame)
            continue
        if sound:
            sums = _checksum(_checksum(sums, head[:8], order), content[frame.at : frame.at + size], order)
            sound = sums == (first, second)
        (frames if sound else beyond).append(frame)
    last_commit = max((n for n, frame in enumerate(frames, 1) if frame.is_commit), default=0)
    return Wal(frames[:last_commit], frames[last_commit:] + beyond, older)


class Pages:
    """A database file and its log, open to be read in pieces; pages that the disk refuses are taken as empty."""

    def __init__(self, path: Path) -> None:
        self._size = page_bytes(path)
        self._db = _open(path)
        self._log = _open(path.with_name(LOG))
        wal = read_wal(path)
        self._newest = {frame.page: frame.at for frame in [*wal.valid, *wal.beyond]}
        self._frames = [*wal.older, *wal.valid, *wal.beyond]
        self.count = 0 if self._db is None else os.fstat(self._db).st_size // self._size

    def close(self) -> None:
        """Gives the files back."""
        for file in (self._db, self._log):
            if file is not None:
                os.close(file)

    def rows(self) -> Iterator[tuple[list[tuple[Value, ...]], bool]]:
        """The rows of each page, the file's first, then the log's in order; old versions come too.

        With them whether the page is whole: False when it has cells that are no rows.
        """
        for page in range(1, self.count + 1):
            yield self._rows_on(self._of_file(page), 100 if page == 1 else 0)
        for frame in self._frames:
            yield self._rows_on(_read(self._log, frame.at, self._size), 100 if frame.page == 1 else 0)

    def _rows_on(self, page: bytes, at: int) -> tuple[list[tuple[Value, ...]], bool]:
        kind = page[at]
        if kind not in (_INTERIOR, _LEAF, _ROWID_LEAF):
            return [], True
        (cells,) = struct.unpack_from(">H", page, at + 3)
        pointers = at + (12 if kind == _INTERIOR else 8)
        found: list[tuple[Value, ...]] = []
        for n in range(min(cells, (self._size - pointers) // 2)):
            (cell,) = struct.unpack_from(">H", page, pointers + 2 * n)
            row = self._row(page, cell + (4 if kind == _INTERIOR else 0), has_id=kind == _ROWID_LEAF)
            if row is not None:
                found.append(row)
        return found, len(found) == cells

    def _row(self, page: bytes, at: int, *, has_id: bool) -> tuple[Value, ...] | None:
        for payload in self._payloads(page, at, has_id=has_id):
            with suppress(IndexError, ValueError):
                return _values(payload)
        return None

    def _payloads(self, page: bytes, at: int, *, has_id: bool) -> Iterator[bytes]:
        """The bytes of a cell: with its tail as in the log, and as in the file when that is another."""
        try:
            size, at = _varint(page, at)
            if has_id:
                _, at = _varint(page, at)
        except IndexError:
            return
        most_local = self._size - 35 if has_id else (self._size - 12) * 64 // 255 - 23
        least_local = (self._size - 12) * 32 // 255 - 23
        if size <= most_local:
            yield page[at : at + size]
            return
        if size > _LONGEST:
            return
        local = least_local + (size - least_local) % (self._size - 4)
        local = local if local <= most_local else least_local
        head, link = page[at : at + local], page[at + local : at + local + 4]
        if len(link) < 4:
            return
        (first,) = struct.unpack(">I", link)
        yield head + self._tail(first, size - local, self._of_log)
        yield head + self._tail(first, size - local, self._of_file)

    def _tail(self, page: int, size: int, read: Callable[[int], bytes]) -> bytes:
        parts: list[bytes] = []
        while page and size > 0:
            content = read(page)
            parts.append(content[4 : 4 + min(size, self._size - 4)])
            size -= len(parts[-1])
            (page,) = struct.unpack_from(">I", content)
        return b"".join(parts)

    def _of_file(self, page: int) -> bytes:
        return _read(self._db, (page - 1) * self._size, self._size)

    def _of_log(self, page: int) -> bytes:
        return _read(self._log, self._newest[page], self._size) if page in self._newest else self._of_file(page)


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _read(file: int | None, at: int, size: int) -> bytes:
    try:
        content = b"" if file is None else os.pread(file, size, at)
    except OSError:  # a bad sector
        content = b""
    return content.ljust(size, b"\0")


def _checksum(start: tuple[int, int], content: bytes, order: str) -> tuple[int, int]:
    one, two = start
    words = struct.unpack(f"{order}{len(content) // 4}I", content)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """A number of up to nine bytes, and where it ends. Raises IndexError beyond the content."""
    value = 0
    for n in range(9):
        byte = content[at + n]
        if n == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + n + 1
    raise AssertionError("unreachable")


def _values(payload: bytes) -> tuple[Value, ...]:
    """The columns of a record. Raises IndexError or ValueError for bytes that are none."""
    header_bytes, at = _varint(payload, 0)
    if not 0 < header_bytes <= len(payload):
        raise ValueError("no header")
    types: list[int] = []
    while at < header_bytes:
        kind, at = _varint(payload, at)
        types.append(kind)
    values: list[Value] = []
    at = header_bytes
    for kind in types:
        size = _FIXED.get(kind, 8 if kind == 7 else (kind - 12) // 2 if kind >= 12 else 0)
        part = payload[at : at + size]
        if len(part) < size or kind in (10, 11):
            raise ValueError("cut off")
        at += size
        values.append(_value(kind, part))
    if at != len(payload):
        raise ValueError("bytes are left over")
    return tuple(values)


def _value(kind: int, part: bytes) -> Value:
    if kind >= 12:
        return part.decode() if kind % 2 else part
    if kind == 7:
        found: float = struct.unpack(">d", part)[0]
        return found
    if kind in (8, 9):
        return kind - 8
    return int.from_bytes(part, "big", signed=True) if part else None
