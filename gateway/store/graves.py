"""Graves: what is sent in place of records that the receiver never gets."""

import sqlite3
from collections.abc import Iterator
from typing import Any, Final

from gateway.store import totals
from gateway.store.body import unpack
from gateway.store.errors import StoreError
from gateway.store.outbox import hash_after
from gateway.store.record import (
    ENTRIES,
    HEADER,
    INTERVALS,
    RESTATEMENT,
    SUMS_KNOWN,
    UNDELIVERED,
    UNKNOWN_HASH,
    decoded,
    first_seq,
    readable,
)
from gateway.store.totals import DayTotal, TotalKey
from sync.messages import GENESIS, TOMBSTONE, Record, Tombstone
from sync.wire import Block, encode_block

EARLIER_EPOCH: Final = "earlier_epoch"
"""Reason of the tombstone that an epoch begins with when its numbers go on from another's."""
MOST: Final = 1000
"""Headers that one tombstone stands for at most: what is sent must be made in little time."""


def records(conn: sqlite3.Connection, stream: str, first: int, last: int) -> Iterator[tuple[Record, bytes]]:
    """The records from first to last as they are sent, each with the chain hash after it; up to one that is missing.

    Raises StoreError for a header that cannot be read.
    """
    due, grave = first, _Grave(conn, stream, first)
    rows = conn.execute(
        "SELECT seq, kind, body, hash FROM record WHERE stream = ? AND seq BETWEEN ? AND ? ORDER BY seq",
        (stream, first, last),
    )
    for seq, kind, body, after in rows:
        if kind == HEADER:
            with readable(seq):
                begin, meta = first_seq(seq, body), decoded(body).meta
            if begin != due:
                break
            if not grave.takes(meta):
                yield grave.record()
                grave = _Grave(conn, stream, due)
            grave.add(seq, meta, after)
        elif grave.is_open(kind):
            grave.absorb(seq, kind, body, after)
        else:
            if grave.size:
                yield grave.record()
            if seq != due:
                return
            with readable(seq):
                record = Record(stream=stream, seq=seq, kind=kind, body=unpack(body))
            yield record, after
            grave = _Grave(conn, stream, seq + 1)
        due = seq + 1
    if grave.size:
        yield grave.record()


def of_epochs_before(stream: str, begin: int, hash_before: bytes) -> Record:
    """What an epoch begins with whose first record is `begin`."""
    return _stone(stream, 1, begin - 1, GENESIS, hash_before, {"reason": EARLIER_EPOCH, "sums": None})


class _Grave:
    """Headers that go into one tombstone."""

    def __init__(self, conn: sqlite3.Connection, stream: str, first: int) -> None:
        self.size = 0
        self._conn = conn
        self._stream = stream
        self._first = self._last = first
        self._reason = ""
        self._span_ms: tuple[int, int] = (0, 0)
        self._sums: dict[TotalKey, DayTotal] | None = {}
        self._after = b""
        self._intervals: Block | None = None

    def takes(self, meta: dict[str, Any]) -> bool:
        """False when the next header needs another tombstone."""
        is_whole = self._after != UNKNOWN_HASH and self.size >= MOST
        return not self.size or (not is_whole and self._reason == meta.get(UNDELIVERED))

    def is_open(self, kind: str) -> bool:
        """True while what comes next cannot be sent: no hash leads to it, or its intervals are in here."""
        return self.size > 0 and (self._after == UNKNOWN_HASH or (self._intervals is not None and kind == ENTRIES))

    def absorb(self, seq: int, kind: str, body: object, after: bytes) -> None:
        """Takes the next record itself in, of which only the sums are sent."""
        with readable(seq):
            block = decoded(body)
            found: list[DayTotal] = []
            if kind == ENTRIES and self._intervals is not None:
                found = totals.from_blocks(self._intervals, block)
            elif kind == RESTATEMENT:
                found = totals.from_restatement(block)
            if self._sums is not None:
                totals.merge(found, self._sums)
            self._intervals = block if kind == INTERVALS else None
        self.size += 1
        self._last, self._after = seq, after

    def add(self, seq: int, meta: dict[str, Any], after: bytes) -> None:
        """Takes the next header in."""
        with readable(seq):
            if UNDELIVERED not in meta:
                raise StoreError(f"record {seq} of stream {self._stream} was pruned and is to be sent again")
            if not meta.get(SUMS_KNOWN, True):
                self._sums = None
            if self._sums is not None:
                totals.merge((totals.from_meta(kept) for kept in meta["totals"]), self._sums)
            t0_ms, t1_ms = self._span_ms if self.size else (meta["t0_ms"], meta["t1_ms"])
            self._span_ms = min(t0_ms, meta["t0_ms"]), max(t1_ms, meta["t1_ms"])
            self._reason = meta[UNDELIVERED]
        self.size += 1
        self._last, self._after = seq, after

    def record(self) -> tuple[Record, bytes]:
        """The tombstone, and the hash after it."""
        sums = None
        if self._sums is not None:
            sums = [totals.as_json(total) | {"lens": total.lens} for total in totals.by_register(self._sums.values())]
        meta = {"reason": self._reason, "sums": sums, "t0_ms": self._span_ms[0], "t1_ms": self._span_ms[1]}
        before = hash_after(self._conn, self._stream, self._first - 1)
        return _stone(self._stream, self._first, self._last, before, self._after, meta), self._after


def _stone(stream: str, first: int, last: int, before: bytes, after: bytes, meta: dict[str, Any]) -> Record:
    numbers = {"first_seq": first, "last_seq": last, "hash_before": before.hex(), "hash_after": after.hex()}
    return Record(
        stream=stream,
        seq=last,
        kind=TOMBSTONE,
        body=encode_block(TOMBSTONE, meta | numbers, {}),
        tombstone=Tombstone(first_seq=first, hash_before=before, hash_after=after),
    )
