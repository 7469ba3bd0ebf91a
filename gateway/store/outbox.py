"""The chained streams of records: the ledger's storage and the outbox of sync are one table."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from gateway.store.body import pack, unpack
from gateway.store.database import Store
from gateway.store.errors import StoreError
from gateway.store.record import STREAM as LEDGER
from gateway.store.record import pruned
from sync.errors import Malformed, OutboxFailed
from sync.messages import GENESIS, Batch, Record, chain
from sync.wire import MAX_RECORDS

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
        conn.execute("SELECT t0_ms FROM record WHERE stream = ? AND seq = ?", (stream, at.acked_through + 1)).fetchone()
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


class StoreOutbox:
    """What the forwarder sees of the store (`sync.outbox.Outbox`)."""

    def __init__(self, store: Store, gateway: str) -> None:
        self._store = store
        self._gateway = gateway

    @property
    def streams(self) -> tuple[str, ...]:
        """All streams, the most urgent first."""
        return STREAMS

    async def pending(self, stream: str, max_bytes: int) -> Batch | None:
        """The oldest unsettled records: as many as fit `max_bytes` of bodies, at least one; None without any.

        Raises OutboxFailed when records that should be there are not.
        """
        with _translated():
            return await self._store.read(self._pending, stream, max_bytes)

    async def settle(self, stream: str, acked_through: int) -> None:
        """Moves the mark up, never down. Raises OutboxFailed for a record that was never written."""
        with _translated():
            await self._store.run(_move_mark, stream, acked_through, True)

    async def rewind(self, stream: str, acked_through: int) -> None:
        """Moves the mark down, never up: the receiver lost what came after it.

        Raises OutboxFailed where some of that was pruned: a header is never sent.
        """
        with _translated():
            await self._store.run(_move_mark, stream, acked_through, False)

    async def mark(self, stream: str) -> int:
        """Last settled record, 0 when none."""
        with _translated():
            return (await self._store.read(head, stream)).acked_through

    def _pending(self, conn: sqlite3.Connection, stream: str, max_bytes: int) -> Batch | None:
        at = head(conn, stream)
        if at.acked_through == at.seq:
            return None
        first_seq = at.acked_through + 1
        rows = conn.execute(
            "SELECT seq, kind, body, hash FROM record WHERE stream = ? AND seq >= ? ORDER BY seq LIMIT ?",
            (stream, first_seq, MAX_RECORDS),
        )
        records: list[Record] = []
        hash_after = b""
        size = 0
        for seq, kind, stored, after in rows:
            if seq != first_seq + len(records):
                break
            body = _body(stream, seq, stored)
            size += len(body)
            if records and size > max_bytes:
                break
            records.append(Record(stream=stream, seq=seq, kind=kind, body=body))
            hash_after = after
        if not records:
            raise StoreError(f"record {first_seq} of stream {stream} is missing; run `huxi ledger verify`")
        return Batch(
            gateway=self._gateway,
            epoch=self._store.epoch,
            stream=stream,
            first_seq=first_seq,
            hash_before=_hash_after(conn, stream, at.acked_through),
            hash_after=hash_after,
            records=tuple(records),
        )


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of the store become the outbox's, which pause the forwarder."""
    try:
        yield
    except StoreError as error:
        raise OutboxFailed(str(error)) from error


def _body(stream: str, seq: int, stored: object) -> bytes:
    try:
        return unpack(stored)
    except Malformed as error:
        raise StoreError(
            f"record {seq} of stream {stream} cannot be sent ({error}); run `huxi ledger verify`"
        ) from error


def _move_mark(conn: sqlite3.Connection, stream: str, acked_through: int, up: bool) -> None:
    at = head(conn, stream)
    if not 0 <= acked_through <= at.seq:
        raise StoreError(
            f"the receiver claims record {acked_through} of stream {stream}, which ends at {at.seq}; "
            "another gateway may use this id, or an old copy of this card is running"
        )
    kept_from = pruned(conn).through if stream == LEDGER else 0
    if acked_through < kept_from and not up:
        raise StoreError(
            f"the receiver has lost records from {acked_through + 1} on of stream {stream}, which it had acknowledged; "
            f"here they are pruned through {kept_from}: restore the receiver's own copy of them"
        )
    if (acked_through > at.acked_through) == up:
        conn.execute("UPDATE mark SET acked_through = ? WHERE stream = ?", (acked_through, stream))


def _hash_after(conn: sqlite3.Connection, stream: str, seq: int) -> bytes:
    if seq == 0:
        return GENESIS
    row = conn.execute("SELECT hash FROM record WHERE stream = ? AND seq = ?", (stream, seq)).fetchone()
    if row is None:
        raise StoreError(f"record {seq} of stream {stream} is missing; run `huxi ledger verify`")
    found: bytes = row[0]
    return found
