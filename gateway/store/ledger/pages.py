"""The ledger as it lies in the store, read line by line.

Each record of kind `intervals` is followed by one of kind `entries` that was computed from it; a record of kind
`restatement` stands alone; the oldest ones may be headers, which keep sums only.
"""

import sqlite3
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from gateway.store import totals
from gateway.store.ledger.ledger_entry import LedgerEntry, of_entries, of_restatement, of_sums
from gateway.store.record import ENTRIES, HEADER, RESTATEMENT, STREAM, pruned, read, readable
from sync.wire import Block

Rebuild = Callable[[sqlite3.Connection, int, Block], Block]
"""Computes a block of entries or a restatement anew from intervals and factors, given its record and itself."""

_BEYOND = 2**62
_STEP_RECORDS = 50
_STEP_ENTRIES = 2000


class Walk(Protocol):
    """A look through the ledger in steps."""

    def advance(self, conn: sqlite3.Connection) -> bool:
        """Takes the next step; False when there is none."""


class Scope(NamedTuple):
    """How the newest entries were booked."""

    lens: str
    """The main one."""
    zone: ZoneInfo


class Page(NamedTuple):
    """A part of the ledger, newest record first."""

    entries: list[LedgerEntry]
    next_before_seq: int | None
    """Where to go on; None when nothing is left."""
    pruned_through: int
    """Last record of which only a header is left, 0 when none."""


def page(conn: sqlite3.Connection, limit: int, before_seq: int | None = None) -> Page:
    """The newest entries of records before `before_seq` (None: of all).

    Records come whole, so there may be more than `limit` entries; pruned ones do not come.
    Raises StoreError for a record that cannot be read.
    """
    found: list[LedgerEntry] = []
    pruned_through = pruned(conn).through
    bound = _BEYOND if before_seq is None else before_seq
    while len(found) < limit:
        row = conn.execute(
            "SELECT seq FROM record WHERE stream = ? AND kind IN (?, ?) AND seq < ? AND seq > ?"
            " ORDER BY seq DESC LIMIT 1",
            (STREAM, ENTRIES, RESTATEMENT, bound, pruned_through),
        ).fetchone()
        if row is None:
            return Page(found, None, pruned_through)
        (bound,) = row
        found += entries_in(conn, bound)
    return Page(found, bound, pruned_through)


def after(conn: sqlite3.Connection, seq: int, rebuild: Rebuild | None = None) -> tuple[int, list[LedgerEntry]] | None:
    """The entries of the next records beyond `seq` and the last of these; None at the end.

    For an export in steps; pruned records give their sums. With `rebuild` the blocks are not taken as they were
    written but as it computes them. Raises StoreError for a record that cannot be read or rebuilt.
    """
    seqs = conn.execute(
        "SELECT seq FROM record WHERE stream = ? AND kind IN (?, ?, ?) AND seq > ? ORDER BY seq LIMIT ?",
        (STREAM, ENTRIES, RESTATEMENT, HEADER, seq, _STEP_RECORDS),
    ).fetchall()
    if not seqs:
        return None
    found: list[LedgerEntry] = []
    for (seq,) in seqs:
        found += entries_in(conn, seq, rebuild)
        if len(found) >= _STEP_ENTRIES:
            break
    return seq, found


def iter_entries(conn: sqlite3.Connection) -> Iterator[LedgerEntry]:
    """All entries, oldest first. Raises StoreError for a record that cannot be read."""
    step = after(conn, 0)
    while step is not None:
        seq, entries = step
        yield from entries
        step = after(conn, seq)


def entries_in(conn: sqlite3.Connection, seq: int, rebuild: Rebuild | None = None) -> list[LedgerEntry]:
    """The entries of one record of entries, restatement or header. Raises StoreError when it cannot be read."""
    block = read(conn, seq)
    with readable(seq):
        if rebuild is not None and block.kind != HEADER:
            block = rebuild(conn, seq, block)
        if block.kind == ENTRIES:
            return of_entries(seq, read(conn, block.meta["intervals_seq"]), block)
        if block.kind == RESTATEMENT:
            return of_restatement(seq, block)
        meta = block.meta
        sums = [totals.from_meta(kept) for kept in meta["totals"]]
        return of_sums(seq, meta["t0_ms"], meta["t1_ms"], meta["booked_ms"], sums)


def newest_scope(conn: sqlite3.Connection) -> Scope | None:
    """How the newest entries were booked; None when there are none."""
    row = conn.execute(
        "SELECT seq FROM record WHERE stream = ? AND kind = ? AND seq > ? ORDER BY seq DESC LIMIT 1",
        (STREAM, ENTRIES, pruned(conn).through),
    ).fetchone()
    if row is None:
        return None
    meta = read(conn, row[0]).meta
    with readable(row[0]):
        return Scope(meta["lenses"][0], ZoneInfo(meta["zone"]))
