"""One batch into the receiver's tables: judged, stored and marked in one transaction, or not at all."""

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sync.admission import admit
from sync.central import tombstones
from sync.central.register import register_id
from sync.central.rows import entry_rows, interval_rows, intervals_seq, restatement_rows
from sync.errors import Forked, Malformed, Rejected
from sync.messages import GENESIS, Batch, Record
from sync.set_aside import REMAINDER, whole
from sync.wire import Block, decode_batch, decode_block

_log = logging.getLogger("huxi.central")


def take(conn: sqlite3.Connection, gateway: str, stream: str, packed: bytes) -> int:
    """See CentralStore.take; when this returns, the batch is committed."""
    batch = decode_batch(packed)
    if (batch.gateway, batch.stream) != (gateway, stream):
        raise Malformed(
            f"the batch is of gateway {batch.gateway}, stream {batch.stream}, and was posted to "
            f"gateway {gateway}, stream {stream}"
        )
    try:
        with _transaction(conn):
            _insert(conn, batch)
    except Forked as error:
        _log.error("fork_refused gateway=%s stream=%s text=%s", gateway, stream, error)
        _note_fork(conn, batch, str(error))
        raise
    return batch.last_seq


def take_up(conn: sqlite3.Connection, kind: str) -> None:
    """Make the rows of all records of a kind that came before it was known, in the caller's transaction."""
    held = conn.execute(
        "SELECT gateway, epoch_id, seq, body FROM record JOIN epoch ON id = epoch_id "
        "WHERE stream = 'ledger' AND kind = ? ORDER BY epoch_id, seq",
        (kind,),
    ).fetchall()
    for gateway, epoch_id, seq, body in held:
        try:
            _insert_rows(conn, gateway, epoch_id, Record(stream="ledger", seq=seq, kind=kind, body=body))
        except Rejected as error:  # it was acknowledged: its bytes stay, and somebody has to look
            _log.error("held_record_unreadable gateway=%s text=%s", gateway, error)


@contextmanager
def _transaction(conn: sqlite3.Connection) -> Iterator[None]:
    conn.execute("BEGIN IMMEDIATE")
    try:
        yield
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise


def _insert(conn: sqlite3.Connection, batch: Batch) -> None:
    epoch_id = _epoch_id(conn, batch.gateway, batch.epoch)
    mark = conn.execute(
        "SELECT acked_through FROM stream WHERE epoch_id = ? AND stream = ?", (epoch_id, batch.stream)
    ).fetchone()

    def hash_at(seq: int) -> bytes | None:
        if seq == 0:
            return GENESIS
        found: tuple[bytes] | None = conn.execute(
            "SELECT hash FROM record WHERE epoch_id = ? AND stream = ? AND seq = ?",
            (epoch_id, batch.stream, seq),
        ).fetchone()
        return None if found is None else found[0]

    acked_through = mark[0] if mark else 0
    new = admit(batch, acked_through=acked_through, hash_at=hash_at)
    if not new:
        return
    conn.executemany(
        "INSERT INTO record (epoch_id, stream, seq, kind, body, hash) VALUES (?, ?, ?, ?, ?, ?)",
        ((epoch_id, r.stream, r.seq, r.kind, r.body, h) for r, h in new),
    )
    for record, _ in new:
        if record.tombstone is None:
            _insert_rows(conn, batch.gateway, epoch_id, record)
        else:
            tombstones.insert(conn, batch.gateway, epoch_id, record, acked_through)
    conn.execute(
        "INSERT INTO stream (epoch_id, stream, acked_through, hash, received_ms) VALUES (?1, ?2, ?3, ?4, ?5) "
        "ON CONFLICT DO UPDATE SET acked_through = ?3, hash = ?4, received_ms = ?5",
        (epoch_id, batch.stream, batch.last_seq, batch.hash_after, _now_ms()),
    )


def _epoch_id(conn: sqlite3.Connection, gateway: str, epoch: str) -> int:
    conn.execute("INSERT INTO epoch (gateway, epoch) VALUES (?, ?) ON CONFLICT DO NOTHING", (gateway, epoch))
    row: tuple[int] = conn.execute("SELECT id FROM epoch WHERE gateway = ? AND epoch = ?", (gateway, epoch)).fetchone()
    return row[0]


def _insert_rows(conn: sqlite3.Connection, gateway: str, epoch_id: int, record: Record) -> None:
    """Rows of the kinds known here; any other kind is kept as its bytes only."""
    if record.stream != "ledger":
        return
    try:
        if record.kind not in ("intervals", "entries", "restatement", REMAINDER):
            return
        block, of_seq, first_row = whole(decode_block(record.body))
        seq = record.seq if of_seq is None else of_seq
        if block.kind == "intervals":
            _insert_intervals(conn, gateway, epoch_id, seq, first_row, block)
        elif block.kind == "entries":
            _insert_entries(conn, epoch_id, seq, first_row, block)
        elif block.kind == "restatement":
            _insert_restatement(conn, gateway, epoch_id, seq, first_row, block)
    except Malformed as error:
        raise Rejected(f"record {record.seq}: {error}") from None


def _insert_intervals(
    conn: sqlite3.Connection, gateway: str, epoch_id: int, seq: int, first_row: int, block: Block
) -> None:
    rows = interval_rows(block)
    ids = {register: register_id(conn, gateway, register) for register in {row.register for row in rows}}
    conn.executemany(
        "INSERT INTO interval VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((epoch_id, seq, position, ids[row.register], *row[1:]) for position, row in enumerate(rows, first_row)),
    )


def _insert_entries(conn: sqlite3.Connection, epoch_id: int, seq: int, first_row: int, block: Block) -> None:
    source = intervals_seq(block)
    registers = dict(
        conn.execute("SELECT row, register_id FROM interval WHERE epoch_id = ? AND seq = ?", (epoch_id, source))
    )
    rows = entry_rows(block)
    for row in rows:
        if row.interval_row not in registers:
            raise Malformed(f"an entry refers to row {row.interval_row} of record {source}, which is not there")
    conn.executemany(
        "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (epoch_id, seq, position, source, row.interval_row, registers[row.interval_row], *row[1:])
            for position, row in enumerate(rows, first_row)
        ),
    )


def _insert_restatement(
    conn: sqlite3.Connection, gateway: str, epoch_id: int, seq: int, first_row: int, block: Block
) -> None:
    rows = restatement_rows(block)
    ids = {register: register_id(conn, gateway, register) for register in {row.register for row in rows}}
    conn.executemany(
        "INSERT INTO restatement VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (epoch_id, seq, position, row.day, ids[row.register], *row[2:])
            for position, row in enumerate(rows, first_row)
        ),
    )


def _note_fork(conn: sqlite3.Connection, batch: Batch, text: str) -> None:
    conn.execute(
        "UPDATE stream SET fork = ?, fork_ms = ? WHERE stream = ? AND epoch_id = "
        "(SELECT id FROM epoch WHERE gateway = ? AND epoch = ?)",
        (text, _now_ms(), batch.stream, batch.gateway, batch.epoch),
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
