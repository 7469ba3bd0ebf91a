"""Delivery: what the forwarder sees of the store."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.store import outbox, set_aside
from gateway.store.database import Store
from gateway.store.errors import StoreError
from gateway.store.outbox import STREAMS, head
from gateway.store.record import STREAM, pruned
from sync.errors import OutboxFailed
from sync.messages import GENESIS, Batch, Record
from sync.wire import MAX_RECORDS


class StoreOutbox:
    """What the forwarder sees of the store (`sync.outbox.Outbox`)."""

    def __init__(self, store: Store, gateway: str) -> None:
        self._store = store
        self._gateway = gateway

    @property
    def gateway(self) -> str:
        """Id of this gateway."""
        return self._gateway

    @property
    def epoch(self) -> str:
        """The epoch of what is sent."""
        return self._store.epoch

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

    async def hash_after(self, stream: str, seq: int) -> bytes | None:
        """Chain hash after a record, None when it is not here."""
        with _translated():
            return await self._store.read(_known_hash, stream, seq)

    async def set_aside(self, stream: str, seq: int, reason: str) -> bool:
        """See `set_aside.put`, in a transaction of its own."""
        with _translated():
            return await self._store.run(set_aside.put, stream, seq, reason, time.time_ns() // 1_000_000)

    async def spent(self) -> tuple[str, int]:
        """The day of the byte budget that was noted last, and what was spent in it; ("", 0) at first."""
        with _translated():
            return await self._store.read(_spent)

    async def note_spent(self, day: str, spent_bytes: int) -> None:
        """Notes what was spent of a day's byte budget."""
        with _translated():
            await self._store.run(_note_spent, day, spent_bytes)

    def _pending(self, conn: sqlite3.Connection, stream: str, max_bytes: int) -> Batch | None:
        at = head(conn, stream)
        if at.acked_through == at.seq:
            return None
        first_seq = at.acked_through + 1
        rows = conn.execute(
            "SELECT seq, kind, body, hash FROM record WHERE stream = ? AND seq >= ? ORDER BY seq LIMIT ?",
            (stream, first_seq, MAX_RECORDS),
        )
        records: list[tuple[Record, bytes]] = []
        size = 0
        for seq, kind, body, after in rows:
            if seq != first_seq + len(records):
                break
            size += len(body)
            if records and size > max_bytes:
                break
            records.append((Record(stream=stream, seq=seq, kind=kind, body=body), after))
        if not records:
            raise StoreError(f"record {first_seq} of stream {stream} is missing; run `huxi ledger verify`")
        hash_before = outbox.hash_after(conn, stream, at.acked_through)
        return Batch(
            gateway=self._gateway,
            epoch=self._store.epoch,
            stream=stream,
            first_seq=first_seq,
            hash_before=hash_before,
            hash_after=records[-1][1],
            records=tuple(set_aside.as_sent(conn, stream, hash_before, records)),
        )


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of the store become the outbox's, which pause the forwarder."""
    try:
        yield
    except StoreError as error:
        raise OutboxFailed(str(error)) from error


def _move_mark(conn: sqlite3.Connection, stream: str, acked_through: int, up: bool) -> None:
    at = head(conn, stream)
    if not 0 <= acked_through <= at.seq:
        raise StoreError(
            f"the receiver claims record {acked_through} of stream {stream}, which ends at {at.seq}; "
            "another gateway may use this id, or an old copy of this card is running"
        )
    kept_from = pruned(conn).through if stream == STREAM else 0
    if acked_through < kept_from and not up:
        raise StoreError(
            f"the receiver has lost records from {acked_through + 1} on of stream {stream}, which it had acknowledged; "
            f"here they are pruned through {kept_from}: restore the receiver's own copy of them"
        )
    if (acked_through > at.acked_through) == up:
        conn.execute("UPDATE mark SET acked_through = ? WHERE stream = ?", (acked_through, stream))


def _known_hash(conn: sqlite3.Connection, stream: str, seq: int) -> bytes | None:
    if seq == 0:
        return GENESIS
    row = conn.execute("SELECT hash FROM record WHERE stream = ? AND seq = ?", (stream, seq)).fetchone()
    return bytes(row[0]) if row else None


def _spent(conn: sqlite3.Connection) -> tuple[str, int]:
    row = conn.execute("SELECT value FROM meta WHERE key = 'spent'").fetchone()
    day, _, spent_bytes = row[0].partition(" ") if row else ("", "", "0")
    return day, int(spent_bytes)


def _note_spent(conn: sqlite3.Connection, day: str, spent_bytes: int) -> None:
    conn.execute("INSERT OR REPLACE INTO meta VALUES ('spent', ?)", (f"{day} {spent_bytes}",))
