"""Tombstones: records that never come, with what they would have added."""

import sqlite3
from collections.abc import Iterator
from typing import Any, NamedTuple

from sync.central.register import register_id
from sync.central.rows import tombstone_sums
from sync.errors import Malformed, Rejected
from sync.messages import Record
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


def insert(conn: sqlite3.Connection, gateway: str, epoch_id: int, record: Record, acked_through: int) -> None:
    """Keep a tombstone; what it says of records up to the mark, which came after all, is taken off its sums.

    Raises Rejected for one that cannot be read.
    """
    assert record.tombstone is not None
    first_seq = max(record.tombstone.first_seq, acked_through + 1)
    try:
        meta = decode_block(record.body).meta
        found = tombstone_sums(meta)
    except Malformed as error:
        raise Rejected(f"record {record.seq}: {error}") from None
    conn.execute(
        "INSERT INTO tombstone VALUES (?, ?, ?, ?, ?, ?)",
        (epoch_id, record.stream, record.seq, first_seq, str(meta.get("reason")), found is not None),
    )
    sums: dict[_Key, _Sum] = {}
    for row in found or ():
        key = _Key(register_id(conn, gateway, row.register), row.lens, row.account)
        sums[key] = _Sum(row.rows, row.energy_mWh, row.emitted_ng, row.baseline_ng)
    if first_seq > record.tombstone.first_seq and record.stream == "ledger":
        for key, held in _held(conn, epoch_id, record.tombstone.first_seq, acked_through):
            if key in sums:
                sums[key] = sums[key].minus(held)
        # Intervals whose entries do not come any more: the tombstone has their energy.
        conn.execute(
            "DELETE FROM interval WHERE epoch_id = ?1 AND seq = ?2 "
            "AND NOT EXISTS (SELECT 1 FROM entry WHERE epoch_id = ?1 AND intervals_seq = ?2)",
            (epoch_id, acked_through),
        )
    conn.executemany(
        "INSERT INTO tombstone_sum VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (epoch_id, record.seq, *key, rows, energy_mWh, str(emitted_ng), _text(baseline_ng))
            for key, (rows, energy_mWh, emitted_ng, baseline_ng) in sums.items()
        ),
    )


def _held(conn: sqlite3.Connection, epoch_id: int, first: int, last: int) -> Iterator[tuple[_Key, _Sum]]:
    """What records of the ledger from first to last have added, by register, lens and account."""
    rows: list[tuple[Any, ...]] = conn.execute(
        """
        WITH added AS (
            SELECT entry.register_id AS register_id, lens, account, 1 AS rows, energy_mWh, emitted_ng, baseline_ng
            FROM entry JOIN interval ON interval.epoch_id = entry.epoch_id AND interval.seq = intervals_seq
                AND interval.row = interval_row
            WHERE entry.epoch_id = ?1 AND entry.seq BETWEEN ?2 AND ?3
            UNION ALL
            SELECT register_id, lens, account, 1, energy_mWh, emitted_ng, baseline_ng
            FROM restatement WHERE epoch_id = ?1 AND seq BETWEEN ?2 AND ?3
            UNION ALL
            SELECT register_id, lens, account, rows, energy_mWh, emitted_ng, baseline_ng
            FROM tombstone_sum WHERE epoch_id = ?1 AND seq BETWEEN ?2 AND ?3
        )
        SELECT register_id, lens, account, sum(rows), sum(energy_mWh), whole_sum(emitted_ng), whole_sum(baseline_ng)
        FROM added GROUP BY register_id, lens, account
        """,
        (epoch_id, first, last),
    ).fetchall()
    for number, lens, account, count, energy_mWh, emitted_ng, baseline_ng in rows:
        baseline = None if baseline_ng is None else int(baseline_ng)
        yield _Key(number, lens, account), _Sum(count, energy_mWh or 0, int(emitted_ng or 0), baseline)


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)
