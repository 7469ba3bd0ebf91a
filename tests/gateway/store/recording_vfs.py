"""A disk that remembers what was done to it: from its log every state that a power cut can leave is made.

It lies below a real SQLite (that of APSW, whose file layer can be written in Python). A full disk is played too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import apsw

NAME = "recording"
SECTOR = 512
"""What a disk writes whole or not at all."""


class Op(NamedTuple):
    """One thing that was done to a file."""

    what: str
    """write, truncate, sync, delete."""
    file: str
    at: int = 0
    """Offset of a write, size of a truncation."""
    data: bytes = b""


Image = dict[str, bytes]
"""Content of each file that is there after a power cut."""


class Disk(apsw.VFS):
    """Passes everything on to the real file system and notes it; full while `is_full`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log: list[Op] = []
        self.base: Image = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        self.writes = 0
        self.full_from: int | None = None
        """Number of the write from which on the disk is full; None: never."""
        self.loses = False
        """True: what is written is dropped without a word."""
        super().__init__(NAME, "")

    def xOpen(self, name: Any, flags: list[int]) -> _File:
        return _File(self, name, flags)

    def xDelete(self, path: str, sync_folder: bool) -> None:
        super().xDelete(path, sync_folder)
        self.log.append(Op("delete", Path(path).name))

    def fill(self) -> None:
        """Raises SQLite's error for a full disk when it is."""
        self.writes += 1
        if self.full_from is not None and self.writes > self.full_from:
            raise apsw.FullError("the disk is full")

    def images(self, cuts: Sequence[int], random: Random) -> Iterator[tuple[int, Image]]:
        """For each of the rising positions in the log, a state that a power cut there can leave.

        What was synced is there. Of what came later each write is there, or not, or torn.
        """
        durable = {name: bytearray(content) for name, content in self.base.items()}
        pending: dict[str, list[Op]] = {}
        done = 0
        for cut in cuts:
            for op in self.log[done:cut]:
                if op.what == "sync":
                    for waiting in pending.pop(op.file, ()):
                        _apply(durable, waiting)
                elif op.what == "delete":  # the name is gone in some images, the content in all later ones
                    pending.setdefault(op.file, []).append(op)
                else:
                    pending.setdefault(op.file, []).append(op)
            done = cut
            found = {name: bytearray(content) for name, content in durable.items()}
            for ops in pending.values():
                for op in _some(ops, random):
                    _apply(found, op)
            yield cut, {name: bytes(content) for name, content in found.items()}


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        filename = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._name = Path(filename).name if filename else ""
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.fill()
        if self._disk.loses:
            return
        super().xWrite(data, offset)
        self._note(Op("write", self._name, offset, bytes(data)))

    def xTruncate(self, size: int) -> None:
        super().xTruncate(size)
        self._note(Op("truncate", self._name, size))

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self._note(Op("sync", self._name))

    def _note(self, op: Op) -> None:
        if self._name:  # a temporary file without a name is gone after a cut
            self._disk.log.append(op)


class Connection:
    """An APSW connection with the manners of the standard library's, as far as the store uses them."""

    def __init__(self, path: Path) -> None:
        self._conn = apsw.Connection(str(path), vfs=NAME)

    def execute(self, sql: str, values: Sequence[object] = ()) -> Any:
        return self._call(self._conn.execute, sql, tuple(values))  # type: ignore[arg-type]

    def executemany(self, sql: str, rows: Any) -> Any:
        return self._call(self._conn.executemany, sql, rows)

    @property
    def in_transaction(self) -> bool:
        return self._conn.in_transaction

    def close(self) -> None:
        self._call(self._conn.close)

    def _call(self, fn: Any, *args: object) -> Any:
        try:
            return fn(*args)
        except apsw.Error as error:
            found = sqlite3.OperationalError(str(error))
            # What our own file raises comes back as it is.
            found.sqlite_errorcode = getattr(error, "extendedresult", sqlite3.SQLITE_FULL)  # type: ignore[misc]
            raise found from error


def _some(ops: Sequence[Op], random: Random) -> Iterator[Op]:
    """What of these reached the disk, in any combination; now and then all of it, or nothing."""
    share = random.choice((0.0, 0.5, 0.9, 1.0))
    for op in ops:
        if random.random() >= share:
            continue
        if op.what == "write" and random.random() < 0.3:
            for at in range(0, len(op.data), SECTOR):
                if random.random() < 0.5:
                    yield op._replace(at=op.at + at, data=op.data[at : at + SECTOR])
        else:
            yield op


def _apply(files: dict[str, bytearray], op: Op) -> None:
    if op.what == "delete":
        files.pop(op.file, None)
        return
    content = files.setdefault(op.file, bytearray())
    if op.what == "truncate":
        del content[op.at :]
        content.extend(bytes(op.at - len(content)))
        return
    content.extend(bytes(max(0, op.at - len(content))))
    content[op.at : op.at + len(op.data)] = op.data
