"""Delivery: what the forwarder sees of the store."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from gateway.store import epochs, graves, outbox, set_aside
from gateway.store.database import Store
from gateway.store.errors import StoreError
from gateway.store.outbox import STREAMS, head
from gateway.store.record import HEADER, STREAM, UNDELIVERED, decoded, pruned
from sync.errors import OutboxFailed
from sync.messages import GENESIS, Batch, Record
from sync.wire import MAX_RECORDS


class StoreOutbox:
    """What the forwarder sees of the store (`sync.outbox.Outbox`)."""

    def __init__(self, store: Store, gateway: str) -> None:
        self._store = store
        self._gateway = gateway
        self._offered: dict[str, int] = {}
        """Of each stream the first record of the epoch whose begin was given out last."""
        self._begun: dict[str, int] = {}
        """The same once the receiver knows of it."""

    @property
    def gateway(self) -> str:
        """Id of this gateway."""
        return self._gateway

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
        if self._offered.get(stream) == acked_through + 1:
            self._begun[stream] = acked_through + 1

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
        epoch, begin, end = epochs.of_record(epochs.load(conn), stream, first_seq)
        before = outbox.hash_after(conn, stream, at.acked_through)
        if first_seq == begin > 1 and self._begun.get(stream) != begin:
            self._offered[stream] = begin
            # The records before are another epoch's. Alone, so that nothing that is wrong with the next can touch it.
            return self._batch(epoch, [graves.of_epochs_before(stream, begin, before)], GENESIS, before)
        self._offered.pop(stream, None)
        records: list[tuple[Record, bytes]] = []
        size = 0
        for record, hash_after in graves.records(conn, stream, first_seq, at.seq if end is None else end):
            size += len(record.body)
            if records and (size > max_bytes or len(records) == MAX_RECORDS):
                break
            records.append((record, hash_after))
        if not records:
            raise StoreError(f"record {first_seq} of stream {stream} is missing; run `huxi ledger verify`")
        return self._batch(epoch, list(set_aside.as_sent(conn, stream, before, records)), before, records[-1][1])

    def _batch(self, epoch: str, records: Sequence[Record], before: bytes, after: bytes) -> Batch:
        return Batch(
            gateway=self._gateway,
            epoch=epoch,
            stream=records[0].stream,
            first_seq=records[0].first_seq,
            hash_before=before,
            hash_after=after,
            records=tuple(records),
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
    kept_from = 0 if up or stream != STREAM else _pruned_after(conn, acked_through)
    if acked_through < kept_from:
        raise StoreError(
            f"the receiver has lost records from {acked_through + 1} on of stream {stream}, which it had acknowledged; "
            f"here they are pruned through {kept_from}: restore the receiver's own copy of them"
        )
    if (acked_through > at.acked_through) == up:
        conn.execute("UPDATE mark SET acked_through = ? WHERE stream = ?", (acked_through, stream))


def _pruned_after(conn: sqlite3.Connection, seq: int) -> int:
    """The last record after `seq` that was delivered and pruned; 0 when there is none."""
    rows = conn.execute(
        "SELECT seq, body FROM record WHERE stream = ? AND kind = ? AND seq > ? AND seq <= ? ORDER BY seq DESC",
        (STREAM, HEADER, seq, pruned(conn).through),
    )
    with closing(rows):
        return next((found for found, body in rows if UNDELIVERED not in decoded(body).meta), 0)


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
