"""One batch into the receiver's tables: judged, stored and marked in one transaction, or not at all."""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import Any

from sync.admission import admit
from sync.central import tombstones
from sync.central.database import Database
from sync.central.names import LINE, REGISTER, ids
from sync.central.rows import READERS, Columns, CoverageColumns, EntryColumns, IntervalColumns, RestatementColumns
from sync.errors import Forked, Malformed, Rejected
from sync.messages import GENESIS, NAME, Batch, Record
from sync.set_aside import REMAINDER, origin_of
from sync.wire import decode_blocks, read_batch

_log = logging.getLogger("huxi.central")


def take(db: Database, gateway: str, stream: str, packed: bytes) -> int:
    """See CentralStore.take; when this returns, the batch is committed."""
    try:
        batch, parsed = read_batch(packed)
        if (batch.gateway, batch.stream) != (gateway, stream):
            raise Malformed(
                f"the batch is of gateway {batch.gateway}, stream {batch.stream}, and was posted to "
                f"gateway {gateway}, stream {stream}"
            )
        with db.transaction():
            _insert(db, batch, parsed)
    except Forked as error:
        _log.error("fork_refused gateway=%s stream=%s text=%s", gateway, stream, error)
        _note_fork(db, batch, str(error))
        raise
    except (Malformed, Rejected) as error:
        _log.warning("batch_refused gateway=%s stream=%s text=%s", gateway, stream, error)
        _note_refusal(db, gateway, stream, str(error))
        raise
    return batch.last_seq


def add_rows(
    db: Database, gateway: str, epoch_id: int, records: Sequence[Record], parsed: Sequence[dict[str, Any]]
) -> None:
    """Add the rows of records of the stream "ledger", in the caller's transaction, with one call a table.

    `parsed` are their bodies as JSON. Raises Rejected for a record of a known kind that cannot be read; of one record
    nothing is added then.
    """
    pairs = list(zip(records, parsed, strict=True))
    found = _read([pair for pair in pairs if pair[0].kind in READERS])
    found += [part for record, value in pairs if record.kind == REMAINDER for part in _read_remainder(record, value)]
    found.sort(key=lambda part: not isinstance(part.columns, IntervalColumns))  # entries ask for their intervals
    all_columns = [part.columns for part in found]
    of_registers = {name for each in all_columns if not isinstance(each, EntryColumns) for name in each.registers}
    with_lines = (each for each in all_columns if isinstance(each, EntryColumns | RestatementColumns))
    of_lines = {name for each in with_lines for name in each.lines}
    registers = ids(db, gateway, "register", REGISTER, of_registers)
    lines = ids(db, gateway, "line", LINE, of_lines)
    places = _Places(db, epoch_id)
    for part in found:
        match part.columns:
            case IntervalColumns() as columns:
                table, t0_ms = "interval", columns.t0_ms
                register_ids = list(map(registers.__getitem__, columns.registers))
                places.take(part, columns, register_ids)
                cells = _interval_cells(db, columns, register_ids)
            case EntryColumns() as columns:
                rows = places.of(part, columns)
                table, t0_ms = "entry", list(map(places.t0_ms.__getitem__, rows))
                register_ids = list(map(places.register_ids.__getitem__, rows))
                sources = part.each(columns.intervals_seq)
                cells = _entry_cells(db, columns, sources, register_ids, list(map(lines.__getitem__, columns.lines)))
            case RestatementColumns() as columns:
                table, t0_ms = "restatement", columns.t0_ms
                register_ids = list(map(registers.__getitem__, columns.registers))
                cells = _restatement_cells(db, columns, register_ids, list(map(lines.__getitem__, columns.lines)))
            case CoverageColumns() as columns:
                _replace_coverage(db, columns, list(map(registers.__getitem__, columns.registers)))
                continue
        if part.is_remainder:
            _require_new(db, table, epoch_id, part)
        db.make_room(table, set(t0_ms))
        db.append(table, zip(repeat(epoch_id), part.each(part.seqs), part.numbers(), t0_ms, *cells, strict=False))


@dataclass(frozen=True, slots=True)
class _Part:
    """Records of one kind, read together, or one remainder."""

    seqs: list[int]
    counts: list[int]
    columns: Columns
    first_row: int = 0
    is_remainder: bool = False

    def each(self, values: list[int]) -> Iterator[int]:
        """The value of its record for each row."""
        return chain.from_iterable(map(repeat, values, self.counts))

    def numbers(self) -> Iterator[int]:
        """The number of each row within its record."""
        return chain.from_iterable(range(self.first_row, self.first_row + count) for count in self.counts)


class _Places:
    """Begin and register of rows of intervals, end to end, and where those of a record are."""

    def __init__(self, db: Database, epoch_id: int) -> None:
        self._db = db
        self._epoch_id = epoch_id
        self._where: dict[int, dict[int, int]] = {}
        """Place of each row of a record."""
        self.t0_ms: list[int] = []
        self.register_ids: list[int] = []

    def take(self, part: _Part, columns: IntervalColumns, register_ids: list[int]) -> None:
        """Records of intervals of the same batch; of remainders the database knows more."""
        if part.is_remainder:
            return
        begin = len(self.t0_ms)
        for seq, count in zip(part.seqs, part.counts, strict=True):
            self._where[seq] = dict(zip(range(count), range(begin, begin + count), strict=True))
            begin += count
        self.t0_ms += columns.t0_ms
        self.register_ids += register_ids

    def of(self, part: _Part, columns: EntryColumns) -> list[int]:
        """Where the interval of each entry is. Raises Rejected."""
        found: list[int] = []
        for seq, source, count in zip(part.seqs, columns.intervals_seq, part.counts, strict=True):
            rows = columns.interval_row[len(found) : len(found) + count]
            places = self._where[source] if source in self._where else self._ask(source)
            try:
                found += list(map(places.__getitem__, rows))
            except KeyError as row:
                raise Rejected(
                    f"record {seq}: an entry refers to row {row} of record {source}, which is not there"
                ) from None
        return found

    def _ask(self, seq: int) -> dict[int, int]:
        held = self._db.execute(
            "SELECT row, t0_ms, register_id FROM interval WHERE epoch_id = ? AND seq = ?", (self._epoch_id, seq)
        )
        self._where[seq] = {row: place for place, (row, _, _) in enumerate(held, len(self.t0_ms))}
        self.t0_ms += [t0_ms for _, t0_ms, _ in held]
        self.register_ids += [register_id for _, _, register_id in held]
        return self._where[seq]


def _require_new(db: Database, table: str, epoch_id: int, part: _Part) -> None:
    """Raises Rejected when a row of a remainder is held."""
    (seq,), (count,) = part.seqs, part.counts
    if db.execute(
        f"SELECT 1 FROM {table} WHERE epoch_id = ? AND seq = ? AND row >= ? AND row < ? LIMIT 1",
        (epoch_id, seq, part.first_row, part.first_row + count),
    ):
        raise Rejected(f"a remainder brings rows from {part.first_row} on of record {seq}, which are held")


def _insert(db: Database, batch: Batch, parsed: list[dict[str, Any]]) -> None:
    epoch_id, mark, head = _stand(db, batch)

    def hash_at(seq: int) -> bytes | None:
        if seq == mark:
            return head
        if seq == 0:
            return GENESIS
        found = db.execute(
            "SELECT hash FROM record WHERE epoch_id = ? AND stream = ? AND seq = ?", (epoch_id, batch.stream, seq)
        )
        return bytes(found[0][0]) if found else None  # inside a tombstone

    new = admit(batch, acked_through=mark, hash_at=hash_at)
    if not new:
        return
    now_ms = _now_ms()
    for record, _ in new:
        if record.tombstone is not None:
            tombstones.add(db, batch.gateway, epoch_id, record, record.first_seq, mark)
    if batch.stream == "ledger":  # after the tombstones, which look at what is held
        add_rows(db, batch.gateway, epoch_id, [record for record, _ in new], parsed[-len(new) :])
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


def _read(known: list[tuple[Record, dict[str, Any]]]) -> list[_Part]:
    """Records of known kinds, those that are alike together. Raises Rejected, naming the record."""
    try:
        return [
            _Part([known[place][0].seq for place in places], blocks.counts, READERS[blocks.kind](blocks))
            for places, blocks in decode_blocks([record.body for record, _ in known], [value for _, value in known])
        ]
    except Malformed as error:
        if len(known) == 1:
            raise Rejected(f"record {known[0][0].seq}: {error}") from None
    return [part for one in known for part in _read([one])]


def _read_remainder(record: Record, value: dict[str, Any]) -> list[_Part]:
    """One remainder, under the record that its rows come from; nothing of a kind that is not known. Raises Rejected."""
    try:
        ((_, blocks),) = decode_blocks([record.body], [value])
        origin = origin_of(blocks.metas[0], blocks.rows)
        if origin.seq >= record.seq:
            raise Malformed(f"a remainder of record {origin.seq} cannot come before or as that record")
        if origin.kind not in READERS:
            return []
        columns = READERS[origin.kind](replace(blocks, kind=origin.kind, metas=[origin.meta]))
        return [_Part([origin.seq], blocks.counts, columns, origin.first_row, is_remainder=True)]
    except Malformed as error:
        raise Rejected(f"record {record.seq}: {error}") from None


def _interval_cells(db: Database, found: IntervalColumns, register_ids: list[int]) -> tuple[Iterable[object], ...]:
    raw = (db.wide(found.raw_begin), db.wide(found.raw_end))
    energy = (found.t1_ms, register_ids, found.register_epoch, found.energy_mWh)
    return *energy, *raw, found.quality, found.flags, found.kind


def _entry_cells(
    db: Database, found: EntryColumns, sources: Iterable[int], register_ids: list[int], line_ids: list[int]
) -> tuple[Iterable[object], ...]:
    amounts = (db.wide(found.emitted_ng), db.wide(found.baseline_ng))
    return sources, found.interval_row, register_ids, line_ids, *amounts, found.quality, found.flags


def _restatement_cells(
    db: Database, found: RestatementColumns, register_ids: list[int], line_ids: list[int]
) -> tuple[Iterable[object], ...]:
    amounts = (db.wide(found.emitted_ng), db.wide(found.baseline_ng))
    day = (found.t1_ms, found.day, register_ids, line_ids, found.kind, found.rows, found.energy_mWh)
    return *day, *amounts, found.quality, found.flags, found.hash


def _replace_coverage(db: Database, found: CoverageColumns, register_ids: list[int]) -> None:
    """What is told later stands; the records themselves are the history."""
    told = dict(zip(register_ids, zip(found.state, found.since_ms, found.at_ms, strict=True), strict=True))
    for register_id, values in sorted(told.items()):
        db.execute(
            "INSERT INTO coverage (register_id, state, since_ms, at_ms) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (register_id) DO UPDATE SET "
            "state = excluded.state, since_ms = excluded.since_ms, at_ms = excluded.at_ms",
            (register_id, *values),
        )


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
