"""The chained streams of records: the ledger's storage and the outbox of sync are one table."""

import sqlite3
from dataclasses import dataclass
from typing import Final

from gateway.store.body import pack
from gateway.store.errors import StoreError
from gateway.store.record import STREAM as LEDGER
from sync.messages import GENESIS, chain

STREAMS: Final = ("events", LEDGER)
"""All streams, the most urgent first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a stream stands."""

    acked_through: int
    """Last record that the receiver holds, 0 when none."""
    seq: int
    """Last record, 0 when none."""
    hash: bytes
    """Chain hash after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BufferStats:
    """What the store holds."""

    records: int
    """Records of all streams."""
    backlog_records: int
    """Those of them that the receiver has not acknowledged."""
    bytes: int
    """Size of the database file."""
    oldest_unsent_ms: int | None
    """Begin of the oldest record that waits, None when none does."""


NO_STATS: Final = BufferStats(records=0, backlog_records=0, bytes=0, oldest_unsent_ms=None)
"""What is known before the first look."""


def append(conn: sqlite3.Connection, stream: str, kind: str, t0_ms: int, t1_ms: int, body: bytes) -> int:
    """Chains a record to the end of a stream, in the caller's transaction; returns its sequence number."""
    before = head(conn, stream)
    seq = before.seq + 1
    after = chain(before.hash, seq, body)
    conn.execute(
        "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?)", (stream, seq, kind, t0_ms, t1_ms, pack(body), after)
    )
    conn.execute("INSERT OR REPLACE INTO mark VALUES (?, ?, ?, ?)", (stream, before.acked_through, seq, after))
    return seq


def head(conn: sqlite3.Connection, stream: str) -> Head:
    """Where a stream stands; an unused stream stands at its genesis."""
    row = conn.execute("SELECT acked_through, head_seq, head_hash FROM mark WHERE stream = ?", (stream,)).fetchone()
    acked_through, seq, after = row or (0, 0, GENESIS)
    return Head(acked_through=acked_through, seq=seq, hash=after)


def stats(conn: sqlite3.Connection) -> BufferStats:
    """Sizes, without a walk over the records."""
    heads = {stream: head(conn, stream) for stream in STREAMS}
    waiting = [
        conn.execute(
            "SELECT t0_ms FROM record WHERE stream = ? AND seq > ? ORDER BY seq LIMIT 1", (stream, at.acked_through)
        ).fetchone()
        for stream, at in heads.items()
        if at.acked_through < at.seq
    ]
    ((pages,), (page_bytes,)) = (conn.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
    return BufferStats(
        records=sum(at.seq for at in heads.values()),
        backlog_records=sum(at.seq - at.acked_through for at in heads.values()),
        bytes=pages * page_bytes,
        oldest_unsent_ms=min((t0_ms for (t0_ms,) in waiting), default=None),
    )


def hash_after(conn: sqlite3.Connection, stream: str, seq: int) -> bytes:
    """The chain hash after a record, GENESIS for 0. Raises StoreError when the record is missing."""
    if seq == 0:
        return GENESIS
    row = conn.execute("SELECT hash FROM record WHERE stream = ? AND seq = ?", (stream, seq)).fetchone()
    if row is None:
        raise StoreError(f"record {seq} of stream {stream} is missing; run `huxi ledger verify`")
    found: bytes = row[0]
    return found
