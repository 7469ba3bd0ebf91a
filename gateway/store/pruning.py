"""Pruning and eviction: old records shrink to headers; sums and chain hashes stay.

Pruned is what the receiver holds. Evicted is what it never gets, because there is no room to keep it until it comes
back; a tombstone will tell it of that, with the sums.

The sums of all records that were booked on one day of the site lie in one header, the first of that day: beside
every small record they would take more room than its rows did.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from gateway.store import outbox, totals
from gateway.store.body import pack, unpack
from gateway.store.errors import StoreError
from gateway.store.record import (
    ENTRIES,
    EVICTED,
    HEADER,
    INTERVALS,
    RESTATEMENT,
    STREAM,
    UNDELIVERED,
    Pruned,
    follows,
    pruned,
    read,
    readable,
)
from gateway.store.site_day import day_of
from gateway.store.totals import DayTotal, TotalKey
from sync.messages import GENESIS
from sync.wire import Block, decode_block, encode_block

LEAST: Final = 2
"""Fewest records a step can take: intervals and their entries go together."""


def prune(conn: sqlite3.Connection, older_than_ms: int, limit: int) -> int:
    """Shrinks at most `limit` records (LEAST or more), the oldest first, in the caller's transaction.

    Those go that the receiver has acknowledged and whose rows end before `older_than_ms`. Returns how many they
    were. Raises StoreError for a record that does not match its hash: damage is not to be covered up.
    """
    return _shrink(conn, older_than_ms, limit, outbox.head(conn, STREAM).acked_through)


def evict(conn: sqlite3.Connection, older_than_ms: int, limit: int) -> int:
    """As `prune`, whether the receiver has the records or not."""
    return _shrink(conn, older_than_ms, limit, outbox.head(conn, STREAM).seq)


def _shrink(conn: sqlite3.Connection, older_than_ms: int, limit: int, last: int) -> int:
    at = pruned(conn)
    acked_through = outbox.head(conn, STREAM).acked_through
    sums = _Sums.load(conn, at.sums_in) if at.sums_in else None
    count = 0
    for group in _groups(conn, at.through, older_than_ms, limit, last):
        seq = group[-1].seq
        booking = _booking(group)
        joins = sums is not None and sums.takes(booking, seq, acked_through)
        if booking is not None and not joins:
            if sums is not None:
                sums.save(conn)
            sums = _Sums(seq=seq, header=_header(group[-1], booking.booked_ms, acked_through))
        for record in group:
            if record.block.kind != HEADER and (sums is None or record.seq != sums.seq):
                booked_ms = booking.booked_ms if booking else record.t1_ms
                _replace(conn, record.seq, _header(record, booked_ms, acked_through))
        if booking is not None and sums is not None:
            sums.take(group[-1], booking)
        if seq > acked_through and sums is not None and (joins or booking is not None):
            sums.swallow(conn, group)
        count += len(group)
        at = Pruned(seq, sums.seq if sums else 0)
    if count:
        if sums is not None:
            sums.save(conn)
        conn.execute("INSERT OR REPLACE INTO meta VALUES ('pruned', ?)", (f"{at.through} {at.sums_in}",))
    return count


class _Record(NamedTuple):
    seq: int
    t0_ms: int
    t1_ms: int
    body: bytes
    block: Block


class _Booking(NamedTuple):
    """What a record adds to the sums."""

    booked_ms: int
    zone: ZoneInfo
    sums: list[DayTotal]


@dataclass(slots=True, kw_only=True)
class _Sums:
    """The header that holds the sums of one day's bookings."""

    seq: int
    header: dict[str, Any]
    by_key: dict[TotalKey, DayTotal] = field(default_factory=dict)

    @classmethod
    def load(cls, conn: sqlite3.Connection, seq: int) -> "_Sums":
        header = read(conn, seq).meta
        kept = [totals.from_meta(total) for total in header["totals"]]
        return cls(seq=seq, header=header, by_key={total.key: total for total in kept})

    def takes(self, booking: _Booking | None, seq: int, acked_through: int) -> bool:
        """False for another day, and where what the receiver was told would come together with what it was not."""
        is_old = seq <= acked_through
        is_alike = is_old == (self.seq <= acked_through) and is_old == (UNDELIVERED not in self.header)
        if booking is None or not is_alike:
            return is_alike
        return day_of(self.header["booked_ms"], booking.zone) == day_of(booking.booked_ms, booking.zone)

    def swallow(self, conn: sqlite3.Connection, group: Sequence[_Record]) -> None:
        """Of what is evicted one header a day is left: it stands for all up to the end of the group."""
        first = min(self.header.get("first_seq", self.seq), group[0].seq)
        last = group[-1]
        conn.execute("DELETE FROM record WHERE stream = ? AND seq >= ? AND seq < ?", (STREAM, first, last.seq))
        self.seq = last.seq
        self.header |= {"first_seq": first, "kind": "", "sha256": ""}
        self.header["t0_ms"] = min(self.header["t0_ms"], *(record.t0_ms for record in group))
        self.header["t1_ms"] = max(self.header["t1_ms"], *(record.t1_ms for record in group))
        self.header["rows"] += sum(record.block.rows for record in group)
        self.header["bytes"] += sum(len(record.body) for record in group)

    def take(self, record: _Record, booking: _Booking) -> None:
        totals.merge(booking.sums, self.by_key)
        header = self.header
        header["booked_ms"] = max(header["booked_ms"], booking.booked_ms)
        # Its range covers what it sums up, so that whoever looks for a day finds the header.
        header["t0_ms"], header["t1_ms"] = min(header["t0_ms"], record.t0_ms), max(header["t1_ms"], record.t1_ms)

    def save(self, conn: sqlite3.Connection) -> None:
        kept = [totals.to_meta(self.by_key[key]) for key in sorted(self.by_key)]
        _replace(conn, self.seq, self.header | {"totals": kept})


def _groups(
    conn: sqlite3.Connection, through: int, older_than_ms: int, limit: int, last: int
) -> Iterator[Sequence[_Record]]:
    """Records up to `last` that may go, those that belong together together."""
    rows = conn.execute(
        "SELECT seq, kind, t0_ms, t1_ms, body, hash FROM record WHERE stream = ? AND seq > ? AND seq <= ?"
        " ORDER BY seq LIMIT ?",
        (STREAM, through, last, limit),
    ).fetchall()
    before = _hash_of(conn, through)
    group: list[_Record] = []
    for seq, kind, t0_ms, t1_ms, stored, after in rows:
        if t1_ms >= older_than_ms:
            return
        if not follows(before, seq, kind, stored, after):
            raise StoreError(f"record {seq} of the ledger does not match its hash; run `huxi ledger verify`")
        before = after
        with readable(seq):
            body = unpack(stored)
            group.append(_Record(seq, t0_ms, t1_ms, body, decode_block(body)))
        if group[-1].block.kind != INTERVALS:
            yield group
            group = []


def _booking(group: Sequence[_Record]) -> _Booking | None:
    """What the sums gain by these records; None for those without amounts."""
    record, meta = group[-1], group[-1].block.meta
    with readable(record.seq):
        if record.block.kind == ENTRIES:
            found = totals.from_blocks(group[0].block, record.block)
        elif record.block.kind == RESTATEMENT:
            found = totals.from_restatement(record.block)
        else:
            return None
        return _Booking(meta["booked_ms"], ZoneInfo(meta["zone"]), found)


def _header(record: _Record, booked_ms: int, acked_through: int) -> dict[str, Any]:
    header = {
        "kind": record.block.kind,
        "rows": record.block.rows,
        "bytes": len(record.body),
        "sha256": hashlib.sha256(record.body).hexdigest(),
        "t0_ms": record.t0_ms,
        "t1_ms": record.t1_ms,
        "booked_ms": booked_ms,
        "totals": [],
    }
    return header if record.seq <= acked_through else header | {UNDELIVERED: EVICTED}


def _replace(conn: sqlite3.Connection, seq: int, header: dict[str, Any]) -> None:
    conn.execute(
        "UPDATE record SET kind = ?, t0_ms = ?, t1_ms = ?, body = ? WHERE stream = ? AND seq = ?",
        (HEADER, header["t0_ms"], header["t1_ms"], pack(encode_block(HEADER, header, {})), STREAM, seq),
    )


def _hash_of(conn: sqlite3.Connection, seq: int) -> bytes:
    if seq == 0:
        return GENESIS
    (found,) = conn.execute("SELECT hash FROM record WHERE stream = ? AND seq = ?", (STREAM, seq)).fetchone()
    return bytes(found)
