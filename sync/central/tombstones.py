"""Tombstones: records that never come, with what they would have added."""

from collections.abc import Iterator
from typing import NamedTuple

from sync.central.database import Database
from sync.central.names import REGISTER, ids
from sync.central.rows import tombstone_sums
from sync.errors import Malformed, Rejected
from sync.messages import NAME, Record
from sync.wire import decode_block


class _Key(NamedTuple):
    register_id: int
    lens: str
    account: str


class _Sum(NamedTuple):
    rows: int
    energy_mWh: int
    emitted_ng: int
    baseline_ng: int | None

    def minus(self, other: "_Sum") -> "_Sum":
        baseline_ng = None
        if self.baseline_ng is not None and other.baseline_ng is not None:
            baseline_ng = self.baseline_ng - other.baseline_ng
        return _Sum(
            self.rows - other.rows,
            self.energy_mWh - other.energy_mWh,
            self.emitted_ng - other.emitted_ng,
            baseline_ng,
        )


def add(db: Database, gateway: str, epoch_id: int, record: Record, first: int, acked_through: int) -> None:
    """Keep a tombstone of the records from `first` on.

    What it says of records up to the mark, which came after all, is taken off its sums. In the caller's
    transaction. Raises Rejected for one that cannot be read.
    """
    first_seq = max(first, acked_through + 1)
    try:
        meta = decode_block(record.body).meta
        found = tombstone_sums(meta)
        reason = meta.get("reason")
        if not isinstance(reason, str) or not NAME.fullmatch(reason):
            raise Malformed(f"a tombstone needs meta.reason, a word that matches {NAME.pattern}")
    except Malformed as error:
        raise Rejected(f"record {record.seq}: {error}") from None
    db.append("tombstone", [(epoch_id, record.stream, record.seq, first_seq, reason, int(found is not None))])
    if record.stream != "ledger":
        return
    registers = ids(db, gateway, "register", REGISTER, {each.register for each in found or ()})
    sums = {
        _Key(registers[each.register], each.lens, each.account): _Sum(
            each.rows, each.energy_mWh, each.emitted_ng, each.baseline_ng
        )
        for each in found or ()
    }
    if first_seq > first:
        for key, held in _held(db, epoch_id, first, acked_through):
            if key in sums:
                sums[key] = sums[key].minus(held)
        # Intervals whose entries do not come any more: the tombstone has their energy.
        db.execute(
            "DELETE FROM interval WHERE epoch_id = ? AND seq = ? "
            "AND NOT EXISTS (SELECT 1 FROM entry WHERE epoch_id = ? AND intervals_seq = ?)",
            (epoch_id, acked_through, epoch_id, acked_through),
        )
    amounts = [db.wide([str(each.energy_mWh), str(each.emitted_ng), _text(each.baseline_ng)]) for each in sums.values()]
    keys = zip(sums, sums.values(), amounts, strict=True)
    db.append("tombstone_sum", [(epoch_id, record.seq, *key, each.rows, *wide) for key, each, wide in keys])


def _held(db: Database, epoch_id: int, first: int, last: int) -> Iterator[tuple[_Key, _Sum]]:
    """What records of the ledger from first to last have added, by register, lens and account."""
    total = db.words["sum"]
    rows = db.execute(
        f"""
        WITH added AS (
            SELECT entry.register_id AS register_id, lens, account, 1 AS rows, energy_mWh, emitted_ng, baseline_ng
            FROM entry JOIN line ON line.id = line_id
                JOIN interval ON interval.epoch_id = entry.epoch_id AND interval.seq = intervals_seq
                AND interval.row = interval_row AND interval.t0_ms = entry.t0_ms
            WHERE entry.epoch_id = ? AND entry.seq BETWEEN ? AND ?
            UNION ALL
            SELECT register_id, lens, account, 1, energy_mWh, emitted_ng, baseline_ng
            FROM restatement JOIN line ON line.id = line_id WHERE epoch_id = ? AND seq BETWEEN ? AND ?
            UNION ALL
            SELECT register_id, lens, account, rows, energy_mWh, emitted_ng, baseline_ng
            FROM tombstone_sum WHERE epoch_id = ? AND seq BETWEEN ? AND ?
        )
        SELECT register_id, lens, account, sum(rows), {total}(energy_mWh), {total}(emitted_ng), {total}(baseline_ng)
        FROM added GROUP BY register_id, lens, account
        """,
        (epoch_id, first, last) * 3,
    )
    for number, lens, account, count, energy_mWh, emitted_ng, baseline_ng in rows:
        baseline = None if baseline_ng is None else int(baseline_ng)
        yield _Key(number, lens, account), _Sum(int(count), int(energy_mWh or 0), int(emitted_ng or 0), baseline)


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)
