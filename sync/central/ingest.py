"""One batch into the receiver's tables: judged, stored and marked in one transaction, or not at all."""

import logging
import time
from collections.abc import Iterable, Iterator
from itertools import chain, count, repeat
from typing import Any, Final

from sync.admission import admit
from sync.central.database import Database
from sync.central.rows import READERS, Columns, EntryColumns, IntervalColumns, RestatementColumns
from sync.central.schema import ROW_TABLES
from sync.errors import Forked, Malformed, Rejected
from sync.messages import GENESIS, NAME, Batch, Record
from sync.wire import decode_batch, decode_block

_REGISTER: Final = ("device", "register", "flow")
_LINE: Final = ("lens", "account", "method", "factor")

_Places = tuple[list[int], list[int]]
"""Begin and register of each row of a record of intervals."""

_log = logging.getLogger("huxi.central")


def take(db: Database, gateway: str, stream: str, packed: bytes) -> int:
    """See CentralStore.take; when this returns, the batch is committed."""
    try:
        batch = decode_batch(packed)
        if (batch.gateway, batch.stream) != (gateway, stream):
            raise Malformed(
                f"the batch is of gateway {batch.gateway}, stream {batch.stream}, and was posted to "
                f"gateway {gateway}, stream {stream}"
            )
        with db.transaction():
            _insert(db, batch)
    except Forked as error:
        _log.error("fork_refused gateway=%s stream=%s text=%s", gateway, stream, error)
        _note_fork(db, batch, str(error))
        raise
    except (Malformed, Rejected) as error:
        _log.warning("batch_refused gateway=%s stream=%s text=%s", gateway, stream, error)
        _note_refusal(db, gateway, stream, str(error))
        raise
    return batch.last_seq


def add_rows(db: Database, gateway: str, epoch_id: int, records: Iterable[Record]) -> None:
    """Add the rows of records of the stream "ledger", in the caller's transaction, with one call a table.

    Raises Rejected, before any row is added, for a record of a known kind that cannot be read.
    """
    read = list(_read(records))
    names = {name for _, found in read if not isinstance(found, EntryColumns) for name in found.registers}
    registers = _ids(db, gateway, "register", _REGISTER, names)
    names = {name for _, found in read if not isinstance(found, IntervalColumns) for name in found.lines}
    lines = _ids(db, gateway, "line", _LINE, names)
    places: dict[int, _Places] = {}
    tables: dict[str, list[tuple[list[int], Iterable[tuple[Any, ...]]]]] = {table: [] for table in ROW_TABLES}
    for seq, found in read:
        match found:
            case IntervalColumns():
                table, t0_ms = "interval", found.t0_ms
                register_ids = list(map(registers.__getitem__, found.registers))
                places[seq] = (t0_ms, register_ids)
                columns = _interval_columns(db, found, register_ids)
            case EntryColumns():
                source = found.intervals_seq
                if source not in places:
                    places[source] = _held_places(db, epoch_id, source)
                table, t0_ms, register_ids = "entry", *_placed(found, seq, places[source])
                columns = _entry_columns(db, found, register_ids, list(map(lines.__getitem__, found.lines)))
            case RestatementColumns():
                table, t0_ms = "restatement", found.t0_ms
                register_ids = list(map(registers.__getitem__, found.registers))
                columns = _restatement_columns(db, found, register_ids, list(map(lines.__getitem__, found.lines)))
        rows = zip(repeat(epoch_id), repeat(seq), count(), t0_ms, *columns, strict=False)
        tables[table].append((t0_ms, rows))
    for table, parts in tables.items():
        if parts:
            db.make_room(table, {t for t0_ms, _ in parts for t in t0_ms})
            db.append(table, chain.from_iterable(rows for _, rows in parts))


def _insert(db: Database, batch: Batch) -> None:
    epoch_id, mark, head = _stand(db, batch)

    def hash_at(seq: int) -> bytes | None:
        if seq == mark:
            return head
        found = db.execute(
            "SELECT hash FROM record WHERE epoch_id = ? AND stream = ? AND seq = ?", (epoch_id, batch.stream, seq)
        )
        return GENESIS if seq == 0 else found[0][0] if found else None

    new = admit(batch, acked_through=mark, hash_at=hash_at)
    if not new:
        return
    now_ms = _now_ms()
    if batch.stream == "ledger":
        add_rows(db, batch.gateway, epoch_id, (record for record, _ in new))
    db.make_room("record", [now_ms])
    db.append("record", ((epoch_id, r.stream, r.seq, r.kind, r.body, h, now_ms) for r, h in new))
    db.execute(
        "UPDATE stream SET acked_through = ?, hash = ?, received_ms = ? WHERE epoch_id = ? AND stream = ?",
        (batch.last_seq, batch.hash_after, now_ms, epoch_id, batch.stream),
    )


def _stand(db: Database, batch: Batch) -> tuple[int, int, bytes]:
    """Epoch id, mark and hash after it, held: whoever else brings records of this stream waits, and sees ours."""
    key = (batch.gateway, batch.epoch)
    ask = (
        "SELECT id, acked_through, hash FROM stream JOIN epoch ON id = epoch_id "
        f"WHERE gateway = ? AND epoch = ? AND stream = ?{db.words['hold']}"
    )
    found = db.execute(ask, (*key, batch.stream))
    if not found:
        db.execute("INSERT INTO epoch (gateway, epoch) VALUES (?, ?) ON CONFLICT DO NOTHING", key)
        ((epoch_id,),) = db.execute("SELECT id FROM epoch WHERE gateway = ? AND epoch = ?", key)
        db.execute(
            "INSERT INTO stream (epoch_id, stream, acked_through, hash, received_ms) VALUES (?, ?, 0, ?, ?) "
            "ON CONFLICT DO NOTHING",
            (epoch_id, batch.stream, GENESIS, _now_ms()),
        )
        found = db.execute(ask, (*key, batch.stream))
    ((epoch_id, mark, head),) = found
    return epoch_id, mark, head


def _read(records: Iterable[Record]) -> Iterator[tuple[int, Columns]]:
    """Columns of the records of known kinds, with their numbers."""
    for record in records:
        reader = READERS.get(record.kind)
        if reader is not None:
            try:
                yield record.seq, reader(decode_block(record.body))
            except Malformed as error:
                raise Rejected(f"record {record.seq}: {error}") from None


def _ids(
    db: Database, gateway: str, table: str, columns: tuple[str, ...], wanted: set[tuple[str, ...]]
) -> dict[tuple[str, ...], int]:
    """Ids of names of a gateway, made where they are missing."""
    ask = f"SELECT id, {', '.join(columns)} FROM {table} WHERE gateway = ?"
    ids = {tuple(name): number for number, *name in db.execute(ask, (gateway,))} if wanted else {}
    missing = sorted(wanted - ids.keys())  # in one order, so that two who add never wait for each other
    if not missing:
        return ids
    add = f"INSERT INTO {table} (gateway, {', '.join(columns)}) VALUES (?{', ?' * len(columns)}) ON CONFLICT DO NOTHING"
    for name in missing:
        db.execute(add, (gateway, *name))
    return {tuple(name): number for number, *name in db.execute(ask, (gateway,))}


def _held_places(db: Database, epoch_id: int, seq: int) -> _Places:
    held = db.execute(
        "SELECT t0_ms, register_id FROM interval WHERE epoch_id = ? AND seq = ? ORDER BY row", (epoch_id, seq)
    )
    return [t0_ms for t0_ms, _ in held], [register_id for _, register_id in held]


def _placed(found: EntryColumns, seq: int, places: _Places) -> _Places:
    """Begin and register of the interval of each entry."""
    t0_ms, register_ids = places
    rows = found.interval_row
    for row in (min(rows), max(rows)) if rows else ():
        if not 0 <= row < len(t0_ms):
            raise Rejected(
                f"record {seq}: an entry refers to row {row} of record {found.intervals_seq}, which is not there"
            )
    return list(map(t0_ms.__getitem__, rows)), list(map(register_ids.__getitem__, rows))


def _interval_columns(db: Database, found: IntervalColumns, register_ids: list[int]) -> tuple[Iterable[object], ...]:
    raw = (db.wide(found.raw_begin), db.wide(found.raw_end))
    return (
        found.t1_ms,
        register_ids,
        found.register_epoch,
        found.energy_mWh,
        *raw,
        found.quality,
        found.flags,
        found.kind,
    )


def _entry_columns(
    db: Database, found: EntryColumns, register_ids: list[int], line_ids: list[int]
) -> tuple[Iterable[object], ...]:
    amounts = (db.wide(found.emitted_ng), db.wide(found.baseline_ng))
    source = repeat(found.intervals_seq)
    return source, found.interval_row, register_ids, line_ids, *amounts, found.quality, found.flags


def _restatement_columns(
    db: Database, found: RestatementColumns, register_ids: list[int], line_ids: list[int]
) -> tuple[Iterable[object], ...]:
    amounts = (db.wide(found.emitted_ng), db.wide(found.baseline_ng))
    day = (found.t1_ms, repeat(found.day), register_ids, line_ids, found.kind, found.rows, found.energy_mWh)
    return *day, *amounts, found.quality, found.flags, found.hash


def _note_fork(db: Database, batch: Batch, text: str) -> None:
    with db.transaction():
        db.execute(
            "UPDATE stream SET fork = ?, fork_ms = ? WHERE stream = ? AND epoch_id = "
            "(SELECT id FROM epoch WHERE gateway = ? AND epoch = ?)",
            (text, _now_ms(), batch.stream, batch.gateway, batch.epoch),
        )


def _note_refusal(db: Database, gateway: str, stream: str, text: str) -> None:
    if not NAME.fullmatch(stream):  # of the address; the gateway's name has been judged by its token
        return
    with db.transaction():
        db.execute(
            "INSERT INTO refusal (gateway, stream, text, refused_ms) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (gateway, stream) DO UPDATE SET text = excluded.text, refused_ms = excluded.refused_ms",
            (gateway, stream, text, _now_ms()),
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
